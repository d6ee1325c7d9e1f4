"""Prodigy's annotations: by hand, corrected, binary answers, blocks, reviews, and what is none."""

import contextlib
import json

import pytest
from hypothesis import given
from hypothesis import strategies as st

from spacy_domain_ner.corpus import Passage, Span
from spacy_domain_ner.errors import UserError
from spacy_domain_ner.exchange.cleaning import clean
from spacy_domain_ner.exchange.formats import prodigy
from spacy_domain_ner.exchange.policies import Annotators, KeepOrDrop, Overlaps, Policies
from spacy_domain_ner.reading.records import RefusedError
from spacy_domain_ner.text import trimmed

TEXT = "Redis is down since Kafka restarted"
REDIS, KAFKA = ("Redis", "INFRA"), ("Kafka", "INFRA")
SPAN = {"start": 0, "end": 5, "label": "INFRA", "token_start": 0, "token_end": 0}
OTHER = {"start": 20, "end": 25, "label": "INFRA", "token_start": 4, "token_end": 4}
TOKENS = [{"text": word, "start": 0, "end": 1, "id": number} for number, word in enumerate(TEXT.split())]
HASHES = {"_input_hash": -7, "_task_hash": 9, "_timestamp": 1700000000}
MANUAL = {
    "text": TEXT,
    "tokens": TOKENS,
    "spans": [SPAN, OTHER],
    "answer": "accept",
    "_view_id": "ner_manual",
    **HASHES,
}
TEACH = {"text": TEXT, "spans": [{**SPAN, "rank": 0, "score": 0.4, "source": "model"}], "_view_id": "ner", **HASHES}
OLD_TEACH = {key: value for key, value in TEACH.items() if key != "_view_id"}


def as_lines(*records):
    return "".join(json.dumps(record) + "\n" for record in records)


def without(record, *keys):
    return {key: value for key, value in record.items() if key not in keys}


@pytest.mark.parametrize(
    "row",
    [
        pytest.param(MANUAL, id="ner.manual"),
        pytest.param(without(MANUAL, "_view_id", "_timestamp"), id="ner.manual of the first versions"),
        pytest.param(without(MANUAL, "answer"), id="no answer"),
        pytest.param(without(MANUAL, "tokens", *HASHES), id="no tokens"),
        pytest.param({"text": TEXT, "spans": [SPAN, OTHER]}, id="text and spans alone"),
        pytest.param({**MANUAL, "spans": [{**SPAN, "source": "en_core", "input_hash": 3}, OTHER]}, id="ner.correct"),
        pytest.param({**MANUAL, "_view_id": "blocks", "options": [], "accept": []}, id="blocks"),
        pytest.param({**MANUAL, "_view_id": "spans_manual"}, id="spans_manual"),
        pytest.param({**MANUAL, "_is_binary": False}, id="said not to be binary"),
        pytest.param(
            {**MANUAL, "_view_id": "review", "view_id": "ner_manual", "versions": [{}], "sessions": []}, id="review"
        ),
        pytest.param({**MANUAL, "_view_id": "relations", "relations": []}, id="relations"),
        pytest.param(
            {**MANUAL, "spans": [{**SPAN, "token_end": 1}, {**OTHER, "token_end": 5}]}, id="exclusive token ends"
        ),
        pytest.param({**MANUAL, "spans": [without(SPAN, "token_start", "token_end"), OTHER]}, id="no token offsets"),
        pytest.param({**MANUAL, "spans": [{**SPAN, "text": "Redis"}, {**OTHER, "text": "stale"}]}, id="a stale text"),
    ],
)
def test_what_was_annotated_by_hand_is_complete(imported, row):
    result = imported(as_lines(row), name="annotations.jsonl")
    assert result.mentions == [[REDIS, KAFKA]]
    assert result.report.files[0][1].startswith("Prodigy")
    assert not {"versions", "sessions", "view_id", "tokens", "_timestamp"} & set(result.passages[0].extra)


