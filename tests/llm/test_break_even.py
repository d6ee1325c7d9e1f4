"""From how many documents on fine-tuning is cheaper, and where each number is from."""

import json

import pytest

from spacy_domain_ner.corpus import Passage, write_passages
from spacy_domain_ner.errors import UserError
from spacy_domain_ner.llm.break_even import Costs, break_even, rounded_up

# 100 passages of 36 seconds at 10 an hour: 10 in all. The LLM: 0.01 a document.
PLAIN = {"wage": 10, "labels": 100, "seconds_per_label": 36, "seconds_per_document": 0, "llm_dollars": 10}


@pytest.fixture
def found(tmp_path):
    def found(times=(), **costs):
        return break_even(
            Costs(**{**PLAIN, **costs}), times=times, annotations=tmp_path / "annotations.jsonl",
            metrics=tmp_path / "metrics.json", decision=tmp_path / "llm/decision.json",
        )  # fmt: skip

    return found


@pytest.mark.parametrize(
    ("costs", "documents"),
    [
        pytest.param({}, 1000, id="labelling over the price of a document"),
        pytest.param({"people": 2}, 2000, id="two people"),
        pytest.param({"training": 10}, 2000, id="training"),
        pytest.param({"llm_labels": 50}, 500, id="the LLM is measured, too"),
        pytest.param({"relabelled": 0.05}, 2000, id="one of twenty documents is labelled again"),
        pytest.param({"relabelled": 0.1}, None, id="labelling again costs as much as the LLM"),
        pytest.param({"seconds_per_document": 18, "machine": 1}, 2000, id="a slow model"),
        pytest.param({"llm_dollars": 0}, None, id="an LLM that costs nothing"),
        pytest.param({"labels": 0}, 0, id="labels that are there already"),
        pytest.param({"labels": 0, "llm_dollars": 0}, 0, id="nothing costs anything"),
    ],
)
def test_the_break_even_is_where_both_cost_the_same(found, costs, documents):
    result = found(**costs)
    assert result.documents == (None if documents is None else pytest.approx(documents))
    if documents:
        assert result.tuned.cost(documents) == pytest.approx(result.llm.cost(documents))


def test_an_f1_that_nobody_measured_is_said_to_be_so(found):
    assert "fine-tuned model: not measured, LLM: not measured" in found().verdict
    assert sum("was not measured" in note for note in found().notes) == 2


def test_what_was_measured_is_taken_from_the_files(found, tmp_path):
    write_passages(tmp_path / "annotations.jsonl", [Passage(f"passage {number}") for number in range(7)])
    (tmp_path / "metrics.json").write_text('{"micro": {"f1": 0.9}}')
    (tmp_path / "llm").mkdir()
    scores = {"llm": {"value": 0.7}, "hybrid": {"value": 0.95}}
    side = {
        "sent": 0.1, "dollars_per_1000_sent": 2.0, "model_seconds_per_passage": 0.002, "types": {"all types": scores},
    }  # fmt: skip
    (tmp_path / "llm/decision.json").write_text(json.dumps({"figures": {"dev": side, "eval": None}}))
    result = found(labels=None, llm_dollars=None, seconds_per_document=None)
    assert (result.tuned.f1, result.llm.f1, result.hybrid.f1) == (0.9, 0.7, 0.95)
    assert result.llm.f1_from == "early-stopping set"
    assert result.llm.per_document == 0.002
    assert result.hybrid.per_document == pytest.approx(result.tuned.per_document + 0.1 * 0.002)
    assert {"7", "0.002 seconds"} <= {one.value for one in result.assumptions}
    assert any("different sets" in note for note in result.notes)


def test_label_studio_tells_how_long_labelling_took(found, tmp_path):
    times = [30.0] * 9 + [9000.0]
    tasks = [{"id": 1, "data": {"text": "a"}, "annotations": [{"result": [], "lead_time": time}]} for time in times]
    tasks.append({"id": 2, "data": {"text": "b"}, "annotations": [{"lead_time": 99, "was_cancelled": True}]})
    (tmp_path / "export.json").write_text(json.dumps(tasks))
    (tmp_path / "min.json").write_text(json.dumps([{"text": "a", "annotation_id": 1, "lead_time": 30.0}]))
    result = found([tmp_path / "export.json", tmp_path / "min.json"], seconds_per_label=None)
    [said] = [one for one in result.assumptions if one.name == "Labelling a passage"]
    # Nine and one of 30 seconds, and one that counts as 300.
    assert said.value == f"{(10 * 30 + 300) / 11:.1f} seconds"
    assert "11 annotations, median 30.0; 1 that took" in said.source


@pytest.mark.parametrize(
    ("costs", "said"),
    [
        pytest.param({"seconds_per_label": None}, "How long labelling takes", id="no time"),
        pytest.param({"llm_dollars": None}, "What the LLM costs is not known", id="no price"),
        pytest.param({"labels": None}, "There is no file", id="no annotations"),
        pytest.param({"wage": -1}, "`wage` is -1", id="below zero"),
        pytest.param({"wage": float("nan")}, "`wage` is nan", id="not a number"),
        pytest.param({"relabelled": 2}, "`relabelled` is 2", id="no share"),
        pytest.param({"people": 0}, "`people` is 0", id="nobody"),
    ],
)
def test_what_is_missing_is_asked_for(found, costs, said):
    with pytest.raises(UserError) as raised:
        found(**costs)
    assert said in raised.value.what


@pytest.mark.parametrize(("number", "shown"), [(0.5, 1), (7, 7), (41.2, 42), (1234, 1300), (467_000, 470_000)])
def test_a_number_of_documents_has_two_digits(number, shown):
    assert rounded_up(number) == shown
