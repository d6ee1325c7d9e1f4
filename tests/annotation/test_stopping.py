"""When to stop labelling."""

import json

import pytest

from spacy_domain_ner.annotation.stopping import advice, expected_gains, read_history, remember

FORECAST = {"mentions": 100, "f1": 0.6, "doubled": [0.7, 0.6, 0.8]}


def figures(f1: float | None = 0.6, forecast: dict | None = FORECAST) -> dict:
    curve = {"forecasts": {"TEAM": forecast}} if forecast else None
    return {"types": {"TEAM": {"f1": f1}}, "learning_curve": curve}


def history(*points: tuple[int, float]) -> list[dict]:
    return [{"labelled": count, "f1": {"TEAM": f1}} for count, f1 in points]


@pytest.mark.parametrize(
    ("known", "before", "points"),
    [
        pytest.param(figures(), [], 10.0, id="twice the examples of the curve"),
        pytest.param(figures(), history((50, 0.2), (100, 0.4)), 10.0, id="two evaluations say too little"),
        pytest.param(figures(0.75), history((25, 0.0), (50, 0.5), (100, 0.75)), 12.5, id="errors halve each time"),
        pytest.param(figures(0.6), history((25, 0.7), (50, 0.65), (100, 0.6)), 0.0, id="it falls"),
        pytest.param(figures(0.6, None), [], None, id="nothing is known"),
        pytest.param(figures(None), [], None, id="no F1"),
        pytest.param(figures(1.0), [], 0.0, id="no error is left"),
    ],
)  # fmt: skip
def test_the_gain_is_that_of_the_batches_before_or_of_the_curve(known, before, points):
    gains = expected_gains(known, before, 100, {"TEAM": 100.0}, hours=2.0)
    if points is None:
        assert gains == []
        assert advice(gains, 100) == ""
        return
    [gain] = gains
    assert gain.points == pytest.approx(points, abs=0.1)
    assert gain.per_hour == pytest.approx(points / 2, abs=0.1)
    assert ("Stop" in advice(gains, 100)) is (points < 0.5)


@pytest.mark.parametrize(
    ("interval", "lowest", "highest"),
    [
        ([0.3, 0.85], 2.0, 2.4),  # 20 mentions: what is usual, 2.4 points
        ([0.58, 0.62], 0.0, 0.4),  # 2,000 mentions: what was measured, none
        (None, 0.0, 0.0), ([0.5], 0.0, 0.0), (["a", "b"], 0.0, 0.0),
    ],
)  # fmt: skip
def test_few_mentions_do_not_say_to_stop(interval, lowest, highest):
    known = figures(0.6)
    known["types"]["TEAM"]["intervals"] = {"f1": interval}
    [gain] = expected_gains(known, history((200, 0.61), (300, 0.59), (400, 0.6)), 100, {"TEAM": 100.0}, hours=0.5)
    assert lowest <= gain.points <= highest
    assert gain.by_batches
    assert ("Stop" in advice([gain], 100)) is (highest < 0.5)


def test_what_was_known_before_is_kept_once_for_each_number_of_passages(tmp_path):
    path = tmp_path / "next.history.json"
    remember(path, 100, figures(0.5))
    remember(path, 100, figures(0.55))
    # Labelled, and not trained yet.
    remember(path, 150, figures(0.55))
    assert [(one["labelled"], one["f1"]["TEAM"]) for one in remember(path, 200, figures(0.6))] == [
        (100, 0.55),
        (200, 0.6),
    ]
    path.write_text(json.dumps({"labelled": 1}))
    assert read_history(path) == []
    path.write_text("[{")
    assert len(remember(path, 200, figures(0.6))) == 1
