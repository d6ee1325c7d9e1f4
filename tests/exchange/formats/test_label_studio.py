"""Label Studio's exports: JSON, snapshots, single tasks, predictions, JSON_MIN, CSV and TSV."""

import contextlib
import csv
import io
import json

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from spacy_domain_ner.annotation.agreement import measure_agreement
from spacy_domain_ner.corpus import Passage, Span
from spacy_domain_ner.errors import UserError
from spacy_domain_ner.exchange.cleaning import clean
from spacy_domain_ner.exchange.formats import label_studio
from spacy_domain_ner.exchange.policies import Annotators, KeepOrDrop, Overlaps, Policies
from spacy_domain_ner.reading.records import RefusedError
from spacy_domain_ner.text import trimmed

TEXT = "Redis is down since Kafka restarted"
REDIS, KAFKA = ("Redis", "INFRA"), ("Kafka", "INFRA")
ADDRESS = "https://example.org/" + "a" * 80
PARTLY = "annotated in part only: the rest of the text is unknown"
REST = {"annotator": 1, "annotation_id": 7, "created_at": "2026-03-01T10:00:00Z", "lead_time": 2.5}
REST["updated_at"] = REST["created_at"]


def region(start, end, label="INFRA", **value):
    value = {"start": start, "end": end, "labels": [label], **value}
    return {"id": f"r{start}", "from_name": "label", "to_name": "text", "type": "labels", "value": value}


def annotation(*results, by=1, **rest):
    return {"id": 10 + by, "completed_by": by, "was_cancelled": False, "result": list(results), **rest}


def task(*annotations, data=None, **rest):
    return {"id": 1, "data": {"text": TEXT} if data is None else data, "annotations": list(annotations), **rest}


def min_row(*regions, **rest):
    return {"text": TEXT, "id": 1, **({"label": list(regions)} if regions else {}), **REST, **rest}


def min_region(start, end, label="INFRA", **rest):
    return {"start": start, "end": end, "text": TEXT[start:end], "labels": [label], **rest}


TASK = task(annotation(region(0, 5, text="Redis"), region(20, 25, text="Kafka")))
COMPLETION = {"id": 1, "data": {"text": TEXT}, "completions": [annotation(region(0, 5), region(20, 25))]}


@pytest.mark.parametrize(
    "content",
    [
        pytest.param([TASK], id="a list on one line"),
        pytest.param(json.dumps([TASK], indent=2), id="a list, printed"),
        pytest.param(TASK, id="one task"),
        pytest.param(json.dumps(TASK, indent=2), id="one task, printed"),
        pytest.param(json.dumps(TASK) + "\n" + json.dumps({**TASK, "id": 2}) + "\n", id="a task a line"),
        pytest.param(json.dumps(TASK, indent=1) + json.dumps(TASK, indent=1), id="tasks one after the other"),
        pytest.param("\ufeff" + json.dumps([TASK]), id="byte order mark"),
        pytest.param(json.dumps([TASK], indent=2).replace("\n", "\r\n"), id="CRLF"),
        pytest.param([COMPLETION], id="completions, as the first versions called them"),
        pytest.param({"id": 1, "data": {"text": TEXT}, "result": TASK["annotations"][0]["result"]}, id="a bare result"),
        pytest.param([{**TASK, "predictions": [4, 5]}], id="predictions as numbers"),
        pytest.param([{**TASK, "drafts": [annotation(region(0, 25))]}], id="a draft beside it"),
        pytest.param([task(annotation(region("0", "5"), region("20", "25")))], id="offsets as strings"),
        pytest.param([task(annotation(region(0.0, 5.0), region(20, 25)))], id="offsets as floats"),
        pytest.param([task(annotation(region(0, 5, text=["Redis"]), region(20, 25)))], id="a list as the claim"),
        pytest.param([task() | {"id": 2}, TASK], id="a task that nobody annotated before it"),
    ],
)
def test_tasks_are_read_however_they_are_laid_out(imported, content):
    result = imported(content)
    assert result.texts == [TEXT]
    assert result.mentions == [[REDIS, KAFKA]]
    assert result.report.files[0][1].startswith("Label Studio JSON")


def test_results_without_a_type_are_spans_if_they_have_labels(imported):
    assert imported([task(annotation({"value": {"start": 0, "end": 5, "labels": ["INFRA"]}}))]).mentions == [[REDIS]]


@pytest.mark.parametrize(
    "result",
    [
        pytest.param({"type": "choices", "value": {"start": 0, "end": 5, "choices": ["down"]}}, id="choices"),
        pytest.param({"type": "choices", "value": {"choices": ["incident"]}}, id="choices"),
        pytest.param({"type": "textarea", "value": {"start": 0, "end": 5, "text": ["the cache"]}}, id="textarea"),
        pytest.param({"type": "rating", "value": {"start": 0, "end": 5, "rating": 4}}, id="rating"),
        pytest.param({"type": "taxonomy", "value": {"start": 0, "end": 5, "taxonomy": [["a", "b"]]}}, id="taxonomy"),
    ],
)
def test_what_is_said_of_a_region_is_no_span_but_counted(imported, request, result):
    found = imported(
        [task(annotation(region(0, 5), {"id": "r0", **result}))], policies=Policies(overlaps=Overlaps.keep)
    )
    assert found.mentions == [[REDIS]]
    assert found.report.ignored == {result["type"]: 1}
    assert not found.report.refused