@pytest.mark.parametrize("spans", [pytest.param({"spans": []}, id="empty"), pytest.param({}, id="missing")])
def test_accepted_by_hand_without_a_span_there_is_no_entity(imported, spans):
    result = imported(as_lines({**without(MANUAL, "spans"), **spans}))
    assert result.mentions == [[]]


@pytest.mark.parametrize(
    ("row", "reason"),
    [
        pytest.param({**TEACH, "answer": "accept"}, "annotated in part", id="teach, accepted"),
        pytest.param({**TEACH, "answer": "reject"}, "annotated in part", id="teach, rejected"),
        pytest.param({**TEACH, "answer": "ignore"}, "skipped", id="teach, ignored"),
        pytest.param({**OLD_TEACH, "answer": "accept"}, "annotated in part", id="old teach, accepted"),
        pytest.param({**OLD_TEACH, "answer": "reject"}, "annotated in part", id="old teach, rejected"),
        pytest.param({**OLD_TEACH, "answer": "ignore"}, "skipped", id="old teach, ignored"),
        pytest.param({"text": TEXT, "spans": [SPAN], "answer": "reject"}, "annotated in part", id="rejected, no view"),
        pytest.param({**MANUAL, "_view_id": "spans"}, "annotated in part", id="spans, shown only"),
        pytest.param({**MANUAL, "_is_binary": True}, "annotated in part", id="said to be binary"),
        pytest.param(
            {**TEACH, "_view_id": "review", "view_id": "ner"}, "annotated in part", id="a review of binary answers"
        ),
        pytest.param({**TEACH, "spans": [], "answer": "accept"}, "annotated in part", id="teach without a suggestion"),
        pytest.param({**MANUAL, "answer": "reject"}, "skipped", id="by hand, rejected"),
        pytest.param({**without(MANUAL, "tokens"), "answer": "reject"}, "skipped", id="by hand, rejected, no tokens"),
        pytest.param({**MANUAL, "answer": "ignore"}, "skipped", id="by hand, ignored"),
        pytest.param({**without(MANUAL, "spans"), "answer": "ignore"}, "skipped", id="ignored without spans"),
        pytest.param(
            {"text": TEXT, "label": "GOOD", "answer": "accept", "_view_id": "classification"},
            "not annotated",
            id="text classification",
        ),
        pytest.param(
            {"text": TEXT, "accept": [1], "answer": "accept", "_view_id": "choice"}, "not annotated", id="choice"
        ),
        pytest.param(
            {"text": TEXT, "accept": [1], "answer": "accept", "_view_id": "blocks"},
            "not annotated",
            id="blocks without tokens",
        ),
        pytest.param({"text": TEXT, "_input_hash": 4, "_task_hash": 5}, "not annotated", id="a task to annotate"),
    ],
)
def test_what_is_not_wholly_annotated_is_never_read_as_without_entities(imported, row, reason):
    for policies in (Policies(), Policies(annotators=Annotators.each, predictions=KeepOrDrop.keep)):
        result = imported(as_lines(row), policies=policies)
        assert result.passages == []
        (found,) = result.report.reasons
        assert reason in found


@pytest.mark.parametrize("row", [TEACH, OLD_TEACH])
def test_an_ignored_question_is_no_annotation_even_if_skipped_passages_are_wanted(imported, row):
    result = imported(as_lines({**row, "answer": "ignore"}), policies=Policies(skipped=KeepOrDrop.keep))
    assert result.passages == []


def test_a_passage_that_was_skipped_by_hand_can_be_wanted(imported):
    row = {**MANUAL, "answer": "ignore"}
    assert imported(as_lines(row), policies=Policies(skipped=KeepOrDrop.keep)).mentions == [[REDIS, KAFKA]]


def test_a_complete_annotation_counts_beside_binary_answers(imported):
    rows = [{**TEACH, "answer": "accept"}, MANUAL, {**TEACH, "answer": "reject"}]
    result = imported(as_lines(*rows))
    assert result.mentions == [[REDIS, KAFKA]]
    assert sum(result.report.reasons.values()) == 2


