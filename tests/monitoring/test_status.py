"""From windows and estimates to one decision, with a history that outlives their files and a page."""

import json
import re
import time

import pytest
import srsly

from spacy_domain_ner import monitor_status
from spacy_domain_ner.errors import UserError
from spacy_domain_ner.files import at_work

MODEL = "en_ops 0.1.0 (0a1b2c3d)"
DAY = 86_400


def moment(days_ago: float) -> str:
    return time.strftime("%Y-%m-%dT%H:%M:%SZ", time.gmtime(time.time() - days_ago * DAY))


def window(days_ago: float, state: str = "usual", model: str = MODEL, value: float = 0.7, **keys: object) -> dict:
    of = {"alarm": "far out"}.get(state, state)
    shown = {"name": "unseen_forms", "title": "names that training never had", "unit": "%", "type": "", "value": value,
             "reference": 0.4, "low": 0.3, "high": 0.5, "score": 9.0, "state": of}  # fmt: skip
    words = [
        {"text": "Quilith", "type": "INFRA", "passages": 4, "share_before": 0.0, "example": "in <b>Quilith</b> now"}
    ]
    alarm = state == "alarm"
    return {
        "kind": "drift", "format_version": 1, "state": state, "created": moment(days_ago), "model": model,
        "passages": 300, "first": "", "last": moment(days_ago), "statistics": [] if state == "unknown" else [shown],
        "alarming": ["unseen_forms"] if alarm else [], "twice": [], "redacted": False,
        "names_new": words if alarm else [], "words_grown": [], "examples": {}, "notes": [], **keys,
    }  # fmt: skip


def score(value: float) -> dict:
    return {"value": value, "low": value - 0.04, "high": value + 0.04}


def estimate(days_ago: float, f1: float = 0.9, drop: float | None = 0.01, before: float = 0.9, **keys: object) -> dict:
    figures = {
        "precision": score(f1), "recall": score(f1), "f1": score(f1), "mentions": 300, "known": True,
        "evaluated": {"f1": score(before)}, "drop_probability": drop,
    }  # fmt: skip
    unknown = {**figures, "precision": None, "recall": None, "f1": None, "mentions": 4, "drop_probability": None}
    return {
        "kind": "estimate", "format_version": 1, "created": moment(days_ago), "model": MODEL, "sampled": 200,
        "reviewed": 180, "drop": 0.05, "micro": figures, "types": {"INFRA": figures, "TEAM": unknown}, **keys,
    }  # fmt: skip


def unclear(days_ago: float, mentions: int, more: int) -> dict:
    """An estimate of too few mentions."""
    found = estimate(days_ago)
    few = {"f1": None, "drop_probability": None, "mentions": mentions, "more_passages": more, "known": False}
    return {**found, "micro": {**found["micro"], **few}, "types": {}}


def of_types(days_ago: float, drops: list[float]) -> dict:
    """An estimate whose types are down with these probabilities."""
    found = estimate(days_ago, 0.9)
    down = {"f1": score(0.6), "evaluated": {"f1": score(0.7)}}
    return {**found, "types": {f"T{n}": {**found["micro"], **down, "drop_probability": d} for n, d in enumerate(drops)}}


FOLLOWED = {"confirmed": score(0.4), "certain": True}
AGREEMENT = {"all": {}, "pairs_of_people": [], "types": {"TEAM": {"f1": 0.51, "verdict": "unreliable"}}}


@pytest.fixture
def folder(tmp_path):
    """Writes results to a folder."""

    def folder(*results: dict):
        (tmp_path / "monitor").mkdir(exist_ok=True)
        for number, result in enumerate(results):
            (tmp_path / f"monitor/{number}.json").write_text(json.dumps(result))
        return tmp_path / "monitor"

    return folder


