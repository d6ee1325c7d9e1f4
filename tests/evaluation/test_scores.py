"""Scores against counts by hand, spaCy's Scorer and nervaluate."""

import pytest
import spacy
from hypothesis import given
from hypothesis import strategies as st
from spacy.scorer import Scorer
from spacy.training import Example

from spacy_domain_ner.corpus import Passage, Span
from spacy_domain_ner.evaluation.scores import Score, predict_spans, score

TEXT = "a b c d e f g h"
NLP = spacy.blank("en")
A, B = Span(0, 1, "A"), Span(2, 3, "A")


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


@pytest.mark.parametrize(
    ("found", "expected"),
    [
        pytest.param([A, B], (1, 0, 0), id="a prediction in the unknown part does not count"),
        pytest.param(
            [Span(0, 3, "A")], (0, 0, 1), id="one that reaches into it does not count, and misses what is left"
        ),
        pytest.param([Span(6, 7, "A")], (0, 1, 1), id="one elsewhere counts"),
    ],
)
def test_what_nobody_knows_makes_a_prediction_neither_right_nor_wrong(found, expected):
    result = score([Passage(TEXT, [A], unknown=[Span(2, 5, "")])], [found], ["A"]).micro
    assert (result.true_positives, result.false_positives, result.false_negatives) == expected


def test_a_wrong_type_is_missed_in_one_and_invented_in_the_other():
    types = score([Passage(TEXT, [A])], [[Span(0, 1, "B")]], ["A", "B"]).types
    assert types == {"A": Score(0, 0, 1), "B": Score(0, 1, 0)}


def test_types_come_in_the_order_given_and_unknown_ones_after_them():
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
