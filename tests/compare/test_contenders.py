import pytest

from colorgan.compare.contenders import row_names


@pytest.mark.parametrize(
    ("models", "names"),
    [
        (("compact", "eccv16"), ["compact", "eccv16"]),
        (("runs/gan/weights/best.safetensors", "runs/soft/weights/last.safetensors"), ["gan", "soft"]),
        (("a/weights/best.safetensors", "b/a/weights/best.safetensors"), ["a", "a-2"]),
        (("best.safetensors", "weights/best.safetensors"), ["best", "best-2"]),
        (("compact", "old/compact.safetensors", "grey.pth"), ["compact", "compact-2", "grey-2"]),
    ],
)
def test_every_row_has_a_name_of_its_own(models: tuple[str, ...], names: list[str]) -> None:
    assert row_names(models) == names
