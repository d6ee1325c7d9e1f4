"""Real exports, span for span against what a careful reader makes of them; skipped where they are not at hand."""

import json
from collections import Counter
from pathlib import Path

import pytest

from spacy_domain_ner.corpus import read_valid_passages
from spacy_domain_ner.exchange.importing import import_annotations
from spacy_domain_ner.exchange.policies import Annotators, GroundTruth, KeepOrDrop, Overlaps, Policies
from spacy_domain_ner.exchange.reasons import Reason

EXPORTS = Path(__file__).parents[3] / "shared/data/exports"
# The references have every annotator's version and every overlap.
ALL = Policies(annotators=Annotators.each, ground_truth=GroundTruth.ignore, overlaps=Overlaps.keep)
pytestmark = pytest.mark.skipif(not EXPORTS.is_dir(), reason="the real exports are not at hand")


def manifest():
    path = EXPORTS / "MANIFEST.json"
    return json.loads(path.read_text(encoding="utf8")) if path.is_file() else []


def solid(text, spans):
    """A text and its spans by the characters that are not white space: BIO text is put together again."""
    number = [0]
    for character in text:
        number.append(number[-1] + (not character.isspace()))
    return "".join(text.split()), tuple(sorted((number[start], number[end], label) for start, end, label in spans))


def imported(tmp_path, path, policies=ALL, **options):
    output = tmp_path / "annotations.jsonl"
    report = import_annotations([path], output, policies, **options)
    passages, spans = report.passages, report.spans
    assert passages["read"] == passages["kept"] + passages["refused"] + passages["left out"]
    assert spans["read"] == spans["kept"] + spans["refused"] + spans["merged"] + spans["left out"]
    return read_valid_passages(output) if output.stat().st_size else [], report


def found_in(passages):
    return Counter(solid(p.text, [(span.start, span.end, span.label) for span in p.spans]) for p in passages)


def reference(entry):
    lines = (EXPORTS.parent / entry["normalised"]).read_text(encoding="utf8").split("\n")
    records = [json.loads(line) for line in lines if line]
    return [(r, solid(r["text"], [(s["start"], s["end"], s["label"]) for s in r["spans"]])) for r in records]


# Read by other tests below: binary answers are not complete annotations; and where the paragraph's own text is given,
# it is taken, while the reference joins the tokens, whose quotation marks are others.
APART = ("reddit_PRODUCT_binary.jsonl", "training-data.json")


@pytest.mark.parametrize(
    "entry",
    [
        pytest.param(entry, id=entry["file"])
        for entry in manifest()
        if "normalised" in entry and not entry["file"].endswith(APART)
    ],
)
def test_an_export_is_read_span_for_span_as_its_reference(tmp_path, entry):
    passages, _ = imported(tmp_path, EXPORTS.parent / entry["file"])
    # The references have what was put aside, too.
    expected = Counter(found for r, found in reference(entry) if r.get("meta", {}).get("answer", "accept") == "accept")
    got = found_in(passages)
    assert not expected - got
    assert not got - expected


def test_binary_answers_are_nobodys_complete_annotation(tmp_path):
    entry = next(entry for entry in manifest() if entry["file"].endswith(APART[0]))
    to_label = tmp_path / "to_label.jsonl"
    for policies in (ALL, Policies(skipped=KeepOrDrop.keep, predictions=KeepOrDrop.keep)):
        passages, report = imported(tmp_path, EXPORTS.parent / entry["file"], policies, to_label=to_label)
        assert passages == []
        assert report.passages["left out"] == 1800
        assert report.reasons[Reason.SKIPPED] == 86
    accepted = {}
    for record, (text, spans) in reference(entry):
        if record["meta"]["answer"] == "accept":
            accepted.setdefault(text, set()).update(spans)
    partial = dict(found_in(read_valid_passages(to_label)))
    found = {}
    for text, spans in partial:
        found.setdefault(text, set()).update(spans)
    # Every accepted answer waits to be completed, but those that overlap a longer one.
    assert {text for text, spans in found.items() if spans} == set(accepted)
    assert all(found[text] <= spans for text, spans in accepted.items())
    assert sum(map(len, found.values())) >= 0.99 * sum(map(len, accepted.values()))


