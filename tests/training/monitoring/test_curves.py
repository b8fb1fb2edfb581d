from xml.etree import ElementTree

import pytest

from colorgan.training.monitoring.curves import HEIGHT, MOST_POINTS, WIDTH, Curve, Level, draw, gather


def test_figures_are_gathered_over_the_epochs_and_what_is_no_number_is_left_out() -> None:
    train = [{"kind": "train", "step": step, "epoch": 1 + step // 5, "loss": 1.0 / step} for step in range(1, 9)]
    ends = [
        {"kind": "validation", "step": 0, "epoch": 0, "auc": 87.0, "photos": 8},
        {"kind": "epoch", "step": 4, "epoch": 1, "loss": 0.5, "odd": "nan"},
        {"kind": "validation", "step": 4, "epoch": 1, "auc": 88.0, "photos": 8},
        {"kind": "trouble", "step": 4, "epoch": 1, "name": "no figure", "since": 1},
    ]
    curves = gather([*train, *ends])
    assert set(curves) == {"loss", "auc"}
    assert curves["auc"].epochs == [(0.0, 87.0), (1.0, 88.0)]
    assert curves["loss"].epochs == [(1.0, 0.5)]
    # The second epoch is not over: its steps are placed at the rate of the first.
    assert [x for x, _ in curves["loss"].steps] == pytest.approx([step / 4 for step in range(1, 9)])


def test_a_long_curve_is_thinned_by_averaging() -> None:
    train = [{"kind": "train", "step": step, "epoch": 1, "loss": float(step % 2)} for step in range(1, 4001)]
    points = gather([*train, {"kind": "epoch", "step": 4000, "epoch": 1}])["loss"].steps
    assert len(points) == MOST_POINTS
    assert all(value == pytest.approx(0.5) for _, value in points)


def test_a_panel_is_svg_with_everything_inside_the_frame() -> None:
    curve = Curve(steps=[(0.1 * i, i % 3) for i in range(1, 20)], epochs=[(1.0, 0.2), (2.0, 7.0)])
    svg = ElementTree.fromstring(draw([("real", curve), ("fake", curve)], [Level("floor", -1.0)], "Both"))
    assert svg.get("aria-label") == "Both"
    points = [
        tuple(map(float, pair.split(","))) for line in svg.iter("polyline") for pair in line.get("points", "").split()
    ] + [(float(dot.get("cx", "nan")), float(dot.get("cy", "nan"))) for dot in svg.iter("circle")]
    assert len(points) == 2 * (19 + 2 + 2)
    assert all(0 <= x <= WIDTH and 0 <= y <= HEIGHT for x, y in points)
    heights = {dot.find("title").text: float(dot.get("cy")) for dot in svg.iter("circle")}
    assert heights["epoch 2, real: 7"] < heights["epoch 1, real: 0.2"]
    assert "floor" in [text.text for text in svg.iter("text")]


@pytest.mark.parametrize("values", [[5.0], [0.0, 0.0], [-2.0, -2.0]])
def test_a_flat_curve_is_drawn(values: list[float]) -> None:
    curve = Curve(epochs=[(float(epoch), value) for epoch, value in enumerate(values)])
    svg = ElementTree.fromstring(draw([("flat", curve)], [], "Flat"))
    assert len(list(svg.iter("circle"))) == len(values)


def test_names_in_a_panel_are_escaped() -> None:
    hostile = '"><script>alert(1)</script>'
    drawn = draw([(hostile, Curve(epochs=[(1.0, 2.0)]))], [Level(hostile, 1.0)], hostile)
    assert "<script" not in drawn
    assert ElementTree.fromstring(drawn).get("aria-label") == hostile