@pytest.mark.parametrize(
    ("bad", "reason"),
    [
        pytest.param(region(5, 0), "ends before it starts", id="inverted"),
        pytest.param(region(3, 3), "is empty", id="empty"),
        pytest.param(region(0, 99), "lies outside the text of 35 characters", id="too far"),
        pytest.param(region(-4, 3), "lies outside", id="negative"),
        pytest.param(region(5, 6), "is white space only", id="white space only"),
        pytest.param(region(0.5, 3), "not whole numbers", id="fraction"),
        pytest.param(region(None, 3), "not whole numbers", id="null"),
        pytest.param(region(True, 3), "not whole numbers", id="boolean"),
        pytest.param(region(10**15, 10**16), "lies outside", id="huge"),
        pytest.param(region(0, 5, label=" "), "has no label", id="blank label"),
        pytest.param(region(0, 5, labels=[]), "has no label", id="no label"),
        pytest.param(region(0, 5, labels=[["A"]]), "has no label", id="a list as the label"),
    ],
)
def test_the_server_accepts_any_span_and_a_bad_one_is_refused_alone(imported, bad, reason):
    result = imported([task(annotation(bad, region(20, 25)))])
    assert result.mentions == [[KAFKA]]
    (refusal,) = result.reasons("refused")
    assert reason in refusal


def test_a_region_with_two_labels_is_two_spans(imported):
    content = [task(annotation(region(0, 5, labels=["INFRA", "SERVICE"])))]
    assert imported(content, policies=Policies(overlaps=Overlaps.keep)).mentions == [[REDIS, ("Redis", "SERVICE")]]


@pytest.mark.parametrize(
    ("text", "claim", "start", "end"),
    [
        pytest.param("Redis\nCluster is up", "Redis\\nCluster", 0, 13, id="an escaped line feed"),
        pytest.param("Redis\r\n Cluster is up", "Redis Cluster", 0, 15, id="folded white space"),
        pytest.param("the Redis Cluster ", "Redis Cluster ", 4, 17, id="a blank at the end"),
        pytest.param("😀 the Redis Cluster", "Redis Cluster", 6, 19, id="code points"),
    ],
)
def test_a_claim_that_differs_in_white_space_only_is_no_reason_to_doubt(imported, text, claim, start, end):
    result = imported([task(annotation(region(start, end, text=claim)), data={"text": text})])
    (passage,) = result.passages
    assert [(span.start, span.end) for span in passage.spans] == [(start, end)]
    assert not result.report.shown["changed"]


def test_the_claim_tells_the_old_versions_that_counted_utf_16_units(imported):
    text = "😀😀 billing-api and Redis"
    result = imported(
        [task(annotation(region(5, 16, text="billing-api"), region(21, 26, text="Redis")), data={"text": text})]
    )
    assert result.mentions == [[("billing-api", "INFRA"), REDIS]]
    assert all("UTF-16" in reason for reason in result.reasons("changed"))
    assert len(result.reasons("changed")) == 2


@pytest.mark.parametrize(
    ("data", "meta"),
    [
        pytest.param({"text": TEXT}, {}, id="text alone"),
        pytest.param({"message": TEXT}, {}, id="another key"),
        pytest.param({"title": "Outage", "body": TEXT}, {"title": "Outage"}, id="the longest"),
        pytest.param({"text": TEXT, "title": TEXT * 2}, {"title": TEXT * 2}, id="text before longer ones"),
        pytest.param({"body": TEXT, "url": ADDRESS}, {"url": ADDRESS}, id="no address"),
        pytest.param({"text": TEXT, "source": "chat-7"}, {"source": "chat-7"}, id="a source"),
        pytest.param({"text": TEXT, "meta": {"source": "chat-7"}}, {"source": "chat-7"}, id="meta as we export it"),
        pytest.param({"text": TEXT, "meta": None, "n": 3}, {"n": 3}, id="no meta"),
        pytest.param({"text": TEXT, "words": ["a"]}, {"words": ["a"]}, id="lists"),
    ],
)  # fmt: skip
def test_the_text_is_found_among_the_data_and_the_rest_is_meta(imported, data, meta):
    (passage,) = imported([task(annotation(region(0, 5)), data=data)]).passages
    assert (passage.text, passage.meta) == (TEXT, meta)


def test_the_spans_texts_tell_which_of_several_strings_was_annotated(imported):
    data = {"text": "A ticket of last week, longer than the message", "message": TEXT}
    result = imported([task(annotation(region(0, 5, text="Redis"), region(20, 25, text="Kafka")), data=data)])
    assert result.mentions == [[REDIS, KAFKA]]


def test_a_key_that_is_named_is_taken(imported):
    data = {"text": "Another text", "message": TEXT}
    assert imported([task(annotation(region(0, 5)), data=data)], text_key="message").texts == [TEXT]


@pytest.mark.parametrize(
    ("data", "reason"),
    [
        pytest.param({"text": "https://example.org/7.txt"}, "only the address of the text", id="an address"),
        pytest.param({"text": "s3://bucket/7.txt"}, "only the address of the text", id="a bucket"),
        pytest.param({"text": ["Redis", "is"]}, "no text in the record (its keys: text)", id="a list"),
        pytest.param({}, "no text in the record (its keys: none)", id="nothing"),
        pytest.param({"text": " \n"}, "no text in the record", id="blank"),
    ],
)
def test_a_task_without_a_text_is_refused_with_its_id(imported, data, reason):
    result = imported([TASK, task(annotation(region(0, 5)), data=data) | {"id": 77}])
    (entry,) = result.report.shown["refused"]
    assert (reason in entry.reason, entry.id, entry.of) == (True, "77", "passage")
    assert result.texts == [TEXT]


