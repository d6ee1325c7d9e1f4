"""All counts of an evaluation: against counts by hand, against `score`, and against spaCy's scorer."""

import random

import pytest
import spacy
from hypothesis import given
from hypothesis import strategies as st
from spacy.scorer import Scorer
from spacy.training import Example

from spacy_domain_ner.corpus import Passage, Span
from spacy_domain_ner.evaluation.analysis import Predicted, analyse, predict
from spacy_domain_ner.evaluation.bootstrap import count_passages
from spacy_domain_ner.evaluation.scores import score

A, B = Span(0, 1, "A"), Span(2, 3, "B")


def test_a_models_spans_come_with_what_its_tokens_can_not_express():
    nlp = spacy.blank("en")
    nlp.add_pipe("entity_ruler").add_patterns([{"label": "A", "pattern": "Redis"}])
    passages = [Passage("🚀 Redis", [Span(2, 7, "A"), Span(2, 4, "B")]), Passage("none")]
    assert predict(nlp, passages) == [Predicted([Span(2, 7, "A")], frozenset([Span(2, 4, "B")])), Predicted([])]


@pytest.fixture
def analysis():
    train = [Passage("x y", [Span(0, 1, "A")]), Passage("x y", [Span(0, 1, "A"), Span(2, 3, "B")])]
    passages = [
        Passage("x y", [A, B], {"genre": "docs", "source": "1"}),
        Passage("z y", [A], {"genre": "docs", "source": "2"}),
        Passage("x q", [A], {"genre": "log", "source": "3"}),
    ]
    predicted = [Predicted([A, B]), Predicted([B]), Predicted([A, B])]
    return analyse(passages, predicted, ["C", "A", "B"], train)


def test_types_come_in_the_order_of_the_schema_with_their_counts(analysis):
    assert list(analysis.types) == ["C", "A", "B"]
    scores = {label: result.score for label, result in analysis.types.items()}
    assert [(s.true_positives, s.false_positives, s.false_negatives) for s in scores.values()] == [
        (0, 0, 0), (2, 0, 1), (1, 2, 0),
    ]  # fmt: skip
    assert analysis.micro.score.true_positives == 3
    assert analysis.trained_on == {"A": 2, "B": 1}


def test_macro_is_the_mean_of_the_types_that_occur(analysis):
    assert analysis.macro.value == pytest.approx((0.8 + 0.5) / 2)


def test_names_that_training_had_are_scored_apart_and_sum_up(analysis):
    # x is known as an A and y as a B; z and q are not known.
    seen, unseen = analysis.micro.seen, analysis.micro.unseen
    assert (seen.true_positives, seen.false_positives, seen.false_negatives) == (3, 1, 0)
    assert (unseen.true_positives, unseen.false_positives, unseen.false_negatives) == (0, 1, 1)
    for result in (analysis.micro, *analysis.types.values()):
        assert result.seen + result.unseen == result.score


def test_without_a_training_set_nothing_is_said_about_it(analysis):
    bare = analyse(analysis.passages, [Predicted(spans) for spans in analysis.predictions])
    assert (bare.trained_on, bare.micro.seen, bare.types["A"].unseen) == (None, None, None)
    assert list(bare.types) == ["A", "B"]


def test_passages_are_grouped_by_what_divides_them_into_a_few(analysis):
    # Each has a source of its own here, which says nothing.
    assert list(analysis.groups) == ["genre"]
    docs, log = analysis.groups["genre"].items()
    assert (docs[0], docs[1][0], docs[1][1].true_positives) == ("docs", 2, 2)
    assert (log[0], log[1][0], log[1][1].false_positives) == ("log", 1, 1)
    many = [Passage("x", meta={"source": str(number), "one": "same", "kind": "ab"[number % 2]}) for number in range(21)]
    assert list(analyse(many, [Predicted([])] * 21).groups) == ["kind"]


def test_the_users_own_passages_are_a_group_beside_those_of_a_pack():
    own, came, other = Passage("x"), Passage("y", meta={"origin": "starter"}), Passage("z", meta={"origin": "ward"})
    assert list(analyse([own, came, own], [Predicted([])] * 3).groups["origin"]) == ["own", "starter"]
    assert analyse([came] * 3, [Predicted([])] * 3).groups == analyse([own, other], [Predicted([])] * 2).groups == {}


def test_values_of_meta_that_are_not_text_make_no_groups():
    passages = [Passage("x", meta={"n": 1, "list": ["a"], "none": None, "empty": ""}), Passage("y", meta={"n": 2})]
    assert analyse(passages, [Predicted([])] * 2).groups == {}


def test_every_passage_needs_a_prediction():
    with pytest.raises(ValueError, match="shorter"):
        analyse([Passage("x"), Passage("y")], [Predicted([])])


some_spans = st.lists(
    st.builds(lambda start, length, label: Span(start, start + length, label), st.integers(0, 6), st.integers(1, 3),
              st.sampled_from("AB")),
    max_size=5,
)  # fmt: skip


@given(st.lists(st.tuples(some_spans, some_spans), max_size=4), some_spans)
def test_the_counts_from_the_matches_are_those_of_score(pairs, trained):
    text = "one two a"
    passages, predictions = [Passage(text, gold) for gold, _ in pairs], [found for _, found in pairs]
    analysis = analyse(passages, [Predicted(found) for found in predictions], "AB", [Passage(text, trained)])
    counts = count_passages(passages, predictions, "AB")
    assert {label: result.counts.tolist() for label, result in analysis.types.items()} == {
        label: of_type.tolist() for label, of_type in counts.items()
    }
    assert analysis.micro.score == score(passages, predictions, "AB").micro
    known = {(span.label, text[span.start : span.end]) for span in trained}

    def seen(spans: list[Span]) -> list[Span]:
        return [span for span in spans if (span.label, text[span.start : span.end]) in known]

    only_seen = score([Passage(text, seen(gold)) for gold, _ in pairs], [seen(found) for found in predictions], "AB")
    assert {label: result.seen for label, result in analysis.types.items()} == only_seen.types


@pytest.mark.parametrize("seed", range(10))
def test_the_scores_are_those_of_spacys_scorer(seed):
    draw = random.Random(seed)
    nlp = spacy.blank("en")

    def annotate(words: list[str]) -> list[Span]:
        spans, start = [], 0
        for word in words:
            if draw.random() < 0.4:
                spans.append(Span(start, start + len(word), draw.choice("ABC")))
            start += len(word) + 1
        return spans

    passages, predicted, examples = [], [], []
    for _ in range(40):
        words = [draw.choice(["one", "two", "three"]) for _ in range(draw.randint(1, 6))]
        passage = Passage(" ".join(words), annotate(words))
        found = annotate(words) if draw.random() < 0.7 else passage.spans
        passages.append(passage)
        predicted.append(Predicted(found))
        docs = [nlp.make_doc(passage.text) for _ in range(2)]
        for doc, spans in zip(docs, (found, passage.spans), strict=True):
            doc.ents = [doc.char_span(span.start, span.end, label=span.label) for span in spans]
        examples.append(Example(*docs))
    theirs = Scorer.score_spans(examples, "ents")
    ours = analyse(passages, predicted)
    for result, (precision, recall, f1) in (
        (ours.micro, (theirs["ents_p"], theirs["ents_r"], theirs["ents_f"])),
        *((ours.types[label], (of["p"], of["r"], of["f"])) for label, of in theirs["ents_per_type"].items()),
    ):
        assert (result.score.precision, result.score.recall, result.score.f1) == pytest.approx((precision, recall, f1))
