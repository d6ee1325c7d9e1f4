"""From the spans as a file has them to sound ones."""

import pytest
from helpers.versions import SCHEMA, TEXT, A, B, C, version

from spacy_domain_ner.corpus import Span
from spacy_domain_ner.exchange.cleaning import clean, rebase
from spacy_domain_ner.exchange.formats.version import RawSpan, Version
from spacy_domain_ner.exchange.policies import Overlaps, Policies, UnknownLabels
from spacy_domain_ner.exchange.reasons import Reason
from spacy_domain_ner.schema import EntitySchema, EntityType


@pytest.mark.parametrize(
    ("policy", "expected", "problem"),
    [
        pytest.param(Overlaps.longest, [C, B], None, id="longest"),
        pytest.param(Overlaps.first, [A, B], None, id="first"),
        pytest.param(Overlaps.keep, [A, C, B], None, id="keep"),
        pytest.param(Overlaps.refuse, None, "INFRA overlaps SERVICE 'Redis Cluster' in it", id="refuse"),
    ],
)
def test_overlapping_spans(policy, expected, problem):
    cleaned = clean(version(A, B, C), Policies(overlaps=policy))
    assert (cleaned.problem and str(cleaned.problem)) == problem
    if expected is not None:
        assert sorted((s.start, s.end, s.label) for s in cleaned.spans) == sorted(
            (s.start, s.end, s.label) for s in expected
        )
        assert len(cleaned.refused) == 3 - len(expected)


def test_spans_that_touch_do_not_overlap():
    cleaned = clean(version(RawSpan(0, 2, "A"), RawSpan(2, 5, "A")), Policies(overlaps=Overlaps.refuse))
    assert not cleaned.problem
    assert len(cleaned.spans) == 2


@pytest.mark.parametrize(
    ("raw", "expected", "said"),
    [
        pytest.param(RawSpan(0, 6, "INFRA"), "Redis", "white space at its edges cut off", id="a blank after"),
        pytest.param(RawSpan(5, 13, "INFRA"), "Cluster", "white space at its edges cut off", id="a blank before"),
        pytest.param(RawSpan(0, 13, "INFRA"), "Redis Cluster", None, id="a blank inside"),
    ],
)
def test_white_space_is_cut_from_the_edges_and_said(raw, expected, said):
    cleaned = clean(version(raw), Policies())
    assert [TEXT[span.start : span.end] for span in cleaned.spans] == [expected]
    assert [str(note) for note in cleaned.changed] == ([f"INFRA: {said}"] if said else [])


@pytest.mark.parametrize("hidden", ["\u200b", "\ufeff", "\u00ad", "\u2060", "\u200e", "\u200d", "\ufe0f", " \u200b"])
def test_invisible_characters_are_cut_from_the_edges_and_said(hidden):
    text = f"{hidden}Redis{hidden} is {hidden}"
    end, length = len(hidden) * 2 + 5, len(text)
    spans = [RawSpan(0, end, "INFRA"), RawSpan(length - len(hidden), length, "INFRA")]
    cleaned = clean(Version(text, spans), Policies())
    assert [text[span.start : span.end] for span in cleaned.spans] == ["Redis"]
    assert [str(note) for note in cleaned.changed] == ["INFRA: invisible characters at its edges cut off"]
    assert [note.reason for note in cleaned.refused] == [Reason.INVISIBLE]


def test_a_span_that_is_there_twice_once_trimmed_is_merged():
    cleaned = clean(version(A, RawSpan(0, 6, "INFRA"), A), Policies())
    assert cleaned.spans == [Span(0, 5, "INFRA")]
    assert sum(note.reason is Reason.MERGED for note in cleaned.changed) == 2


