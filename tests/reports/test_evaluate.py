"""`evaluate` on files: what it writes, and what it makes of files that are not there yet or not for this set."""

from pathlib import Path

import pytest
import spacy
import srsly

from spacy_domain_ner import evaluate, read_passages, write_passages
from spacy_domain_ner.corpus.passage import SUSPECTS, Passage, Span
from spacy_domain_ner.errors import UserError
from spacy_domain_ner.monitoring.measures import PLACE
from spacy_domain_ner.monitoring.reference import find_reference, read_reference

REDIS, KAFKA = Span(0, 5, "INFRA"), Span(0, 5, "INFRA")
FILES = {
    "train": "train.jsonl",
    "output": "metrics.json",
    "errors": "errors.jsonl",
    "report": "report.html",
    "predictions": "predictions.jsonl",
    "learning_curve": "curve.json",
    "suspects": "suspects.jsonl",
}


def save_model(folder: Path, *names: str) -> None:
    """Save a model that finds these names as INFRA."""
    nlp = spacy.blank("en")
    nlp.add_pipe("entity_ruler").add_patterns([{"label": "INFRA", "pattern": name} for name in names])
    nlp.to_disk(folder)


@pytest.fixture
def files(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    Path("entity_types.yml").write_text("entity_types: [{name: INFRA, color: '#123456'}]")
    passages = [Passage(f"{name} is down {number}", [REDIS]) for number in range(6) for name in ("Redis", "Kafka")]
    write_passages(Path("eval.jsonl"), passages)
    train = [Passage(f"Redis was up {number}", [REDIS] if number else []) for number in range(3)]
    write_passages(Path("train.jsonl"), train)
    save_model(tmp_path / "model", "Redis")
    return FILES


def test_every_file_that_is_asked_for_is_written_from_the_one_assessment(files):
    assessment = evaluate("model", "eval.jsonl", **files)
    assert (assessment.micro.score.recall, assessment.types["INFRA"].trained_on) == (0.5, 2)
    assert srsly.read_json("metrics.json") == srsly.json_loads(srsly.json_dumps(assessment.to_dict()))
    page = Path("report.html").read_text(encoding="utf8")
    assert ".t0 { --color: #123456;" in page
    assert "1 name is annotated in different ways." in page
    assert len(read_passages(Path("errors.jsonl")).passages) == 6
    assert [passage.spans for passage in read_passages(Path("predictions.jsonl")).passages] == [[REDIS], []] * 6
    assert (assessment.progress, assessment.curve, list(assessment.suspects)) == (None, None, [])


def test_the_reference_for_live_text_has_counts_and_no_texts(files):
    evaluate("model", "eval.jsonl", **files, reference="reference.json")
    said = Path("reference.json").read_text()
    assert not [word for word in ("Redis", "redis", "Kafka", "down") if word in said]
    reference = read_reference("reference.json")
    assert (reference.passages, reference.by, reference.labels) == (12, "passage", ["INFRA"])
    assert reference.rows[:, PLACE["entities"]].sum() == 6
    assert reference.rows[:, PLACE["annotated"]].sum() == 12
    assert reference.rows[:, PLACE["unseen_forms"]].sum() == 0
    assert find_reference("model", "reference.json").model == reference.model
    with pytest.raises(UserError, match="`reference` needs the training set"):
        evaluate("model", "eval.jsonl", reference="reference.json")


def test_nothing_is_written_that_is_not_asked_for(files, tmp_path):
    before = sorted(tmp_path.rglob("*"))
    assert evaluate(spacy.load("model"), "eval.jsonl").micro.score.recall == 0.5
    assert sorted(tmp_path.rglob("*")) == before


def test_the_report_can_be_renewed_without_comparing_the_model_with_itself(files, tmp_path):
    assert evaluate("model", "eval.jsonl", **files).progress is None
    save_model(tmp_path / "better", "Redis", "Kafka")
    first = evaluate("better", "eval.jsonl", **files)
    assert first.progress.micro.value == pytest.approx(1 / 3)
    write_passages(
        Path("suspects.jsonl"),
        [Passage("Redis was up 1", [REDIS], extra={SUSPECTS: [{"annotated": [0, 5, "INFRA"], "predicted": None,
                                                                "confidence": 0.9}]})],
    )  # fmt: skip
    renewed = evaluate("better", "eval.jsonl", **files)
    assert renewed.progress == first.progress
    assert [suspect.confidence for suspect in renewed.suspects] == [0.9]
    assert "1 annotation is contradicted by models that were not trained on it" in Path("report.html").read_text()


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"report": "report.md"}, "report.md is not a name for the report"),
        ({"gate": 0.5}, "`gate` is 0.5 and `fallback` is 0.8"),
        ({"schema": "missing.yml"}, "missing.yml"),
        ({"passages": "empty.jsonl"}, "empty.jsonl has no passages"),
        ({"model": "missing"}, "'missing' can't be loaded"),
    ],
)
def test_what_is_wrong_is_said_before_anything_is_written(files, tmp_path, changes, message):
    Path("empty.jsonl").write_text("")
    before = sorted(tmp_path.rglob("*"))
    with pytest.raises(UserError, match=message):
        evaluate(**{"model": "model", "passages": "eval.jsonl", **files, **changes})
    assert sorted(tmp_path.rglob("*")) == before
