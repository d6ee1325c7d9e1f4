"""Windows of live text against the evaluation set: what is an alarm, what is none, and what is said about it."""

import json
import shutil

import pytest
import srsly

from spacy_domain_ner import measure_drift
from spacy_domain_ner.errors import UserError

NEW = [f"Wim{number}" for number in range(60)]


def lower(row: dict) -> dict:
    entities = [{**one, "name": one["name"].lower()} for one in row["entities"]]
    return {**row, "text": row["text"].lower(), "entities": entities}


@pytest.mark.parametrize(("seed", "size"), [(11, 40), (12, 100), (13, 300), (14, 1000)])
def test_a_window_of_like_text_is_no_alarm(model, domain, write, seed, size):
    drift = measure_drift([write(domain(seed).rows(size))], model)
    assert (drift.state, drift.alarming, drift.passages) == ("usual", [], size)
    assert (drift.words_grown, drift.names_new, drift.examples) == ([], [], {})


@pytest.mark.parametrize(
    ("change", "alarming", "named"),
    [
        (lambda rows, domain: [lower(row) for row in rows], "capitalised", None),
        (lambda rows, domain: domain(5).rows(300, names=NEW), "unseen_forms", "Wim"),
        (lambda rows, domain: [{**row, "text": row["text"] + " nupta" * 6} for row in rows], "unseen_words", "nupta"),
        (lambda rows, domain: [{**row, "entities": row["entities"][:1]} for row in rows], "entities", None),
        (lambda rows, domain: [{**row, "text": row["text"] + " 17" * 5} for row in rows], "digits", "17"),
        (lambda rows, domain: [{**row, "text": row["text"] + " {};" * 3} for row in rows], "signs", None),
        (lambda rows, domain: [{**row, "expected": {"INFRA": 9.0}} for row in rows], "said_misses", None),
    ],
)  # fmt: skip
def test_a_change_raises_the_alarm_and_is_named_with_examples(model, domain, write, change, alarming, named):
    drift = measure_drift([write(change(domain(21).rows(300), domain))], model)
    assert drift.state == "alarm"
    assert alarming in drift.alarming
    assert drift.examples[alarming]
    if named:
        assert any(
            one.text.startswith(named) and named in one.example for one in [*drift.words_grown, *drift.names_new]
        )


def test_the_same_passages_again_and_again_say_no_more_than_once(model, domain, write):
    rows = domain(11).rows(60)
    assert measure_drift([write(rows)], model).state == "usual"
    assert measure_drift([write(rows * 50)], model).state == "usual"


def test_a_change_that_may_be_chance_is_an_alarm_when_it_comes_again(model, domain, write, tmp_path):
    states = []
    for week in (1, 2):
        rows = [{**row, "time": f"2026-10-0{week}T00:00:00Z"} for row in domain(31).rows(60, new=0.27)]
        drift = measure_drift([write(rows)], model, output=tmp_path / "windows")
        states.append((drift.state, drift.twice))
    assert states == [("unusual", []), ("alarm", ["unseen_forms"])]
    assert sorted(path.name for path in (tmp_path / "windows").iterdir()) == [
        "drift-2026-10-01T000000.json", "drift-2026-10-02T000000.json"
    ]  # fmt: skip


def test_a_redacted_result_has_no_word_of_the_text(model, domain, write, tmp_path):
    path = write(domain(5).rows(300, names=NEW))
    open_ = measure_drift([path], model, output=tmp_path / "open.json")
    measure_drift([path], model, output=tmp_path / "closed.json", redact=True)
    assert open_.names_new[0].text in (tmp_path / "open.json").read_text()
    said = (tmp_path / "closed.json").read_text()
    assert not [word for row in srsly.read_jsonl(path) for word in row["text"].split() if word in said]


def test_the_reference_has_no_word_of_the_text(model, domain):
    said = (model / "reference.json").read_text()
    assert not [word for row in domain(1).rows(400, new=0.0) for word in row["text"].split() if word in said]


def test_a_window_that_is_too_small_says_nothing(model, domain, write):
    drift = measure_drift([write([lower(row) for row in domain(11).rows(29)])], model)
    assert (drift.state, drift.statistics) == ("unknown", [])
    assert drift.notes == ["29 passages are too few to say anything: a window needs 30 at least."]


def test_what_only_sure_entities_were_written_of_is_not_compared(model, domain, write):
    rows = [
        {**row, "entities": [one for one in row["entities"] if one["confidence"] >= 0.8]}
        for row in domain(11).rows(300)
    ]
    drift = measure_drift([write(rows)], model)
    assert "No entity has a confidence below 0.8" in drift.notes[0]
    assert drift.state == "usual"
    assert not {"entities", "entities_INFRA", "said_precision"} & {one.statistic.name for one in drift.statistics}