@pytest.mark.parametrize(
    ("results", "action", "said"),
    [
        # Nobody has reviewed anything: only a review shows what is missed.
        ([], "sample", "there is neither a window nor a review"),
        (
            [window(9), window(2)],
            "sample",
            "200 passages for a first review now: nobody has reviewed what the model finds",
        ),
        ([window(9), window(2, "unusual")], "sample", "for a first review"),
        ([window(9, "unknown"), window(2)], "sample", "for a first review"),
        ([window(9, "unknown"), window(2, "unknown")], "nothing", "too little live text to compare or to review: 300"),
        ([window(9), window(2, "alarm")], "sample", "names that training never had: 70.0 % instead of 40.0 %"),
        # An alarm stays open until people have looked.
        ([window(9, "alarm"), window(2)], "sample", "the text has changed"),
        # They have.
        ([estimate(5), window(2)], "nothing", "F1 on live text was 90.0 (86.0 to 94.0)"),
        ([estimate(5), window(2, "unusual")], "nothing", "the next one will show it"),
        ([estimate(5), window(2, "unknown")], "nothing", "the last one is too small"),
        ([window(9, "alarm"), estimate(5), window(2)], "nothing", "1 of 2 windows are like the text"),
        ([estimate(9), window(2, "alarm")], "sample", "review now: the text has changed"),
        # It was so when they looked, and has not moved on; or it has, or something else has.
        ([window(9, "alarm"), estimate(5), window(2, "alarm")], "nothing", "as it was when it was reviewed"),
        ([window(9, "alarm"), estimate(5), window(2, "alarm", value=0.95)], "sample", "95.0 % instead of 40.0 %"),
        ([window(9, "alarm"), window(7), estimate(5), window(2, "alarm")], "sample", "the text has changed"),
        # The passages were drawn before the change, whenever they came back.
        ([estimate(1, last=moment(9)), window(5, "alarm")], "sample", "the text has changed"),
        ([estimate(5, 0.8, drop=0.97), window(2, "alarm")], "retrain", "with the 180 passages that were reviewed"),
        ([estimate(5, 0.82, drop=0.6)], "sample", "makes a drop of 5 points or more likely (60 %)"),
        ([estimate(5, 0.8, drop=0.5, before=0.86)], "retrain", "it has fallen below the gate of 85"),
        # It never was above the gate.
        ([estimate(5, 0.6, drop=0.01, before=0.62)], "nothing", "60.0"),
        # Of ten types, one is down by chance now and then.
        ([of_types(5, [0.97])], "retrain", "F1 of T0"),
        ([of_types(5, [0.97] + 9 * [0.01])], "nothing", "90.0"),
        ([of_types(5, [0.999] + 9 * [0.01])], "retrain", "F1 of T0"),
        ([estimate(5, drop=None)], "nothing", "90.0"),
        ([unclear(5, 12, 60), window(2)], "sample", "Sample 60 passages for a review now: the review of"),
        ([unclear(5, 1, 290)], "sample", "has only 1 verified mention, too few"),
        ([estimate(100), window(2)], "sample", "100 days have passed since the last estimate"),
        ([window(100), window(1)], "sample", "for a first review"),
        ([estimate(40), window(40)], "compare", "the last one is 40 days old"),
        ([estimate(5), window(40, "alarm")], "compare", "the last one is 40 days old"),
        ([estimate(5, anchoring=FOLLOWED)], "relabel", "they confirmed 40 % of its errors"),
        ([window(2, "alarm"), AGREEMENT], "relabel", "annotators do not agree on TEAM (F1 0.51)"),
        # The estimate and the alarm were of the model before.
        (
            [estimate(9, 0.5, drop=1.0, model="old"), window(8, "alarm", "old"), window(2)],
            "sample",
            "of old), and only",
        ),
        ([estimate(9, model="old"), estimate(3), window(2)], "nothing", "1 of 1 windows"),
    ],
)
def test_the_results_lead_to_one_decision(folder, results, action, said):
    status = monitor_status(folder(*results))
    assert (status.decision.action, said in status.decision.said) == (action, True), status.decision.said
    assert status.calls_for_action == (action != "nothing")
    assert srsly.read_json(folder() / "status.json")["action"] == action


def test_changed_definitions_call_for_labels_first(folder, tmp_path, model):
    reference = srsly.read_json(model / "reference.json")
    srsly.write_json(model / "reference.json", {**reference, "definitions": {"INFRA": "another", "SERVICE": "another"}})
    (tmp_path / "types.yml").write_text("entity_types: [{name: INFRA, definition: A store.}]")
    decision = monitor_status(folder(window(1, "alarm")), model=model, schema=tmp_path / "types.yml").decision
    assert (decision.action, "changed since the model was evaluated: INFRA" in decision.said) == ("relabel", True)


