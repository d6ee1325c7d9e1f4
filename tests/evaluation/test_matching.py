"""Which spans belong together, against cases by hand and nervaluate's four schemes."""

from collections import Counter

import pytest
from hypothesis import given
from hypothesis import strategies as st

from spacy_domain_ner.corpus import Span
from spacy_domain_ner.evaluation.matching import SCHEMES, Match, pair_spans, score_schemes

spans = st.lists(
    st.builds(lambda start, length, label: Span(start, start + length, label), st.integers(0, 12), st.integers(1, 5),
              st.sampled_from("AB")),
    max_size=6,
)  # fmt: skip


def kinds(gold: list[Span], predicted: list[Span]) -> list[str]:
    return [found.kind for found in pair_spans(gold, predicted)]


@pytest.mark.parametrize(
    ("gold", "predicted", "expected"),
    [
        pytest.param([(0, 5, "A")], [(0, 5, "A")], ["correct"], id="correct"),
        pytest.param([(0, 5, "A")], [(0, 5, "B")], ["type"], id="type"),
        pytest.param([(0, 5, "A")], [(0, 7, "A")], ["boundary"], id="too long"),
        pytest.param([(0, 5, "A")], [(2, 7, "B")], ["type and boundary"], id="both"),
        pytest.param([(0, 5, "A")], [], ["missed"], id="missed"),
        pytest.param([], [(0, 5, "A")], ["spurious"], id="spurious"),
        pytest.param([(0, 5, "A")], [(5, 7, "A")], ["missed", "spurious"], id="side by side"),
        pytest.param([(0, 5, "A")], [(0, 2, "A"), (3, 5, "A")], ["boundary", "spurious"], id="in two"),
        pytest.param([(0, 2, "A"), (3, 5, "A")], [(0, 5, "A")], ["boundary", "missed"], id="joined"),
        pytest.param([(0, 9, "A"), (0, 3, "A")], [(0, 3, "A")], ["correct", "missed"], id="the equal one of two"),
        pytest.param([(0, 9, "A")], [(0, 8, "B"), (8, 9, "A")], ["spurious", "boundary"], id="type before overlap"),
        pytest.param([(0, 5, "A"), (0, 5, "A")], [(0, 5, "A")], ["correct", "missed"], id="annotated twice"),
        pytest.param([(0, 40, "A"), (30, 32, "B")], [(31, 33, "B")], ["missed", "boundary"], id="inside a long one"),
    ],
)
def test_spans_are_paired_by_what_they_share(gold, predicted, expected):
    assert kinds([Span(*span) for span in gold], [Span(*span) for span in predicted]) == expected


@pytest.mark.parametrize(
    ("one", "other", "expected"),
    [
        pytest.param([(0, 1, "A"), (2, 5, "B")], [(0, 5, "B")], ["type and boundary", "boundary"], id="two in one"),
        pytest.param([(0, 5, "B")], [(0, 1, "A"), (2, 5, "B")], ["type and boundary", "boundary"], id="one over two"),
        pytest.param([(0, 5, "A"), (0, 5, "B")], [(0, 5, "A")], ["correct", "missed"], id="what agrees is settled"),
        pytest.param([(0, 5, "A")], [(5, 7, "A")], ["missed", "spurious"], id="side by side"),
    ],
)
def test_every_difference_is_listed_where_a_partner_may_have_several(one, other, expected):
    matches = pair_spans([Span(*span) for span in one], [Span(*span) for span in other], one_to_one=False)
    assert [found.kind for found in matches] == expected


@given(spans, spans)
def test_several_partners_only_add_pairs_for_what_was_left_over(gold, predicted):
    one_to_one, several = (Counter(pair_spans(gold, predicted, one_to_one=choice)) for choice in (True, False))
    assert all(found.kind in ("missed", "spurious") for found in one_to_one - several)
    assert (one_to_one - several).total() == (several - one_to_one).total()
    left_over = {found.span for found in one_to_one - several}
    assert all({found.gold, found.predicted} & left_over for found in several - one_to_one)


@given(spans, spans)
def test_every_span_is_in_one_match(gold, predicted):
    matches = pair_spans(gold, predicted)
    assert sorted(found.gold for found in matches if found.gold) == sorted(gold)
    assert sorted(found.predicted for found in matches if found.predicted) == sorted(predicted)
    for found in matches:
        if found.gold and found.predicted:
            assert found.gold.start < found.predicted.end
            assert found.predicted.start < found.gold.end
    # Whatever overlaps has a partner, unless its partners have others.
    alone = [found for found in matches if found.kind in ("missed", "spurious")]
    for one in alone:
        for other in alone:
            if one.gold and other.predicted:
                assert one.gold.end <= other.predicted.start or other.predicted.end <= one.gold.start


def overlapping(span: Span, others: list[Span]) -> int:
    return sum(span.start < other.end and other.start < span.end for other in others)


@given(st.lists(st.tuples(spans, spans), min_size=1, max_size=4))
def test_the_schemes_are_those_of_nervaluate(pairs):
    # Where a span overlaps several, nervaluate takes the first of the list, which may be the worse one.
    nervaluate = pytest.importorskip("nervaluate")
    pairs = [
        pair for pair in pairs if all(overlapping(span, pair[1 - side]) < 2 for side in (0, 1) for span in pair[side])
    ]
    if not any(pair[0] or pair[1] for pair in pairs):
        return
    rows = [
        # Its ends are inclusive.
        [[{"start": s.start, "end": s.end - 1, "label": s.label} for s in sorted(pair[side])] for pair in pairs]
        for side in (0, 1)
    ]
    theirs = nervaluate.Evaluator(*rows, tags=["A", "B"], loader="dict").evaluate()["overall"]
    ours = score_schemes([pair_spans(*pair) for pair in pairs])
    for scheme, name in zip(SCHEMES, ("strict", "exact", "partial", "ent_type"), strict=True):
        for figure in ("correct", "incorrect", "partial", "missed", "spurious"):
            assert getattr(ours[scheme], figure) == getattr(theirs[name], figure), (scheme, figure)
        for figure in ("precision", "recall", "f1"):
            assert (getattr(ours[scheme], figure) or 0) == pytest.approx(getattr(theirs[name], figure))


def test_a_share_of_nothing_is_undefined():
    scores = score_schemes([[], [Match(Span(0, 1, "A"), None)]])
    assert scores["strict"].to_dict() == {
        "precision": None, "recall": 0.0, "f1": 0.0, "correct": 0, "incorrect": 0, "partial": 0, "missed": 1,
        "spurious": 0,
    }  # fmt: skip
    assert score_schemes([])["type"].f1 is None


def test_a_text_of_many_spans_is_matched_in_linear_time():
    # Pair by pair these would be 400 million comparisons.
    many = [Span(10 * number, 10 * number + 5, "A") for number in range(20_000)]
    shifted = [Span(span.start + 1, span.end + 1, "A") for span in many]
    assert [found.kind for found in pair_spans(many, shifted)] == ["boundary"] * 20_000
