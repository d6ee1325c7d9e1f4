"""doccano's JSONL in the forms of all its versions, and its archives with a file for each person."""

import contextlib
import io
import json
import zipfile

import pytest
from hypothesis import given
from hypothesis import strategies as st

from spacy_domain_ner.corpus import Passage, Span
from spacy_domain_ner.errors import UserError
from spacy_domain_ner.exchange.cleaning import clean
from spacy_domain_ner.exchange.formats import doccano
from spacy_domain_ner.exchange.importing import import_annotations
from spacy_domain_ner.exchange.policies import Annotators, KeepOrDrop, Overlaps, Policies
from spacy_domain_ner.exchange.reasons import Reason
from spacy_domain_ner.reading.records import RefusedError
from spacy_domain_ner.text import trimmed

TEXT = "Redis is down since Kafka restarted"
REDIS, KAFKA = ("Redis", "INFRA"), ("Kafka", "INFRA")
PAIRS = [[0, 5, "INFRA"], [20, 25, "INFRA"]]
ENTITIES = [
    {"id": 4, "label": "INFRA", "start_offset": 0, "end_offset": 5},
    {"id": 5, "label": "INFRA", "start_offset": 20, "end_offset": 25},
]
ROW = {"id": 1, "text": TEXT, "label": PAIRS, "Comments": []}
EMPTY = {**ROW, "label": []}


def as_lines(*records):
    return "".join(json.dumps(record) + "\n" for record in records)


def archive(**files):
    stream = io.BytesIO()
    with zipfile.ZipFile(stream, "w") as target:
        for name, rows in files.items():
            target.writestr(f"{name}.jsonl", as_lines(*rows))
    return stream.getvalue()


@pytest.mark.parametrize(
    "row",
    [
        pytest.param(ROW, id="1.8"),
        pytest.param({"id": 1, "text": TEXT, "labels": PAIRS, "meta": {}, "annotation_approver": None}, id="1.0"),
        pytest.param({"id": 1, "data": TEXT, "label": PAIRS}, id="1.5, the text as data"),
        pytest.param({"id": 1, "text": TEXT, "entities": ENTITIES, "relations": [], "Comments": []}, id="relations"),
        pytest.param({"id": 1, "text": TEXT, "entities": ENTITIES, "label": []}, id="an empty list beside the spans"),
        pytest.param({"column_data": TEXT, "column_label": PAIRS}, id="named columns"),
        pytest.param({"body": TEXT, "marks": PAIRS}, id="columns of other names"),
        pytest.param({"text": TEXT, "entities": PAIRS}, id="pairs as entities"),
        pytest.param(
            {"text": TEXT, "label": [[*pair, "a comment"] for pair in PAIRS]}, id="a comment behind the label"
        ),
        pytest.param({"text": TEXT, "label": [[0.0, 5.0, "INFRA"], [20, 25, "INFRA"]]}, id="floats"),
        pytest.param({"text": TEXT, "label": [[0, 5, " INFRA "], [20, 25, "INFRA"]]}, id="blanks around a label"),
    ],
)
@pytest.mark.parametrize(
    "lay_out",
    [
        pytest.param(as_lines, id="lines"),
        pytest.param(lambda row: json.dumps([row]), id="a list"),
        pytest.param(lambda row: json.dumps(row, indent=2), id="printed"),
        pytest.param(lambda row: "\ufeff" + as_lines(row).replace("\n", "\r\n\r\n"), id="byte order mark, blank lines"),
    ],
)
def test_rows_of_every_version_are_read(imported, row, lay_out):
    result = imported(lay_out(row), name="all.jsonl")
    assert result.mentions == [[REDIS, KAFKA]]
    assert result.texts == [TEXT]
    assert not {"relations", "Comments", "annotation_approver", "label"} & set(result.passages[0].meta)


def test_old_annotations_are_versions_by_their_users(imported):
    annotations = [{**entity, "user": user, "prob": 0.0} for entity, user in zip(ENTITIES, (3, 8), strict=True)]
    row = {"id": 1, "text": TEXT, "annotations": annotations, "meta": {}, "annotation_approver": "admin"}
    result = imported(as_lines(row), policies=Policies(annotators=Annotators.each))
    assert {passage.meta["annotator"] for passage in result.passages} == {"3", "8"}
    assert result.mentions == [[REDIS], [KAFKA]]


