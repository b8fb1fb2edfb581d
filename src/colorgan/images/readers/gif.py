"""A reader of GIFs whose first frame is smaller than their logical screen."""

from __future__ import annotations

from PIL import GifImagePlugin, Image


class GifFile(GifImagePlugin.GifImageFile):
    """A GIF that is transparent where its first frame does not cover the screen, as browsers show it."""

    def load_prepare(self) -> None:
        """Record which part of the screen the frame covers."""
        super().load_prepare()
        self._covered = self.tile[0].extents

    def load_end(self) -> None:
        """Make the rest transparent."""
        super().load_end()
        if self._covered != (0, 0, *self.size) and not self.tell():
            part = self._new(self.im).crop(self._covered).convert("RGBA")
            whole = Image.new("RGBA", self.size)
            whole.paste(part, self._covered)
            self.im, self._mode, self.palette = whole.im, whole.mode, None
            self.info.pop("transparency", None)