@pytest.mark.parametrize(
    ("content", "status"),
    [
        pytest.param(task(), "not annotated", id="no annotation"),
        pytest.param(task(predictions=[3]), "not annotated", id="predictions as numbers"),
        pytest.param(task(drafts=[annotation(region(0, 5))]), PARTLY, id="a draft only"),
        pytest.param(task(drafts=[annotation()]), "not annotated", id="an empty draft"),
        pytest.param(task(drafts=[annotation(region(0, 5), annotation=4)]), "not annotated", id="a draft of a change"),
        pytest.param(task(drafts=[3]), "not annotated", id="drafts as numbers"),
        pytest.param(task(annotation(region(0, 5), was_cancelled=True)), "skipped by the annotator", id="skipped"),
        pytest.param(
            {"id": 1, "data": {"text": TEXT}, "completions": [annotation(skipped=True)]}, "skipped by the annotator",
            id="skipped, in the first versions",
        ),
        pytest.param(task(predictions=[{"result": [region(0, 5)]}]), "a model's prediction only", id="predicted"),
    ],
)  # fmt: skip
def test_what_nobody_annotated_is_left_out_and_counted(imported, content, status):
    result = imported([content])
    assert result.passages == []
    assert result.report.reasons == {status: 1}


DOWN = region(9, 13)
SUGGESTED = {"id": 5, "model_version": "m", "result": [region(0, 5), DOWN, region(20, 25)]}


@pytest.mark.parametrize(
    ("content", "mentions", "incorrect"),
    [
        pytest.param(
            task(drafts=[annotation(region(0, 5), region(20, 25))], predictions=[SUGGESTED]),
            [], [Span(9, 13, "INFRA")], id="one is gone from a draft, the others may be unread",
        ),
        pytest.param(
            task(drafts=[annotation(region(0, 5), {**DOWN, "value": {**DOWN["value"], "start": 6}})],
                 predictions=[{**SUGGESTED, "result": [region(0, 5), DOWN]}]),
            [("is down", "INFRA")], [], id="a suggestion was made longer: what overlaps it is wrong anyway",
        ),
        pytest.param(
            task(drafts=[annotation(region(0, 5, "SERVICE"))], predictions=[{**SUGGESTED, "result": [region(0, 5)]}]),
            [("Redis", "SERVICE")], [], id="a suggestion was given another type: only that the new one is right",
        ),
        pytest.param(
            task(drafts=[annotation(parent_prediction=5)],
                 predictions=[SUGGESTED, {"id": 6, "result": [region(0, 8)]}]),
            [], [Span(0, 5, "INFRA"), Span(9, 13, "INFRA"), Span(20, 25, "INFRA")], id="all were removed",
        ),
        pytest.param(
            task(drafts=[annotation(region(0, 5), region(20, 25))],
                 predictions=[{"result": [region(0, 8), region(20, 34)]}, SUGGESTED]),
            [], [Span(9, 13, "INFRA")], id="two predictions whose regions have the same names",
        ),
        pytest.param(
            task(annotation(region(0, 5), was_cancelled=True), predictions=[SUGGESTED]), [],
            [Span(9, 13, "INFRA"), Span(20, 25, "INFRA")], id="a skipped task confirms nothing",
        ),
        pytest.param(
            task(annotation(region(0, 5), was_cancelled=True, prediction=SUGGESTED), predictions=[5]), [],
            [Span(9, 13, "INFRA"), Span(20, 25, "INFRA")], id="the annotation brings what had been filled in",
        ),
        pytest.param(
            task(drafts=[annotation(region(6, 8), region(20, 25))]), [("is", "INFRA"), KAFKA], [],
            id="a draft in which nothing had been filled in",
        ),
    ],
)  # fmt: skip
def test_what_was_done_to_suggestions_is_learned_from_though_the_task_is_not_finished(
    imported, content, mentions, incorrect
):
    result = imported([content], policies=Policies(partial=KeepOrDrop.keep))
    (passage,) = result.passages
    assert (*result.mentions, passage.incorrect) == (mentions, incorrect)
    assert passage.is_training_only
    assert sum(part.end - part.start for part in passage.unknown) == len(TEXT) - sum(len(name) for name, _ in mentions)
    spans = result.report.spans
    assert spans["read"] == spans["kept"] + spans["left out"] + spans["merged"] + spans["refused"]
    assert result.report.reasons == {}


@pytest.mark.parametrize(
    "content",
    [
        pytest.param(task(annotation(was_cancelled=True), predictions=[SUGGESTED]), id="skipped, and never begun"),
        pytest.param(task(annotation(region(30, 34), was_cancelled=True)), id="skipped, without suggestions"),
        pytest.param(
            task(drafts=[annotation(*SUGGESTED["result"])], predictions=[SUGGESTED]), id="nothing was changed"
        ),
        pytest.param(task(drafts=[annotation()], predictions=[SUGGESTED]), id="an empty draft of somebody's own"),
    ],
)
def test_suggestions_that_nobody_touched_are_not_learned_from(imported, content):
    result = imported([content], policies=Policies(partial=KeepOrDrop.keep))
    assert result.passages == []


