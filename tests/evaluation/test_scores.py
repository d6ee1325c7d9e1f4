"""Scores against counts by hand, spaCy's Scorer and nervaluate."""

import pytest
import spacy
from hypothesis import given
from hypothesis import strategies as st
from spacy.scorer import Scorer
from spacy.training import Example

from spacy_domain_ner.corpus import Passage, Span
from spacy_domain_ner.evaluation import Score, judge, predict_spans, score, to_metrics

TEXT = "a b c d e f g h"
NLP = spacy.blank("en")
A, B, C = Span(0, 1, "A"), Span(2, 3, "A"), Span(4, 5, "B")


@st.composite
def aligned(draw):
    """Spans over whole tokens of TEXT that do not overlap."""
    cuts = sorted(draw(st.sets(st.integers(0, 8), max_size=8)))
    pairs = [(cuts[i], cuts[i + 1]) for i in range(0, len(cuts) - 1, draw(st.integers(1, 2)))]
    return [Span(2 * start, 2 * end - 1, draw(st.sampled_from("AB"))) for start, end in pairs]


@pytest.mark.parametrize(
    ("gold", "found", "expected"),
    [
        pytest.param([A], [A], (1, 0, 0), id="found"),
        pytest.param([A], [], (0, 0, 1), id="missed"),
        pytest.param([], [A], (0, 1, 0), id="invented"),
        pytest.param([A], [Span(0, 3, "A")], (0, 1, 1), id="too long"),
        pytest.param([Span(0, 3, "A")], [A, B], (0, 2, 1), id="in two"),
        pytest.param([A, B], [A], (1, 0, 1), id="one of two"),
        pytest.param([A, A], [A], (1, 0, 1), id="annotated twice"),
        pytest.param([A], [A, A], (1, 1, 0), id="found twice"),
        pytest.param([], [], (0, 0, 0), id="nothing"),
        pytest.param([Span(0, 99, "A")], [A], (0, 1, 1), id="a span that no tokens can express is missed"),
        pytest.param([Span(5, 2, "A")], [], (0, 0, 1), id="an inverted span is missed"),
    ],
)
def test_a_span_counts_where_all_of_it_is_right(gold, found, expected):
    result = score([Passage(TEXT, gold)], [found], ["A"]).types["A"]
    assert (result.true_positives, result.false_positives, result.false_negatives) == expected


def test_a_wrong_type_is_missed_in_one_and_invented_in_the_other():
    types = score([Passage(TEXT, [A])], [[Span(0, 1, "B")]], ["A", "B"]).types
    assert types == {"A": Score(0, 0, 1), "B": Score(0, 1, 0)}


def test_types_come_in_the_order_given_and_unknown_ones_behind():
    types = score([Passage(TEXT, [A])], [[Span(0, 1, "X")]], ["C", "A"]).types
    assert list(types) == ["C", "A", "X"]


@pytest.mark.parametrize(
    ("counts", "expected"),
    [
        ((3, 1, 2), (0.75, 0.6, 2 / 3)),
        ((0, 0, 0), (None, None, None)),
        ((0, 2, 0), (0.0, None, 0.0)),
        ((0, 0, 2), (None, 0.0, 0.0)),
        ((5, 0, 0), (1.0, 1.0, 1.0)),
    ],
)
def test_a_share_of_nothing_is_undefined(counts, expected):
    result = Score(*counts)
    assert (result.precision, result.recall) == expected[:2]
    assert result.f1 == (None if expected[2] is None else pytest.approx(expected[2]))


@given(st.lists(st.tuples(aligned(), aligned()), min_size=1, max_size=5))
def test_on_aligned_spans_the_scores_are_those_of_spacy(pairs):
    examples = []
    for gold, found in pairs:
        reference, predicted = NLP.make_doc(TEXT), NLP.make_doc(TEXT)
        reference.ents = [reference.char_span(s.start, s.end, label=s.label) for s in gold]
        predicted.ents = [predicted.char_span(s.start, s.end, label=s.label) for s in found]
        examples.append(Example(predicted, reference))
    spacys = Scorer.score_spans(examples, "ents", getter=lambda doc, _: doc.ents, allow_overlap=True)
    ours = score([Passage(TEXT, gold) for gold, _ in pairs], [found for _, found in pairs], [])
    micro = ours.micro
    # spaCy says 0 where a share is undefined, and its F1 is one of shares, with a tiny term against division by 0.
    assert (micro.precision or 0) == pytest.approx(spacys["ents_p"] or 0, abs=1e-9)
    assert (micro.recall or 0) == pytest.approx(spacys["ents_r"] or 0, abs=1e-9)
    assert (micro.f1 or 0) == pytest.approx(spacys["ents_f"] or 0, abs=1e-9)
    for label, result in ours.types.items():
        theirs = spacys["ents_per_type"][label]
        assert (result.precision or 0) == pytest.approx(theirs["p"], abs=1e-9)
        assert (result.recall or 0) == pytest.approx(theirs["r"], abs=1e-9)
        assert (result.f1 or 0) == pytest.approx(theirs["f"], abs=1e-9)