def test_binary_answers_are_written_to_be_completed(imported, tmp_path):
    second = {**TEACH, "spans": [{**OTHER, "rank": 1}]}
    third = {**TEACH, "spans": [{**SPAN, "end": 13, "rank": 1}]}
    rows = [{**TEACH, "answer": "accept"}, {**second, "answer": "accept"}, {**third, "answer": "reject"}]
    to_label = tmp_path / "to_label.jsonl"
    imported(as_lines(*rows), to_label=to_label)
    (record,) = [json.loads(line) for line in to_label.read_text(encoding="utf8").splitlines()]
    assert [(span["start"], span["end"]) for span in record["spans"]] == [(0, 5), (20, 25)]
    assert "answer" not in record


def test_binary_answers_can_be_learned_from_and_say_nothing_of_the_rest(imported):
    down = {"start": 9, "end": 13, "label": "INFRA", "rank": 2}
    rows = [
        {**TEACH, "answer": "accept"},
        {**TEACH, "spans": [down], "answer": "reject"},
        {**TEACH, "spans": [{**OTHER, "rank": 1}], "answer": "accept"},
        {**TEACH, "spans": [{**OTHER, "rank": 1}], "answer": "reject"},
        {**TEACH, "spans": [{**SPAN, "end": 8, "rank": 1}], "answer": "reject"},
        {**TEACH, "answer": "ignore"},
    ]
    result = imported(as_lines(*rows), policies=Policies(partial=KeepOrDrop.keep))
    (passage,) = result.passages
    assert result.mentions == [[REDIS]]
    assert passage.incorrect == [Span(9, 13, "INFRA")]
    assert passage.unknown == [Span(5, len(TEXT), "")]
    assert passage.meta["training_only"] is True
    assert (result.report.passages["read"], result.report.passages["kept"]) == (6, 1)
    assert result.report.incorrect == 1
    spans = result.report.spans
    assert spans["read"] == spans["kept"] + spans["left out"] + spans["merged"] + spans["refused"]


def test_a_complete_annotation_counts_alone_beside_binary_answers_that_are_kept(imported):
    rows = [MANUAL, {**TEACH, "spans": [OTHER], "answer": "reject"}]
    result = imported(as_lines(*rows), policies=Policies(partial=KeepOrDrop.keep))
    assert result.mentions == [[REDIS, KAFKA]]
    assert result.passages[0].incorrect == []


def test_rejected_spans_are_left_out_and_counted(imported):
    result = imported(as_lines({**MANUAL, "spans": [{**SPAN, "answer": "reject"}, {**OTHER, "answer": "accept"}]}))
    assert result.mentions == [[KAFKA]]
    assert result.report.ignored == {"rejected suggestion": 1}


@pytest.mark.parametrize(
    ("names", "expected"),
    [
        pytest.param({"_annotator_id": "team-ann", "_session_id": "team-ann"}, "team-ann", id="a named session"),
        pytest.param({"_session_id": "team-ben"}, "team-ben", id="a session only"),
        pytest.param({"_session_id": None}, "unknown", id="null"),
        pytest.param(
            {"_annotator_id": "2024-05-06_10-11-12", "_session_id": "2024-05-06_10-11-12"}, "unknown", id="a time"
        ),
    ],
)
def test_sessions_name_the_annotators_unless_they_are_times(imported, names, expected):
    result = imported(as_lines({**MANUAL, **names}), policies=Policies(annotators=Annotators.each))
    assert result.passages[0].meta["annotator"] == expected


@pytest.mark.parametrize("order", [1, -1])
def test_an_annotators_later_answer_counts(imported, order):
    first = {**MANUAL, "spans": [SPAN], "_session_id": "ann"}
    second = {**MANUAL, "spans": [OTHER], "_session_id": "ann", "_timestamp": 1700000999.0}
    assert imported(as_lines(*[first, second][::order])).mentions == [[KAFKA]]