def test_the_reference_tells_how_many_passages_to_review(folder, model):
    mine = f"en_ops 0.1.0 ({srsly.read_json(model / 'reference.json')['model']['digest']})"
    decision = monitor_status(folder(window(1, "alarm", mine)), model=model).decision
    assert decision.passages == 50
    assert decision.said.startswith("Sample 50 passages for a first review now: the text has changed")
    assert any("In the evaluation, F1 was" in reason for reason in decision.reasons)


@pytest.mark.parametrize(("f1", "action"), [(0.85, "nothing"), (0.74, "sample"), (0.6, "retrain")])
def test_an_estimate_that_was_not_compared_with_the_evaluation_is_compared_with_the_reference(
    folder, model, f1, action
):
    found = estimate(5, f1, drop=None, model="")
    del found["micro"]["evaluated"]
    assert monitor_status(folder({**found, "types": {}}), model=model).decision.action == action


def test_only_results_of_the_model_in_use_count(folder, model):
    status = monitor_status(folder(estimate(5), window(2)), model=model)
    assert (status.decision.action, "the model has changed since the last review" in status.decision.said) == (
        "sample", True,
    )  # fmt: skip


def test_a_second_status_adds_nothing_and_the_history_outlives_the_files(folder):
    place = folder(window(60, "alarm"), estimate(50), window(2))
    first = monitor_status(place, keep_days=30)
    history = (place / "history.jsonl").read_text()
    assert [line["kind"] for line in first.history] == ["drift", "estimate", "drift", "decision"]
    assert sorted(path.name for path in first.removed) == ["0.json", "1.json"]
    assert "Quilith" not in history
    second = monitor_status(place, keep_days=30)
    assert (place / "history.jsonl").read_text() != ""
    assert [line["kind"] for line in second.history][:3] == ["drift", "estimate", "drift"]
    assert (second.removed, json.loads(history.splitlines()[0])["state"]) == ([], "alarm")


def test_files_of_others_and_half_files_are_told_and_left_alone(folder):
    place = folder(window(2))
    for name, text in (("notes.json", "{}"), ("half.json", '{"kind": "dri'), ("list.json", "[1]"), ("new.json",
                        '{"kind": "drift", "format_version": 9}'), ("readme.txt", "x")):  # fmt: skip
        (place / name).write_text(text)
    status = monitor_status(place)
    assert len(status.windows.drifts) == 1
    assert [note.split(" ")[2] for note in status.notes] == [
        "half.json",
        "list.json",
        str(place / "new.json"),
        "notes.json",
    ]
    assert (place / "half.json").read_text() == '{"kind": "dri'


def test_the_page_shows_the_charts_and_what_changed_and_stands_alone(folder):
    place = folder(window(9), window(5, "unusual"), window(2, "alarm"), estimate(7))
    monitor_status(place)
    page = (place / "status.html").read_text(encoding="utf8")
    assert not re.search(r"(src|href)=|url\(|@import", page)
    assert "Let people review a sample now." in page
    assert "in &lt;b&gt;Quilith&lt;/b&gt; now" in page
    assert page.count('class="band" x=') == 3 + 1
    assert page.count("<span>90.0 (86.0 to 94.0)</span>") == 4
    monitor_status(place, redact=True)
    assert "Quilith" not in (place / "status.html").read_text(encoding="utf8")


def test_what_can_not_be_used_is_one_line(folder, tmp_path):
    with pytest.raises(UserError, match="There is no folder"):
        monitor_status(tmp_path / "none")
    place = folder(window(2))
    (place / "history.jsonl").write_text('{"kind": "drift", "ti\n')
    with pytest.raises(UserError, match=r"history.jsonl:1: this is not a line of the history"):
        monitor_status(place)
    (place / "history.jsonl").unlink()
    with pytest.raises(UserError, match="`keep_days` is 0"):
        monitor_status(place, keep_days=0)
    with at_work(place / "history.jsonl"), pytest.raises(UserError):
        monitor_status(place)


def test_the_command_exits_with_3_where_something_is_to_be_done(folder, domain_ner):
    assert domain_ner("monitor", "status", folder(window(2), estimate(1))).code == 0
    (folder() / "1.json").unlink()
    done = domain_ner("monitor", "status", folder(window(2, "alarm")))
    assert done.code == 3
    assert "Sample 200 passages for a first review now" in done.out
    assert "1. Choose them" in done.out