def test_a_finished_annotation_counts_alone_and_says_what_the_whole_text_is(imported):
    content = task(annotation(region(0, 5), parent_prediction=5), predictions=[SUGGESTED])
    content["drafts"] = [annotation(region(20, 25))]
    result = imported([content], policies=Policies(partial=KeepOrDrop.keep))
    (passage,) = result.passages
    assert (result.mentions, passage.unknown, passage.incorrect) == ([[REDIS]], [], [])


def test_an_annotation_without_a_span_says_that_there_is_no_entity(imported):
    result = imported([task(annotation())])
    assert result.mentions == [[]]
    assert result.report.without_spans == 1


def test_predictions_are_taken_where_they_are_asked_for_and_nobody_annotated(imported):
    predictions = [
        {"id": 2, "created_at": "2026-03-02T00:00:00Z", "model_version": "b", "result": [region(20, 25)]},
        {"id": 1, "created_at": "2026-03-01T00:00:00Z", "model_version": "a", "result": [region(0, 5)]},
    ]
    other = {"text": "Only people read this: Redis"}
    content = [task(predictions=predictions), task(annotation(), predictions=predictions, data=other)]
    result = imported(content, policies=Policies(predictions=KeepOrDrop.keep))
    assert result.mentions == [[KAFKA], []]


@pytest.mark.parametrize("order", [1, -1])
def test_an_annotators_later_version_counts_wherever_it_stands(imported, order):
    versions = [
        annotation(region(0, 5), by=3, updated_at="2026-03-01T10:00:00.5Z"),
        annotation(region(20, 25), by=3, updated_at="2026-03-02T10:00:00.1Z"),
    ]
    result = imported([task(*versions[::order])])
    assert result.mentions == [[KAFKA]]
    assert result.report.reasons == {"replaced by the annotator's later version": 1}


@pytest.mark.parametrize(
    "completed_by",
    [
        pytest.param(3, id="a number"),
        pytest.param({"id": 3, "email": "ann@example.org", "first_name": ""}, id="an object"),
        pytest.param("ann@example.org", id="an address"),
    ],
)
def test_the_annotator_is_known_by_number_or_address(imported, completed_by):
    content = [task(annotation(region(0, 5)) | {"completed_by": completed_by})]
    (passage,) = imported(content, policies=Policies(annotators=Annotators.each)).passages
    assert passage.meta["annotator"] in ("3", "ann@example.org")


BOX = {"x": 1.5, "y": 2.0, "width": 30.0, "height": 4.0}


@pytest.mark.parametrize(
    "result",
    [
        pytest.param({"type": "rectanglelabels", "value": {**BOX, "rectanglelabels": ["X"]}}, id="a box"),
        pytest.param({"type": "labels", "original_width": 90, "value": {**BOX, "labels": ["X"]}}, id="in an image"),
        pytest.param(
            {"type": "labels", "original_length": 9.5, "value": {"start": 0, "end": 3, "labels": ["X"]}},
            id="in a sound",
        ),
        pytest.param({"type": "timeserieslabels", "value": {"start": 0, "end": 3}}, id="in a time series"),
    ],
)
def test_the_path_of_an_image_or_a_sound_is_no_passage(imported, result):
    other = task(annotation(result), data={"file": "pictures/a sign (1).png"}) | {"id": 77}
    imported_ = imported([TASK, other])
    assert imported_.texts == [TEXT]
    (entry,) = imported_.report.shown["refused"]
    assert (entry.id, "not a text" in entry.reason) == ("77", True)


def test_a_row_about_an_image_is_no_passage(imported):
    box = {**BOX, "original_width": 90, "original_height": 60}
    row = {
        "scan": "/sign.png",
        "id": 77,
        "bbox": [box],
        "label": [{**box, "labels": ["X"]}],
        "note": "KEEP OUT",
        **REST,
    }
    result = imported([min_row(min_region(0, 5)), row])
    assert result.texts == [TEXT]
    (entry,) = result.report.shown["refused"]
    assert (entry.id, "not a text" in entry.reason) == ("77", True)


def test_a_text_beside_an_image_is_read(imported):
    box = {"type": "rectanglelabels", "value": {**BOX, "rectanglelabels": ["X"]}}
    result = imported([task(annotation(box, region(0, 5)), data={"text": TEXT, "image": "a.png"})])
    assert result.mentions == [[REDIS]]
    assert result.report.ignored == {"rectanglelabels": 1}


@pytest.mark.parametrize(
    "broken",
    [
        pytest.param(task(None, 3, annotation(region(0, 5))), id="annotations that are none"),
        pytest.param(task(annotation(region(0, 5)), predictions=[None]), id="predictions that are none"),
        pytest.param(task(annotation(None, "x", region(0, 5))), id="results that are none"),
        pytest.param(task(annotation(region(0, 5), {"type": "labels", "value": 3})), id="a value that is none"),
        pytest.param(task(annotation(region(0, 5)) | {"completed_by": []}), id="a list as the annotator"),
        pytest.param(task(annotation(region(0, 5))) | {"id": {"a": 1}}, id="an object as the id"),
        pytest.param(task(annotation(region(0, 5)) | {"created_at": 3, "updated_at": None}), id="a number as the time"),
    ],
)
def test_odd_values_do_no_harm(imported, broken):
    assert imported([broken]).mentions == [[REDIS]]