@pytest.mark.parametrize(
    ("policies", "expected"),
    [
        pytest.param(Policies(), ["INFRA"], id="the place is unknown"),
        pytest.param(Policies(unknown_labels=UnknownLabels.span), ["INFRA"], id="the span is refused"),
        pytest.param(
            Policies(unknown_labels=UnknownLabels.keep, overlaps=Overlaps.keep), ["INFRA", "SERVICE"], id="kept"
        ),
        pytest.param(Policies(unknown_labels=UnknownLabels.passage), None, id="the passage is refused"),
        pytest.param(Policies(rename={"SERVICE": "INFRA"}, overlaps=Overlaps.keep), ["INFRA", "INFRA"], id="renamed"),
        pytest.param(Policies(rename={"SERVICE": ""}), ["INFRA"], id="renamed to nothing"),
        pytest.param(Policies(rename={"INFRA": "X", "SERVICE": "INFRA"}), ["INFRA"], id="renamed away"),
    ],
)
def test_labels_that_are_no_entity_types(policies, expected):
    cleaned = clean(version(A, C), policies, SCHEMA)
    if expected is None:
        assert str(cleaned.problem) == "it has the unknown label 'SERVICE'"
    else:
        assert not cleaned.problem
        assert [span.label for span in cleaned.spans] == expected


def test_the_place_of_an_unknown_label_is_unknown_unless_somebody_says_that_it_is_no_entity():
    def unknown(**policies):
        cleaned = clean(version(A, RawSpan(6, 13, "PERSON")), Policies(**policies), SCHEMA)
        return [(TEXT[part.start : part.end], part.label) for part in cleaned.unknown]

    assert unknown() == [("Cluster", "PERSON")]
    assert unknown(unknown_labels="span") == []
    assert unknown(rename={"PERSON": ""}) == []
    assert unknown(unknown_labels="keep") == []


@pytest.mark.parametrize(
    ("label", "expected"),
    [
        ("CONTAINER_ID", "CONTAINER_ID"),
        ("Container ID", "CONTAINER_ID"),
        ("container-id", "CONTAINER_ID"),
        ("ContainerId", "CONTAINER_ID"),
        ("Vessel", "VESSEL"),
        ("vessels", None),
        ("", None),
    ],
)
def test_a_label_that_is_only_written_in_another_way_is_its_type(label, expected):
    schema = EntitySchema(entity_types=[EntityType(name="VESSEL"), EntityType(name="CONTAINER_ID")])
    assert schema.type_of(label) == expected
    if label:
        cleaned = clean(version(RawSpan(0, 5, label)), Policies(), schema)
        assert [span.label for span in cleaned.spans] == ([expected] if expected else [])
        assert list(cleaned.spellings) == ([(label, expected)] if expected and expected != label else [])


def test_a_label_that_could_be_two_types_is_neither():
    schema = EntitySchema(entity_types=[EntityType(name="A_B"), EntityType(name="A-B")])
    assert (schema.type_of("A-B"), schema.type_of("a b")) == ("A-B", None)


def test_a_passage_is_refused_when_none_of_its_spans_can_be_taken_and_not_taken_for_one_without():
    beyond, unknown = RawSpan(90, 95, "INFRA"), RawSpan(0, 5, "PERSON")
    assert clean(version(beyond), Policies()).problem == Reason.NO_SPAN_FITS.note()
    assert clean(version(beyond, A), Policies()).problem is None
    assert clean(version(unknown), Policies(), SCHEMA).problem is None
    assert clean(version(), Policies()).problem is None


def test_without_entity_types_every_label_is_taken():
    assert len(clean(version(A, C), Policies(overlaps=Overlaps.keep)).spans) == 2


def test_renaming_two_labels_to_one_merges_spans_that_become_the_same():
    cleaned = clean(version(A, RawSpan(0, 5, "DB")), Policies(rename={"DB": "INFRA"}))
    assert cleaned.spans == [Span(0, 5, "INFRA")]


@pytest.mark.parametrize(
    ("text", "onto"),
    [("a  b", "a b"), ("a\r\nb", "a b"), (" a b ", "a\tb"), ("a b", "a b"), ("😀 a b", "😀\na b")],
)
def test_spans_move_to_a_text_that_differs_in_white_space(text, onto):
    spans = [Span(text.index("a"), text.index("a") + 1, "A"), Span(text.index("b"), text.index("b") + 1, "B")]
    assert [(onto[span.start : span.end], span.label) for span in rebase(spans, text, onto)] == [("a", "A"), ("b", "B")]


def test_spans_do_not_move_to_another_text():
    with pytest.raises(ValueError, match="more than white space"):
        list(rebase([Span(0, 1, "A")], "a b", "a c"))