def test_the_training_json_of_spacy_2_has_its_mentions_on_its_own_text(tmp_path):
    entry = next(entry for entry in manifest() if entry["file"].endswith(APART[1]))
    passages, _ = imported(tmp_path, EXPORTS.parent / entry["file"])
    got = [[("".join(p.surface(span).split()), span.label) for span in p.spans] for p in passages]
    expected = [
        [("".join(r["text"][s["start"] : s["end"]].split()), s["label"]) for s in r["spans"]]
        for r, _ in reference(entry)
    ]
    assert got == expected


@pytest.mark.parametrize(
    ("file", "mentions"),
    [
        pytest.param("doccano_jsonl/medkit_crlf_offsets.jsonl", {"2022"}, id="a line end counted as one"),
        pytest.param("doccano_jsonl/medkit_relations.jsonl", None, id="relations"),
        pytest.param("doccano_jsonl/official_export_relation_extraction.pretty.json", None, id="printed"),
        pytest.param("label_studio_json/lsf_named_entity_annotation.json", None, id="one task"),
        pytest.param("label_studio_json/lsf_rich_text_html_annotation.json", None, id="HTML"),
    ],
)
def test_exports_without_a_reference_lose_nothing(tmp_path, file, mentions):
    passages, report = imported(tmp_path, EXPORTS / file)
    assert report.spans["kept"] == report.spans["read"] > 0
    assert not report.refused
    if mentions:
        assert mentions <= {p.surface(span) for p in passages for span in p.spans}


def test_predictions_alone_are_left_out_unless_they_are_wanted(tmp_path):
    path = EXPORTS / "label_studio_json/lsf_named_entity_tasks.json"
    passages, report = imported(tmp_path, path)
    assert passages == []
    assert report.reasons == {Reason.PREDICTED: 1}
    passages, _ = imported(tmp_path, path, Policies(predictions=KeepOrDrop.keep))
    assert len(passages[0].spans) == 1


@pytest.mark.parametrize("side", ["api", "ui"])
@pytest.mark.parametrize("other", ["JSON_MIN.json", "CSV.csv", "TSV.tsv"])
def test_label_studios_other_exports_say_what_its_json_says(tmp_path, side, other):
    live = EXPORTS / "label_studio_live"
    whole, _ = imported(tmp_path, live / f"{side}.JSON.json")
    again = tmp_path / "again"
    again.mkdir()
    part, _ = imported(again, live / f"{side}.{other}")
    assert found_in(part) == found_in(whole)
    assert {p.meta["annotator"] for p in part} == {p.meta["annotator"] for p in whole}


def test_a_snapshot_says_what_the_json_says(tmp_path):
    live = EXPORTS / "label_studio_live"
    whole, _ = imported(tmp_path, live / "api.JSON.json")
    again = tmp_path / "again"
    again.mkdir()
    snapshot, _ = imported(again, live / "api.snapshot-full.json")
    assert found_in(snapshot) == found_in(whole)


@pytest.mark.parametrize("file", ["upload.jsonl", "relation.all.jsonl"])
def test_doccano_files_as_they_were_uploaded_count_code_points(tmp_path, file):
    passages, report = imported(tmp_path, EXPORTS / "doccano_live" / file)
    assert not report.offset_units
    found = {p.surface(span) for p in passages for span in p.spans}
    assert {"Angela Merkel", "Marie Curie", "Paris", "John Smith", "New York", "Alice", "Rome"} <= found


def test_spans_made_in_doccanos_browser_count_utf_16_units_beside_uploaded_ones(tmp_path):
    passages, report = imported(tmp_path, EXPORTS / "doccano_live/p1-after-ui.admin.jsonl", Policies())
    ((_, units),) = report.offset_units.items()
    assert units["utf-16"]
    spans = {(p.surface(span), span.label) for p in passages for span in p.spans}
    assert {("Marie Curie", "PER"), ("Paris", "LOC"), ("Łukasz", "PER")} <= spans


def test_an_archive_names_its_person(tmp_path):
    passages, report = imported(tmp_path, EXPORTS / "doccano_live/JSONL.zip")
    assert {p.meta["annotator"] for p in passages} == {"admin"}
    assert len(report.files) == 1