HTML = "<p>Redis &amp; Kafka</p><script>x</script>\n<p>The <b>billing-api</b><br/>fails</p>"


def test_spans_in_html_are_found_in_the_text_that_is_shown(imported):
    value = {
        "start": "/p[2]/b[1]/text()[1]", "end": "/p[2]/b[1]/text()[1]", "startOffset": 0, "endOffset": 11,
        "globalOffsets": {"start": 18, "end": 29}, "text": "billing-api", "hypertextlabels": ["SERVICE"],
    }  # fmt: skip
    result = imported([task(annotation({"type": "hypertextlabels", "value": value}), data={"html": HTML})])
    assert result.texts == ["Redis & Kafka\nThe billing-api\nfails"]
    assert result.mentions == [[("billing-api", "SERVICE")]]


def test_places_in_a_document_without_offsets_are_refused(imported):
    value = {"start": "/p[1]/text()[1]", "end": "/p[1]/text()[1]", "startOffset": 0, "endOffset": 5, "text": "Redis"}
    places = annotation({"type": "hypertextlabels", "value": {**value, "hypertextlabels": ["A"]}})
    result = imported([task(places), task(annotation(), data={"text": "Kafka is up"})])
    entry, passage = result.report.shown["refused"]
    assert (entry.text, "places in a document" in entry.reason) == ("Redis", True)
    assert (passage.of, result.texts) == ("passage", ["Kafka is up"])


@pytest.mark.parametrize(
    ("row", "expected"),
    [
        pytest.param(min_row(min_region(0, 5), min_region(20, 25)), [REDIS, KAFKA], id="plain"),
        pytest.param(min_row(entities=[min_region(0, 5)]), [REDIS], id="a control of another name"),
        pytest.param(min_row(min_region(0, 5), more=[min_region(20, 25)]), [REDIS, KAFKA], id="two controls"),
        pytest.param(
            min_row(min_region(0, 5), mood=[{"start": 20, "end": 25, "text": "Kafka", "choices": ["bad"]}]),
            [REDIS], id="choices about a region",
        ),
        pytest.param(min_row(min_region(0, 5), kind="incident", note=["a", "b"]), [REDIS], id="choices"),
        pytest.param(min_row(min_region(0, 5), annotator="ann@example.org"), [REDIS], id="an address"),
        pytest.param(min_row(min_region(0, 5), agreement=0.5), [REDIS], id="agreement"),
    ],
)  # fmt: skip
def test_json_min_has_its_spans_under_the_name_of_the_control(imported, row, expected):
    result = imported([row])
    assert result.mentions == [expected]
    assert result.report.files[0][1].startswith("Label Studio JSON_MIN")
    assert not {"mood", "label", "created_at", "annotation_id"} & set(result.passages[0].meta)


def test_json_min_without_a_span_has_no_key_for_them_and_its_text_is_never_a_time(imported):
    row = min_row() | {"message": "ok"}
    del row["text"]
    result = imported([min_row(min_region(0, 5)), row])
    assert result.texts == [TEXT, "ok"]
    assert result.mentions == [[REDIS], []]


def test_json_min_of_all_tasks_has_rows_that_nobody_annotated(imported):
    empty = dict.fromkeys(REST)
    result = imported([min_row(min_region(0, 5)), {"text": "Not seen yet", "id": 2, **empty}])
    assert result.texts == [TEXT]
    assert result.report.reasons == {"not annotated": 1}


def test_json_min_has_the_latest_version_first_and_it_counts(imported):
    rows = [
        min_row(min_region(20, 25), updated_at="2026-03-05T10:00:00Z"),
        min_row(min_region(0, 5), updated_at="2026-03-01T10:00:00Z"),
    ]
    assert imported(rows).mentions == [[KAFKA]]


def table(rows, delimiter=","):
    stream = io.StringIO()
    names = sorted({name for row in rows for name in row})
    writer = csv.DictWriter(stream, names, delimiter=delimiter, quoting=csv.QUOTE_NONNUMERIC)
    writer.writeheader()
    for row in rows:
        writer.writerow({name: json.dumps(v) if isinstance(v, (list, dict)) else v for name, v in row.items()})
    return stream.getvalue()


@pytest.mark.parametrize("delimiter", [",", "\t"])
@pytest.mark.parametrize(
    "text",
    [
        pytest.param(TEXT, id="plain"),
        pytest.param('Redis says "no", then; a\ttab\r\nand a line', id="quotes, tabs and lines"),
        pytest.param("Redis " * 40_000, id="longer than csv reads of itself"),
        pytest.param('{"Redis": 1}', id="text that is JSON"),
        pytest.param("[1, 2]", id="text that is a JSON list"),
    ],
)
def test_csv_and_tsv_rows_are_as_those_of_json_min(imported, delimiter, text):
    spans = [{"start": 0, "end": 5, "labels": ["INFRA"]}]
    rows = [
        {"text": text, "id": 1, "label": spans, "meta": {"source": "chat-7"}, **REST},
        {"text": "Not seen yet", "id": 2},
    ]
    result = imported(table(rows, delimiter), name="export.csv")
    (passage,) = result.passages
    assert (passage.text, passage.spans) == (text, [Span(0, 5, "INFRA")])
    assert passage.meta == {"source": "chat-7"}
    assert result.report.reasons == {"not annotated": 1}