def test_names_beside_the_numbers_of_labels_and_users_are_taken(imported):
    more = {"label": 4, "label_name": "INFRA", "user": 1, "user_name": "ann"}
    row = {"text": TEXT, "annotations": [{**entity, **more} for entity in ENTITIES]}
    result = imported(as_lines(row), policies=Policies(annotators=Annotators.each))
    assert result.mentions == [[REDIS, KAFKA]]
    assert result.passages[0].meta["annotator"] == "ann"


def test_a_number_and_a_colour_behind_the_label_are_left_aside(imported):
    entities = [[*pair, number, "rgb(1, 2, 3)"] for number, pair in enumerate(PAIRS)]
    assert imported([{"content": TEXT, "entities": entities}]).mentions == [[REDIS, KAFKA]]


def test_labels_given_by_number_can_be_renamed(imported):
    annotations = [{**entity, "label": 4, "user": 1} for entity in ENTITIES]
    result = imported(as_lines({"text": TEXT, "annotations": annotations}), policies=Policies(rename={"4": "INFRA"}))
    assert result.mentions == [[REDIS, KAFKA]]


def test_other_columns_are_meta(imported):
    row = {**ROW, "ref": "a7", "source": "chat", "meta": {"n": 1}, "entities": ENTITIES, "label": [], "relations": []}
    result = imported(as_lines(row))
    assert result.passages[0].meta == {"ref": "a7", "source": "chat", "n": 1}


@pytest.mark.parametrize(
    ("label", "reason"),
    [
        pytest.param(["good", "bad"], "labels of the whole text", id="text classification"),
        pytest.param(None, "not a list of spans", id="null"),
        pytest.param("INFRA", "not a list of spans", id="a string"),
        pytest.param([["0", "5", "INFRA"]], "not a list of spans", id="strings as offsets"),
        pytest.param([[0]], "not a list of spans", id="one offset"),
    ],
)
def test_rows_without_spans_are_refused_with_their_text(imported, label, reason):
    result = imported(as_lines(ROW, {"id": 9, "text": "Another text", "label": label}))
    assert result.texts == [TEXT]
    (entry,) = result.report.shown["refused"]
    assert (reason in entry.reason, entry.id, entry.text, entry.line) == (True, "9", "Another text", 2)


@pytest.mark.parametrize(
    ("bad", "reason"),
    [
        pytest.param(None, "not [start, end, label]", id="null"),
        pytest.param("INFRA", "not [start, end, label]", id="a string"),
        pytest.param([0, 5], "has no label", id="no label"),
        pytest.param([0, 5, None], "has no label", id="label null"),
        pytest.param([0, 5, "  "], "has no label", id="blank label"),
        pytest.param([5, 5, "INFRA"], "is empty", id="empty"),
        pytest.param([5, 0, "INFRA"], "ends before it starts", id="inverted"),
        pytest.param([0, 99, "INFRA"], "lies outside", id="outside"),
        pytest.param([], "not whole numbers", id="nothing"),
        pytest.param({"start_offset": None, "end_offset": 5, "label": "INFRA"}, "not whole numbers", id="an object"),
    ],
)
def test_a_bad_span_is_refused_alone(imported, bad, reason):
    result = imported(as_lines({**ROW, "label": [bad, PAIRS[1]]}))
    assert result.mentions == [[KAFKA]]
    (refusal,) = result.reasons("refused")
    assert reason in refusal


def test_a_persons_empty_rows_do_not_outvote_the_one_who_annotated(imported):
    # Every member's file has all the texts, whether the member opened them or not.
    other = {"id": 2, "text": "Nobody found an entity here", "label": []}
    rows = {"admin": [EMPTY, other], "ann": [ROW, other], "zoe": [EMPTY, other]}
    result = imported(archive(**rows), name="export.zip")
    assert result.mentions == [[REDIS, KAFKA], []]
    assert result.report.reasons[Reason.UNCONFIRMED] == 2


