"""How often sources are right, and what follows for each span."""

import random

import pytest

from spacy_domain_ner.bootstrapping.reliability import absent_of, candidates_of, estimate
from spacy_domain_ner.bootstrapping.sources import ORDINARY, Found
from spacy_domain_ner.corpus import Passage, Span


class Planted:
    """A source of which only the types count here."""

    def __init__(self, name):
        self.name, self.types = name, frozenset({"PORT"})

    def find(self, passages):
        raise NotImplementedError


def spans(*places, kind=""):
    return [Found(Span(place, place + 4, "PORT"), kind) for place in places]


def passage(*places, gold=()):
    text = "".join(f"w{place:03}." for place in range(0, 100, 5))
    return Passage(text, [Span(place, place + 4, "PORT") for place in gold])


def settled(sources, reviewed, others):
    """The records of the sources, and the probabilities in the passages that nobody has reviewed."""
    answers = [(one, candidates_of(one, found)) for one, found in reviewed]
    unreviewed = [candidates_of(passage(), found) for found in others]
    records = estimate(sources, answers, unreviewed)
    return records, [[candidate.probability for candidate in of] for of in unreviewed]


def test_a_source_is_as_good_as_the_reviewed_passages_say():
    # Each name only once: nothing is known of the single names.
    right = [(Passage(f"{n:04}", [Span(0, 4, "PORT")]), [[Found(Span(0, 4, "PORT"))]]) for n in range(60)]
    wrong = [(Passage(f"{n:04}"), [[Found(Span(0, 4, "PORT"))]]) for n in range(100, 140)]
    records, probabilities = settled([Planted("one")], right + wrong, [[spans(50)]] * 300)
    assert records[0, "PORT"].precision == pytest.approx(0.6, abs=0.05)
    assert probabilities[0][0] == pytest.approx(0.6, abs=0.05)
    assert (records[0, "PORT"].right, records[0, "PORT"].wrong, records[0, "PORT"].missed) == (60, 40, 0)


def test_recall_is_that_of_the_reviewed_passages():
    reviewed = [(passage(gold=(0, 20, 40, 60)), [spans(0)])] * 5
    records, _ = settled([Planted("one")], reviewed, [])
    assert records[0, "PORT"].recall == pytest.approx(0.25)


def test_a_source_that_has_not_answered_for_a_passage_is_not_counted_there():
    sources = [Planted("one"), Planted("other")]
    gold = passage(gold=(0, 20))
    reviewed = [(gold, [spans(0, 20), spans(0, 20)])] * 5 + [(gold, [spans(0, 20), None])] * 45
    answers = [(one, candidates_of(one, found)) for one, found in reviewed]
    unreviewed = [candidates_of(passage(), found) for found in ([spans(50), spans(50)], [spans(50), None])]
    records = estimate(sources, answers, unreviewed, [absent_of(found) for _, found in reviewed])
    assert (records[1, "PORT"].right, records[1, "PORT"].missed) == (10, 0)
    assert records[1, "PORT"].recall == 1.0
    assert all(one.probability > 0.9 for of_passage in unreviewed for one in of_passage)


def test_sources_that_agree_are_surer_than_one_of_them():
    generator = random.Random(0)

    def draw(gold):
        # Both find three of four entities, and something wrong now and then.
        return [
            spans(*(place for place in gold if generator.random() < 0.75), *(90,) * (generator.random() < 0.3))
            for _ in range(2)
        ]

    reviewed = [(passage(gold=(0, 20, 40)), draw((0, 20, 40))) for _ in range(50)]
    _, ((both, alone),) = settled([Planted("a"), Planted("b")], reviewed, [[spans(50, 70), spans(50)]])
    assert both > 0.9
    assert both > alone


def test_of_spans_that_overlap_at_most_one_is_an_entity():
    longer = [Found(Span(0, 9, "PORT"))]
    _, ((first, second),) = settled([Planted("a"), Planted("b")], [], [[spans(0), longer]])
    assert first + second <= 1
    assert max(first, second) < 0.9


@pytest.mark.parametrize(("gold", "expected"), [((), "wrong"), ((0,), "right")])
def test_the_record_of_a_name_counts(gold, expected):
    others = [(passage(gold=(20,)), [spans(20)])] * 10
    seen = [(passage(gold=gold), [spans(0)])] * 3
    _, ((of_name, of_another),) = settled([Planted("a")], others + seen, [[spans(0, 60)]])
    assert (of_name < 0.5 < of_another) if expected == "wrong" else of_name > 0.95


def test_an_ordinary_word_is_not_sure_unless_reviewed_passages_have_it_as_a_name():
    reviewed = [(passage(gold=(20,)), [spans(20, kind=ORDINARY)])] * 50
    _, ((known, unknown),) = settled([Planted("a")], reviewed, [[spans(20, 60, kind=ORDINARY)]])
    assert known > 0.9
    assert unknown < 0.5


def test_without_reviewed_passages_a_single_source_is_nearly_sure():
    _, ((usual,), (ordinary,)) = settled([Planted("a")], [], [[spans(0)], [spans(0, kind=ORDINARY)]])
    assert ordinary < 0.5 < usual < 0.95


def test_a_type_that_no_source_finds_has_no_record():
    reviewed = [(Passage("Aden calls", [Span(0, 4, "SHIP")]), [[]])]
    records, _ = settled([Planted("a")], reviewed, [[spans(0)]])
    assert [label for _, label in records] == ["PORT"]