def test_a_csv_that_is_cut_within_a_row_is_refused_as_a_whole(imported):
    whole = table([min_row(min_region(0, 5), text="Kafka is slow"), min_row(min_region(0, 5), text="Redis is slow")])
    with pytest.raises(UserError, match="ends in the middle of a row"):
        imported(whole[: whole.index("Redis") + 2], name="export.csv")


def test_the_csv_modules_limit_stays_as_it_was(imported):
    before = csv.field_size_limit()
    imported(table([{"text": "Redis " * 40_000, "id": 1, **REST}]), name="export.csv")
    assert csv.field_size_limit() == before


PASSAGES = st.builds(
    Passage,
    text=st.text(st.characters(exclude_categories=["Cs"]) | st.sampled_from("a \t\r\n😀é\u0301<&\"'\\"), min_size=1),
    meta=st.dictionaries(st.sampled_from(["source", "author", "n"]), st.text("ab") | st.integers(), max_size=2),
).filter(lambda passage: passage.text.strip() and not passage.text.startswith(("http", "s3", "gs", "/data")))


@settings(suppress_health_check=[HealthCheck.too_slow])
@given(passage=PASSAGES, data=st.data())
def test_spans_of_any_text_come_back_from_a_task(passage, data):
    length = len(passage.text)
    for start in data.draw(st.lists(st.integers(0, length - 1), max_size=4)):
        end = data.draw(st.integers(start + 1, length))
        if trimmed(passage.text, start, end) == (start, end):
            passage.spans.append(Span(start, end, data.draw(st.sampled_from(["INFRA", "SERVICE"]))))
    exported = label_studio.task_to_label(passage, model_version="test")
    exported["annotations"] = [
        annotation(*result["result"]) for result in exported.pop("predictions", [{"result": []}])
    ]
    (version,) = label_studio.read_task(json.loads(json.dumps(exported)))
    sound = clean(version, Policies(overlaps=Overlaps.keep))
    assert (version.text, version.meta) == (passage.text, passage.meta)
    assert set(sound.spans) == set(passage.spans)
    assert not sound.refused


ANYTHING = st.recursive(
    st.none() | st.booleans() | st.integers() | st.text(max_size=5) | st.floats(),
    lambda values: (
        st.lists(values, max_size=3)
        | st.dictionaries(
            st.sampled_from(
                [
                    "data",
                    "annotations",
                    "predictions",
                    "result",
                    "value",
                    "start",
                    "end",
                    "labels",
                    "type",
                    "text",
                    "id",
                ]
            ),
            values,
            max_size=5,
        )
    ),
    max_leaves=15,
)


@given(value=ANYTHING, results=ANYTHING)
def test_no_value_makes_the_readers_fail_but_with_a_reason(value, results):
    for record in (
        value,
        {"data": {"text": TEXT}, "annotations": [{"result": [results]}, value]},
        {"label": [results]},
    ):
        for read in (label_studio.read_task, label_studio.read_min_row):
            with contextlib.suppress(RefusedError):
                for version in read(record):
                    clean(version, Policies())


def test_a_list_of_bare_annotations_has_no_texts_and_is_not_recognised(imported):
    with pytest.raises(UserError, match="not in a known format"):
        imported([annotation(region(0, 5))])


TITLE, BODY = "Redis lost its disk", "A new disk was put in, then Redis ran, and Kafka too"
TWO = {"title": TITLE, "body": BODY}
ON_TITLE, ON_BODY = [(0, 5), (15, 19)], [(6, 10), (28, 33), (43, 48)]
MENTIONS = [[("Redis", "INFRA"), ("disk", "INFRA")], [("disk", "INFRA"), ("Redis", "INFRA"), ("Kafka", "INFRA")]]


def two_texts(first="title", second="body", claims=True, data=TWO, controls=("label_title", "label_body"), **rest):
    """A task with two texts whose objects have these names."""
    results = []
    for name, control, text, spans in zip((first, second), controls, (TITLE, BODY), (ON_TITLE, ON_BODY), strict=True):
        for start, end in spans:
            claim = {"text": text[start:end]} if claims else {}
            results.append(region(start, end, **claim) | {"to_name": name, "from_name": control})
    return task(annotation(*results), data=data, **rest)


def two_lists(first="label", second="label2", claims=True, data=TWO):
    """A row of JSON_MIN with two texts that two controls are on."""
    lists = {
        control: [
            {"start": start, "end": end, "labels": ["INFRA"], **({"text": text[start:end]} if claims else {})}
            for start, end in spans
        ]
        for control, text, spans in ((first, TITLE, ON_TITLE), (second, BODY, ON_BODY))
    }
    return {**data, "id": 1, **lists, **REST}


