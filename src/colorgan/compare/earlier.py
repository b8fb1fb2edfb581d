"""Models of earlier results, put beside new ones where everything but the models was the same."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace
from pathlib import Path

from colorgan.compare.results import PhotoName, Protocol, Row
from colorgan.compare.results_files import read_earlier
from colorgan.errors import UsageError


@dataclass(frozen=True)
class Earlier:
    """What is taken from earlier results.

    Attributes:
        path: where they are.
        protocol: that they were measured by.
        photos: in the order of the rows' values.
        rows: of their models.
    """

    path: Path
    protocol: Protocol
    photos: list[PhotoName]
    rows: list[Row]

    def check(self, protocol: Protocol) -> None:
        """Make sure that they may stand beside figures of that protocol.

        Raises:
            UsageError: they may not, with the reason.
        """
        if reason := protocol.conflict(self.protocol):
            advice = "Leave them out, or measure their models again on these photos."
            raise UsageError(f"results of the same protocol in {self.path}", reason, advice)

    def rows_beside(self, protocol: Protocol, photos: Sequence[PhotoName], taken: Sequence[str]) -> Iterator[Row]:
        """The rows, with values in the order of other results' photos.

        Args:
            protocol: of the other results.
            photos: theirs.
            taken: names of rows that these may not have.

        Raises:
            UsageError: they may not stand beside them.
        """
        self.check(protocol)
        places: dict[str, list[int]] = {}
        for place, photo in enumerate(self.photos):
            places.setdefault(photo.sha256, []).append(place)
        order = [places[photo.sha256].pop() for photo in photos]  # the same photo twice is in both, twice
        for row in self.rows:
            values, weights = (
                {name: [numbers[place] for place in order] for name, numbers in of_row.items()}
                for of_row in (row.values, row.weights)
            )
            yield replace(row, name=_free(row.name, taken), values=values, weights=weights)


def _free(name: str, taken: Sequence[str]) -> str:
    """The name, with as much behind it as makes it different from all that are taken."""
    while name in taken:
        name = f"{name} (earlier)"
    return name


def read_all(paths: Sequence[Path]) -> list[Earlier]:
    """Read earlier results.

    Raises:
        UsageError: one of them is none.
    """
    return [Earlier(path, *read_earlier(path)) for path in paths]