@pytest.mark.parametrize("policy", list(Annotators))
def test_two_peoples_spans_meet_under_every_policy(imported, policy):
    rows = {"ann": [ROW], "ben": [EMPTY], "zoe": [{**ROW, "label": [*PAIRS, [9, 13, "STATE"]]}]}
    result = imported(archive(**rows), name="export.zip", policies=Policies(annotators=policy))
    both = [REDIS, KAFKA]
    expected = {
        Annotators.one: [[REDIS, ("down", "STATE"), KAFKA]],
        Annotators.majority: [both],
        Annotators.agreed: [],
        Annotators.each: [both, [REDIS, ("down", "STATE"), KAFKA]],
    }
    assert result.mentions == expected[policy]


def test_the_files_of_an_archive_name_their_annotators_but_for_the_common_one(imported):
    each = Policies(annotators=Annotators.each)
    result = imported(archive(ann=[ROW]), name="a.zip", policies=each)
    assert [passage.meta["annotator"] for passage in result.passages] == ["ann"]


@pytest.mark.parametrize("name", ["all", "unknown"])
def test_the_common_file_of_an_archive_names_nobody(imported, name):
    result = imported(archive(**{name: [ROW]}), name="a.zip", policies=Policies(annotators=Annotators.each))
    assert [passage.meta["annotator"] for passage in result.passages] == ["unknown"]


def test_an_empty_row_does_not_take_away_what_was_there(tmp_path, write_lines):
    output = write_lines({"text": TEXT, "spans": [{"start": 0, "end": 5, "label": "INFRA"}]}, name="annotations.jsonl")
    before = output.read_bytes()
    report = import_annotations(
        [write_lines(EMPTY, {**ROW, "text": "Kafka lags", "label": []}, name="all.jsonl")], output
    )
    assert output.read_bytes().startswith(before)
    assert report.passages["unchanged"] == report.passages["added"] == 1
    assert any("the annotation that was there stays" in entry.reason for entry in report.shown["changed"])


def test_empty_rows_can_be_left_out(imported):
    result = imported(as_lines(ROW, {**EMPTY, "text": "Other"}), policies=Policies(empty=KeepOrDrop.drop))
    assert result.texts == [TEXT]
    assert result.report.reasons == {"without any span": 1}


def test_rows_of_classification_alone_are_not_recognised(imported):
    with pytest.raises(UserError, match="not in a known format"):
        imported(as_lines({"id": 1, "text": TEXT, "label": ["good"]}))


TEXTS = st.lists(
    st.text(st.characters(exclude_categories=["Cs"]), max_size=8) | st.sampled_from("😀é\u0301\r\n\t ")
).map("".join)


@given(text=TEXTS.filter(str.strip), data=st.data())
def test_spans_of_any_text_come_back_from_an_uploaded_row_when_the_unit_is_named(text, data):
    passage = Passage(text, meta={"source": "chat"})
    for start in data.draw(st.lists(st.integers(0, len(text) - 1), max_size=4)):
        end = data.draw(st.integers(start + 1, len(text)))
        if trimmed(text, start, end) == (start, end):
            passage.spans.append(Span(start, end, "INFRA"))
    (version,) = doccano.read_row(json.loads(json.dumps(doccano.row_to_label(passage))))
    sound = clean(version, Policies(overlaps=Overlaps.keep, offset_unit="code-points"))
    assert (version.text, version.meta, set(sound.spans)) == (text, passage.meta, set(passage.spans))
    assert not sound.refused


KEYS = ["text", "data", "label", "labels", "entities", "annotations", "relations", "start_offset", "end_offset", "user"]
ANYTHING = st.recursive(
    st.none() | st.booleans() | st.integers() | st.text(max_size=5) | st.floats(),
    lambda values: st.lists(values, max_size=4) | st.dictionaries(st.sampled_from(KEYS), values, max_size=5),
    max_leaves=15,
)


@given(value=ANYTHING, extra=st.dictionaries(st.sampled_from(KEYS), ANYTHING))
def test_no_value_makes_the_reader_fail_but_with_a_reason(value, extra):
    for row in (value, {**ROW, **extra}, {"text": TEXT, "label": value}, {"text": TEXT, "label": [value, [0, 5, "A"]]}):
        doccano.is_row(row)
        with contextlib.suppress(RefusedError):
            for version in doccano.read_row(row):
                clean(version, Policies())