@pytest.mark.parametrize(
    "content",
    [
        pytest.param([two_texts()], id="named as the keys"),
        pytest.param([two_texts(claims=False)], id="named as the keys, without texts"),
        pytest.param([two_texts("t1", "t2")], id="other names"),
        pytest.param([two_texts("t1", "t2", claims=False)], id="other names, without texts: only one has room"),
        pytest.param([two_texts("theTitle", "body_text", claims=False)], id="names with the keys in them"),
        pytest.param([two_texts("text", "text2", data={"text": "A ticket", **TWO})], id="a key of that name beside"),
        pytest.param([two_texts(data={"url": ADDRESS, **TWO})], id="an address beside"),
        pytest.param([two_lists()], id="JSON_MIN"),
        pytest.param([two_lists("label_title", "body_label", claims=False)], id="JSON_MIN, without texts"),
        pytest.param(table([two_lists()]), id="CSV"),
        pytest.param(table([two_lists(data={"subject": TITLE, "text": BODY})], "\t"), id="TSV"),
    ],
)
def test_each_text_of_a_task_is_a_passage_with_its_own_spans(imported, content):
    result = imported(content)
    found = dict(zip(result.texts, result.mentions, strict=True))
    assert found == {TITLE: MENTIONS[0], BODY: MENTIONS[1]}
    assert not {"title", "body", "subject", "text"} & {*result.passages[0].meta} - {"text"}
    assert not result.report.refused


def test_a_text_that_was_annotated_elsewhere_in_the_file_is_a_passage_without_entities_here(imported):
    other = task(annotation(region(0, 5) | {"to_name": "t1"}), data={"title": "Kafka is up", "body": "No name in it"})
    for content in ([two_texts("t1", "t2"), other], [other, two_texts("t1", "t2")]):
        found = {p.text: p.spans for p in imported(content, policies=Policies(annotators=Annotators.each)).passages}
        assert found["Kafka is up"] == [Span(0, 5, "INFRA")]
        assert found["No name in it"] == []
        assert len(found) == 4


def test_a_text_that_nobody_annotates_stays_what_is_said_of_the_passage(imported):
    on_title = annotation(*(region(start, end) | {"to_name": "title"} for start, end in ON_TITLE))
    result = imported([task(on_title, data=TWO)])
    assert result.mentions == [MENTIONS[0]]
    assert result.passages[0].meta == {"body": BODY}


@pytest.mark.parametrize("content", [two_texts(), two_texts("t1", "t2"), two_lists()])
def test_one_text_of_several_is_taken_where_it_is_named(imported, content):
    result = imported([content], text_key="title")
    assert (result.texts, result.mentions) == ([TITLE], [MENTIONS[0]])
    assert result.report.ignored == {"labels of another text": 3}


def test_equal_texts_of_a_task_are_one_passage(imported):
    results = [region(0, 5) | {"to_name": "a"}, region(20, 25) | {"to_name": "b"}]
    result = imported([task(annotation(*results), data={"a": TEXT, "b": TEXT})])
    assert result.mentions == [[REDIS, KAFKA]]


def test_what_is_not_a_span_is_counted_once_for_a_task_with_two_texts(imported):
    content = two_texts()
    content["annotations"][0]["result"].append({"type": "choices", "value": {"choices": ["incident"]}})
    assert imported([content]).report.ignored == {"choices": 1}


def test_spans_that_may_be_on_several_texts_are_refused_until_one_is_named(imported):
    results = [region(0, 5) | {"to_name": name, "from_name": name} for name in ("t1", "t2")]
    content = [TASK, task(annotation(*results), data=TWO) | {"id": 77}]
    (reason,) = imported(content).reasons("refused")
    assert reason == "the spans of t1, t2 may be on any of the texts title, body: name one with `text_key`"


def test_spans_on_what_is_not_a_text_are_refused_beside_those_of_a_text(imported):
    turns = region(0, 5, text="Nginx") | {"to_name": "dialogue"}
    result = imported([task(annotation(turns, region(20, 25)), data={"text": TEXT, "dialogue": [{"text": "Nginx"}]})])
    assert result.mentions == [[KAFKA]]
    assert result.reasons("refused") == ["labels: 'dialogue' is not a text"]


LOCAL = "/data/local-files/?d=docs/a.txt"


@pytest.mark.parametrize(
    ("address", "claim"),
    [
        pytest.param("http://localhost:8081/docs/a.txt", None, id="a URL"),
        pytest.param("https://example.org/docs/a.txt?X-Amz-Expires=90#top", "Redis", id="a signed URL"),
        pytest.param("s3://bucket/docs/a.txt", "s", id="a bucket; the span's text is in its name, too"),
        pytest.param(LOCAL, None, id="a local file"),
        pytest.param("/data/upload/3/0a1b2c3d-a.txt", None, id="an upload"),
        pytest.param("/data/upload/3/my%20notes/a.txt", "Redis", id="an upload with blanks"),
        pytest.param("docs/a.txt", "Redis", id="a path"),
        pytest.param("C:\\docs\\a.txt", "Redis", id="a path of Windows"),
    ],
)
@pytest.mark.parametrize("kind", ["task", "row"])
def test_a_text_by_reference_is_refused_and_read_where_a_folder_has_it(imported, tmp_path, address, claim, kind):
    span = {} if claim is None else {"text": claim}
    # The spans are made on the text, and lie outside the address.
    spans = [region(0, 5, **span), region(60, 65, **span)]
    record = task(annotation(*spans), data={"text": address, "title": "Redis lost"}) | {"id": 77}
    if kind == "row":
        record = {"text": address, "id": 77, "ner": [result["value"] for result in spans], **REST}
    good = TASK if kind == "task" else min_row(min_region(0, 5))
    result = imported([good, record])
    (entry,) = result.report.shown["refused"]
    assert (entry.id, "only the address of the text" in entry.reason, "`texts`" in entry.reason) == ("77", True, True)
    assert result.texts == [TEXT]
    (tmp_path / "texts" / "docs").mkdir(parents=True)
    whole = "Redis is what it was before somebody restarted the machine. Redis\n"
    (tmp_path / "texts/docs/a.txt").write_bytes(whole.encode())
    result = imported([record], texts=tmp_path / "texts", policies=Policies(overlaps=Overlaps.keep))
    assert result.texts == [TEXT, whole]
    assert [(span.start, span.end) for span in result.passages[1].spans] == [(0, 5), (60, 65)]