@pytest.mark.parametrize(
    ("row", "reason"),
    [
        pytest.param({**MANUAL, "answer": "maybe"}, "must be accept, reject or ignore", id="another answer"),
        pytest.param({**MANUAL, "answer": ["accept"]}, "must be accept, reject or ignore", id="a list as the answer"),
        pytest.param({**MANUAL, "spans": {"start": 0}}, "'spans' must be a list", id="an object as spans"),
        pytest.param({**MANUAL, "text": None}, "no text", id="no text"),
        pytest.param({**MANUAL, "text": " \n "}, "an empty text", id="a blank text"),
        pytest.param({**MANUAL, "meta": {"source": "\udfff"}}, "surrogate", id="half a pair in the source"),
        pytest.param({**MANUAL, "note": "\ud800"}, "surrogate", id="half a pair in another key"),
        pytest.param({**MANUAL, "spans": [{**SPAN, "label": "\ud800"}]}, "surrogate", id="half a pair in a label"),
    ],
)
def test_broken_rows_are_refused_with_their_line(imported, row, reason):
    result = imported(as_lines(MANUAL, row))
    assert result.mentions == [[REDIS, KAFKA]]
    (entry,) = result.report.shown["refused"]
    assert (reason in entry.reason, entry.line) == (True, 2)


def test_an_annotation_file_is_read_by_its_format_version(imported):
    """The annotation file has Prodigy's form, and says its version."""
    result = imported(as_lines({**MANUAL, "format_version": 1}))
    assert "format_version" not in result.passages[0].extra
    with pytest.raises(UserError) as raised:
        imported(as_lines(MANUAL, {**MANUAL, "format_version": 4}))
    assert "export.json:2 has format_version 4" in raised.value.what


def test_what_an_annotation_file_says_to_be_unknown_stays_unknown(imported):
    row = {"text": "Redis and Kafka", "spans": [], "unknown": [{"start": 0, "end": 5}], "format_version": 2}
    assert imported(as_lines(row)).passages[0].unknown == [Span(0, 5, "")]


def test_other_keys_come_along(imported):
    (passage,) = imported(as_lines({**MANUAL, "id": "a7", "meta": {"source": "chat"}, "reviewed": True})).passages
    assert (passage.meta, passage.extra) == ({"source": "chat"}, {"id": "a7", "reviewed": True})


@given(text=st.text(st.characters(exclude_categories=["Cs"]), min_size=1).filter(str.strip), data=st.data())
def test_spans_of_any_text_come_back_from_a_task(text, data):
    passage = Passage(text, meta={"source": 3})
    for start in data.draw(st.lists(st.integers(0, len(text) - 1), max_size=4)):
        end = data.draw(st.integers(start + 1, len(text)))
        if trimmed(text, start, end) == (start, end):
            passage.spans.append(Span(start, end, "INFRA"))
    row = json.loads(json.dumps({**prodigy.row_to_label(passage), "answer": "accept", "_view_id": "ner_manual"}))
    for span in row.get("spans", []):
        # As the interface writes them back.
        span["text"] = text[span["start"] : span["end"]]
    row.setdefault("tokens", [])
    (version,) = prodigy.read_row(row)
    sound = clean(version, Policies(overlaps=Overlaps.keep))
    assert (version.text, version.meta, set(sound.spans)) == (text, passage.meta, set(passage.spans))


KEYS = ["text", "spans", "answer", "meta", "tokens", "_view_id", "view_id", "relations", "start", "end", "_timestamp",
        "_session_id", "_annotator_id", "id", "_is_binary"]  # fmt: skip
ANYTHING = st.recursive(
    st.none() | st.booleans() | st.integers() | st.text(max_size=5) | st.floats() | st.sampled_from(["ner", "review"]),
    lambda values: st.lists(values, max_size=4) | st.dictionaries(st.sampled_from(KEYS), values, max_size=5),
    max_leaves=15,
)


@given(value=ANYTHING, extra=st.dictionaries(st.sampled_from(KEYS), ANYTHING))
def test_no_value_makes_the_reader_fail_but_with_a_reason(value, extra):
    for row in (value, {**MANUAL, **extra}, {**MANUAL, "spans": [value]}):
        prodigy.is_row(row)
        with contextlib.suppress(RefusedError):
            for version in prodigy.read_row(row):
                clean(version, Policies())