@given(st.lists(st.tuples(aligned(), aligned()), min_size=1, max_size=5))
def test_the_counts_are_those_of_nervaluate(pairs):
    nervaluate = pytest.importorskip("nervaluate")

    def rows(number: int) -> list[list[dict]]:
        return [[{"start": s.start, "end": s.end, "label": s.label} for s in pair[number]] for pair in pairs]

    results = nervaluate.Evaluator(rows(0), rows(1), tags=["A", "B"], loader="dict").evaluate()
    micro = score([Passage(TEXT, gold) for gold, _ in pairs], [found for _, found in pairs], []).micro
    strict = results["overall"]["strict"]
    assert (micro.precision or 0) == pytest.approx(strict.precision)
    assert (micro.recall or 0) == pytest.approx(strict.recall)
    assert (micro.f1 or 0) == pytest.approx(strict.f1)


def test_predictions_are_needed_for_every_passage():
    with pytest.raises(ValueError, match="shorter"):
        score([Passage(TEXT), Passage(TEXT)], [[]], ["A"])


def test_a_models_spans_are_in_characters():
    nlp = spacy.blank("en")
    nlp.add_pipe("entity_ruler").add_patterns([{"label": "A", "pattern": "Redis"}])
    assert predict_spans(nlp, [Passage("🚀 e\u0301 Redis"), Passage("none")]) == [[Span(5, 10, "A")], []]


@pytest.mark.parametrize(
    ("counts", "trained_on", "name", "advice"),
    [
        pytest.param((0, 0, 0), None, "unknown", "annotate passages that have some", id="no mention"),
        pytest.param((0, 9, 0), 500, "unknown", "annotate passages that have some", id="only inventions"),
        pytest.param((85, 15, 15), 500, "ready", "use it", id="at the gate"),
        pytest.param((84, 16, 16), 500, "close", "make the guide clearer", id="just below"),
        pytest.param((80, 10, 20), 500, "close", "label more examples, of the kinds it misses", id="misses"),
        pytest.param((50, 10, 50), 500, "fallback", "use an LLM for this type", id="far below"),
        pytest.param((50, 10, 50), 150, "fallback", "label 50 more examples (150 now", id="too few examples"),
        pytest.param((50, 10, 50), None, "fallback", "use an LLM", id="not known on how many"),
        pytest.param((0, 0, 40), 500, "fallback", "misses more than it invents", id="finds nothing"),
        pytest.param((1, 0, 0), 500, "ready", "only 1 mention(s) to judge by", id="one mention"),
    ],
)
def test_the_verdict_says_what_to_do_next(counts, trained_on, name, advice):
    verdict = judge(Score(*counts), trained_on)
    assert verdict.name == name
    assert advice in verdict.advice


def test_an_llm_is_no_advice_while_examples_are_wanting():
    assert "LLM" not in judge(Score(50, 10, 50), 150).advice


def test_gates_of_ones_own_are_used():
    assert judge(Score(70, 30, 30), 500, gate=0.7).name == "ready"
    assert judge(Score(70, 30, 30), 500, gate=0.9, fallback=0.6).name == "close"


def test_the_metrics_have_every_type_and_the_sums():
    evaluation = score([Passage(TEXT, [A, C]), Passage(TEXT, [A])], [[A], [A, B]], ["A", "B", "C"])
    metrics = to_metrics(evaluation, trained_on={"A": 250})
    assert metrics["passages"] == 2
    assert list(metrics["types"]) == ["A", "B", "C"]
    assert metrics["types"]["A"]["precision"] == 0.6667
    assert metrics["types"]["B"]["precision"] is None
    assert [result["trained_on"] for result in metrics["types"].values()] == [250, 0, 0]
    assert metrics["micro"]["true_positives"] == 2
    assert metrics["micro"]["support"] == 3
    assert to_metrics(evaluation)["types"]["A"]["trained_on"] is None