@pytest.mark.parametrize(
    ("name", "spans"),
    [
        pytest.param("doc", [(0, 5)], id="named as the key"),
        pytest.param("t1", [(0, 5), (60, 65)], id="of another name, and too long for the title"),
    ],
)
def test_spans_on_a_text_by_reference_never_land_on_a_text_beside_it(imported, name, spans):
    on_text = annotation(*(region(start, end, text="Redis") | {"to_name": name} for start, end in spans))
    data = {"doc": "https://example.org/a.txt", "title": "Redis lost"}
    result = imported([TASK, task(on_text, data=data) | {"id": 77}])
    assert result.texts == [TEXT]
    assert "only the address of the text" in result.reasons("refused")[0]


def test_of_several_files_with_a_name_the_one_with_the_path_is_read_else_none(imported, tmp_path):
    for name, text in {"a/x.txt": "Redis is up", "b/x.txt": "Kafka is up"}.items():
        (tmp_path / "texts" / name).parent.mkdir(parents=True)
        (tmp_path / "texts" / name).write_text(text)
    records = [
        task(annotation(region(0, 5)), data={"text": f"http://localhost/{path}"}) | {"id": number}
        for number, path in enumerate(["docs/b/x.txt", "x.txt", "../../etc/passwd", "y.txt"])
    ]
    result = imported(records, texts=tmp_path / "texts")
    assert result.texts == ["Kafka is up"]
    several, *missing = result.reasons("refused")
    assert "several files" in several
    assert all("has no file of that name" in reason for reason in missing)
    assert len(missing) == 2


def test_a_passage_that_is_nothing_but_an_address_is_read_where_the_spans_are_in_it(imported):
    url = "https://example.org/api/v2/orders"
    result = imported([task(annotation(region(19, 33, text="/api/v2/orders")), data={"text": url})])
    assert result.mentions == [[("/api/v2/orders", "INFRA")]]


def test_a_folder_of_texts_that_is_not_there_is_said_before_anything_is_read(imported, tmp_path):
    with pytest.raises(UserError, match="There is no folder"):
        imported([TASK], texts=tmp_path / "nowhere")


def test_the_agreement_of_two_people_is_that_on_each_text_of_a_task(tmp_path):
    content = two_texts("t1", "t2")
    content["annotations"].append(annotation(*content["annotations"][0]["result"], by=2))
    (tmp_path / "export.json").write_text(json.dumps([content]))
    agreement = measure_agreement([tmp_path / "export.json"])
    assert (agreement.passages, agreement.measured, agreement.all.f1) == (2, 2, 1.0)


def turn_region(first, last, start, end, **value):
    value = {"startOffset": start, "endOffset": end, "paragraphlabels": ["INFRA"], **value}
    value |= {"start": str(first), "end": str(last)}
    return {"from_name": "label", "to_name": "dialogue", "type": "paragraphlabels", "value": value}


@pytest.mark.parametrize("data_key", ["dialogue", "chat"])
@pytest.mark.parametrize("text_key", ["text", "utterance"])
def test_each_turn_of_an_annotated_dialogue_is_a_passage(imported, data_key, text_key):
    turns = ["Redis is down", "Is Kafka up?", "Yes."]
    data = {data_key: [{"author": "A", text_key: turn} for turn in turns], "title": "Redis or Kafka"}
    claim = {"text": "Kafka", "globalOffsets": {"start": 3, "end": 8}}
    result = imported([task(annotation(turn_region(0, 0, 0, 5), turn_region(1, 1, 3, 8, **claim)), data=data)])
    assert result.texts == turns
    assert result.mentions == [[("Redis", "INFRA")], [("Kafka", "INFRA")], []]


def test_a_region_over_several_turns_of_a_dialogue_is_refused_and_the_others_are_read(imported):
    data = {"dialogue": [{"author": "A", "text": "Redis is down"}, {"author": "B", "text": "Is Kafka up?"}]}
    result = imported([task(annotation(turn_region(0, 1, 0, 5), turn_region(0, 0, 0, 5)), data=data)])
    assert result.texts == ["Redis is down", "Is Kafka up?"]
    assert result.reasons("refused") == ["paragraphlabels: it goes over several turns of a dialogue"]


def test_spans_of_two_controls_that_may_be_on_two_texts_are_refused_and_not_put_on_the_longer_one(imported):
    def marked(start: int, end: int) -> str:
        return json.dumps([{"start": start, "end": end, "labels": ["INFRA"]}])

    texts = {"title": "Redis slow", "body": "The cache of the shop is Kafka"}
    row = {**texts, "id": 1, "first": marked(25, 30), "second": marked(0, 5), **REST}
    with pytest.raises(UserError) as raised:
        imported(table([row]), name="export.csv")
    assert "the spans of second may be on any of the texts body, title" in str(raised.value)