def test_where_an_llm_has_helped_entities_are_not_compared_with_those_of_the_model_alone(model, domain, write):
    rows = domain(11).rows(300)
    for row in rows[:200]:
        row["entities"] = [{**one, "confidence": 0.95, "source": "llm"} for one in row["entities"]]
        row["llm"] = {"sent": True}
    drift = measure_drift([write(rows)], model)
    assert drift.notes[0].startswith("An LLM has helped with 200 of 300 rows")
    assert drift.state == "usual"
    names = {one.statistic.name for one in drift.statistics}
    assert names
    assert not {"entities", "entities_INFRA", "said_precision", "confidence_shape"} & names


def test_a_half_written_line_and_rows_without_what_is_expected_are_told(model, domain, write):
    rows = domain(11).rows(100)
    for row in rows[:40]:
        del row["expected"]
    drift = measure_drift([write(rows, end='{"text": "Zor')], model)
    assert drift.passages == 100
    assert any("1 line(s) could not be read" in note and "half-written" in note for note in drift.notes)
    assert any("40 rows do not say what the model expects" in note for note in drift.notes)


def test_only_the_last_days_count_where_the_log_says_when(model, domain, write):
    rows = domain(11).rows(80)
    for number, row in enumerate(rows):
        row["time"] = "2100-01-01T00:00:00Z" if number % 2 else "2020-01-01T00:00:00Z"
    drift = measure_drift([write(rows)], model, days=7)
    assert (drift.passages, drift.first) == (40, "2100-01-01T00:00:00Z")
    assert drift.notes == ["40 rows are older than 7 days, and are left out."]
    with pytest.raises(UserError, match=r"No row of .* is of the last 7 days: the last one is of 2020"):
        measure_drift([write(rows[::2])], model, days=7)


@pytest.mark.parametrize(
    ("break_it", "message"),
    [
        (lambda model: (model / "reference.json").unlink(), "carries no reference"),
        (lambda model: (model / "reference.json").write_text("[]"), "is not a reference"),
        (lambda model: (model / "reference.json").write_text('{"kind": "reference", "format_version": 99}'), "99"),
        (lambda model: shutil.rmtree(model), "There is no model"),
    ],
)
def test_a_model_without_a_usable_reference_is_told(model, domain, write, break_it, message):
    path = write(domain(11).rows(40))
    break_it(model)
    with pytest.raises(UserError, match=message):
        measure_drift([path], model)


def test_a_reference_or_rows_of_another_model_are_refused(model, domain, write, tmp_path):
    other = shutil.copytree(model, tmp_path / "other")
    (other / "ner" / "model").write_bytes(b"other weights")
    path = write(domain(11).rows(40))
    with pytest.raises(UserError, match="is of another model"):
        measure_drift([path], other, reference=model / "reference.json")
    of_other = [
        {**row, "model": {"name": "en_ops", "version": "0.1.0", "digest": "ffffffff"}} for row in domain(11).rows(40)
    ]
    with pytest.raises(UserError, match="There is no live row of the model") as raised:
        measure_drift([write(of_other)], model)
    assert raised.value.hint == "40 row(s) are of en_ops 0.1.0 (ffffffff)"
    with pytest.raises(UserError, match=r"The live rows are of en_ops 0.1.0 \(ffffffff\), and the reference is of"):
        measure_drift([write(of_other)], model, model_version="ffffffff")


def test_rows_of_the_model_before_are_left_out_and_told(model, domain, write):
    before = [
        {**row, "model": {"name": "en_ops", "version": "0.1.0", "digest": "ffffffff"}}
        for row in domain(11).rows(40, names=NEW)
    ]
    drift = measure_drift([write([*before, *domain(21).rows(100)])], model)
    assert (drift.passages, drift.state) == (100, "usual")
    assert "40 rows of en_ops 0.1.0 (ffffffff) are left out." in drift.notes


def test_the_command_exits_with_3_on_an_alarm_and_names_what_changed(model, domain, write, domain_ner, tmp_path):
    usual = domain_ner("monitor", "drift", write(domain(11).rows(100)), "--model", model)
    assert (usual.code, "like the text that the model was evaluated on" in usual.out) == (0, True)
    path = write(domain(5).rows(300, names=NEW))
    alarm = domain_ner("monitor", "drift", path, "--model", model, "--output", tmp_path / "w.json")
    assert alarm.code == 3
    assert "names that training never had" in alarm.out
    assert "Wim" in alarm.out
    assert domain_ner("monitor", "drift", path, "--model", model, "--no-fail").code == 0
    redacted = domain_ner("monitor", "drift", path, "--model", model, "--redact", "--json")
    assert (redacted.code, "Wim" in redacted.out) == (3, False)
    assert json.loads(redacted.out)["state"] == "alarm"


def test_a_reference_that_was_made_before_a_count_was_added_is_compared_without_it(model, domain, write):
    path = model / "reference.json"
    record = json.loads(path.read_text())
    place = record["columns"].index("known_entities")
    del record["columns"][place]
    for row in record["rows"]:
        del row[place]
    now = {one.statistic.name for one in measure_drift([write(domain(5).rows(300))], model).statistics}
    path.write_text(json.dumps(record))
    before = {one.statistic.name for one in measure_drift([write(domain(5).rows(300))], model).statistics}
    assert now - before == {"known_entities"}
