"""The one assessment: what it holds, and what metrics.json and a reader get from it."""

import pytest
import spacy

from spacy_domain_ner.corpus import Passage, Span
from spacy_domain_ner.corpus.jsonl import ReadResult
from spacy_domain_ner.errors import UserError
from spacy_domain_ner.evaluation.analysis import Predicted
from spacy_domain_ner.evaluation.assessment import Assessment, assess, assess_predictions
from spacy_domain_ner.evaluation.forecasts import Forecast, LearningCurve
from spacy_domain_ner.evaluation.gates import Gates
from spacy_domain_ner.evaluation.label_issues import Inconsistency, Suspect
from spacy_domain_ner.evaluation.mistakes import KINDS
from spacy_domain_ner.schema import EntitySchema

A, B = Span(0, 1, "A"), Span(2, 3, "B")
TRAIN = [Passage("x y", [Span(0, 1, "A")]), Passage("x y", [Span(0, 1, "A"), Span(2, 3, "B")])]


@pytest.fixture(scope="module")
def assessment() -> Assessment:
    passages = [
        Passage("x y", [A, B], {"genre": "docs"}),
        Passage("z y", [A], {"genre": "docs"}),
        Passage("x q", [A], {"genre": "log"}),
    ]
    predicted = [Predicted([A, B]), Predicted([B]), Predicted([A, B])]
    return assess_predictions(passages, predicted, ["C", "A", "B"], train=TRAIN, gates=Gates(0.9, 0.7))


def test_the_metrics_have_everything(assessment):
    metrics = assessment.to_dict()
    assert metrics["learning_curve"] is None
    assert metrics["progress"] is None
    assert metrics["format_version"] == 2
    assert metrics["gates"] == {"production": 0.9, "fallback": 0.7}
    assert metrics["passages"] == 3
    assert metrics["micro"]["support"] == 4
    assert metrics["types"]["C"]["f1"] is None
    assert metrics["types"]["C"]["intervals"]["f1"] is None
    low, high = metrics["types"]["A"]["intervals"]["recall"]
    assert 0 <= low <= metrics["types"]["A"]["recall"] <= high <= 1
    assert metrics["types"]["A"]["trained_on"] == 2
    assert metrics["types"]["A"]["verdict"] == "unknown"
    assert metrics["types"]["A"]["schemes"]["strict"]["correct"] == 2
    assert metrics["errors"] == {**dict.fromkeys(KINDS, 0), "missed": 1, "spurious": 2}
    assert {"annotated": "A", "predicted": None, "count": 1} in metrics["confusions"]
    assert metrics["groups"]["genre"]["log"]["precision"] == 0.5


def test_a_type_has_its_scores_its_verdict_and_its_forecast():
    forecast = Forecast(512, 0.6, (0.7, 0.65, 0.75), 300, (200, 500), "A: about 300 more examples for F1 0.85")
    passages, predicted = [Passage("x", [A])] * 20, [Predicted([A]), Predicted([])] * 10
    found = assess_predictions(passages, predicted, ["A"], curve=LearningCurve([], {"A": forecast})).types["A"]
    assert found.f1.value == pytest.approx(2 / 3)
    assert (found.score.support, found.verdict.name, found.trained_on) == (20, "fallback", None)
    assert found.forecast is forecast
    assert "by the learning curve of 512 examples" in found.verdict.advice


def test_it_is_judged_by_its_gates(assessment):
    passages, predicted = [Passage("x", [A])] * 200, [Predicted([A]), Predicted([])] * 100
    names = [
        assess_predictions(passages, predicted, ["A"], gates=gates).types["A"].verdict.name
        for gates in (Gates(0.6, 0.5), Gates(0.66, 0.5), Gates(0.7, 0.6), Gates(0.9, 0.8))
    ]
    assert names == ["ready", "probably ready", "close", "fallback"]


def test_an_earlier_run_makes_the_progress():
    passages = [Passage("x", [A])]
    found = assess_predictions(passages, [Predicted([A])], ["A"], earlier=[Passage("x")])
    assert found.progress.micro.value == 1
    assert found.to_dict()["progress"]["better"] == 1
    assert assess_predictions(passages, [Predicted([A])], ["A"], earlier=[Passage("other")]).progress is None


def test_it_holds_what_is_to_be_looked_at_again():
    suspect = Suspect(TRAIN[0], A, None, 0.5)
    inconsistency = Inconsistency("x", {"A": 2, "": 1}, {"A": [(TRAIN[0], 0)], "": []})
    found = assess_predictions([], [], ["A"], suspects=[suspect], inconsistencies=[inconsistency])
    assert (found.suspects, found.inconsistencies) == ([suspect], [inconsistency])


def test_an_assessment_of_nothing_is_all_undefined():
    metrics = assess_predictions([], [], ["A"], train=[]).to_dict()
    assert metrics["micro"]["f1"] is None
    assert metrics["macro"] == {"f1": None, "intervals": {"f1": None}}
    assert metrics["types"]["A"]["verdict"] == "unknown"


def test_printed_it_is_a_table_with_the_next_steps(assessment):
    lines = str(assessment).splitlines()
    assert lines[0].startswith("3 held-out passages")
    table = {line.split()[0]: line.split()[1:] for line in lines if line.startswith(("A  ", "C  ", "all"))}
    assert table["A"][:3] == ["100.0", "66.7", "80.0"]
    assert table["C"] == ["–", "–", "–", "–", "0", "unknown"]
    assert table["all"][-1] == "4"
    assert "Recall is 100.0 for 3 mentions whose name training had, and 0.0 for 1 mention" in str(assessment)
    at = lines.index("A: unknown (only 3 mentions to judge by)")
    assert lines[at + 1].startswith("  1. label 198 more examples")
    assert "a verdict needs 10 mentions in the evaluation set, which has 3" in lines[at + 1]
    assert not lines[at + 2].startswith("  2.")


def test_types_below_a_line_are_listed_without_those_that_have_no_mention(assessment):
    assert assessment.below(0.0) == []
    assert assessment.below(0.75) == ["B"]
    assert assessment.below(1.0) == ["A", "B"]


def test_a_loaded_pipeline_is_measured():
    nlp = spacy.blank("en")
    nlp.add_pipe("entity_ruler").add_patterns([{"label": "INFRA", "pattern": "Redis"}])
    schema = EntitySchema.model_validate({"entity_types": [{"name": "INFRA"}]})
    passages = [Passage("Redis is down", [Span(0, 5, "INFRA")]), Passage("Kafka is up", [Span(0, 5, "INFRA")])]
    found = assess(nlp, passages, schema, train=passages[:1])
    assert (found.micro.score.recall, found.types["INFRA"].trained_on) == (0.5, 1)
    assert (found.micro.seen.recall, found.micro.unseen.recall) == (1.0, 0.0)
    assert assess(nlp, ReadResult(passages), schema).micro.score == found.micro.score
    with pytest.raises(UserError, match="no passages"):
        assess(nlp, [], schema)
    with pytest.raises(UserError, match="can't be loaded"):
        assess("missing", passages, schema)
