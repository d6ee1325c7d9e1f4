"""What an import decides, and that nothing goes uncounted whatever it decides."""

import json

import pytest
from helpers.versions import SCHEMA, TEXT
from hypothesis import given, settings
from hypothesis import strategies as st

from spacy_domain_ner.errors import UserError
from spacy_domain_ner.exchange.importing import import_annotations
from spacy_domain_ner.exchange.policies import Annotators, GroundTruth, KeepOrDrop, Overlaps, Policies, UnknownLabels


def test_unknown_labels_are_counted_by_their_names(imported):
    content = as_lines(row((0, 5, "it's"), (28, 33, "INFRA")), row((0, 5, "it's"), (6, 13, '"x"'), text=TEXT + "."))
    assert imported(content, schema=SCHEMA).report.unknown_labels == {"it's": 2, '"x"': 1}


def as_lines(*records):
    return "".join(json.dumps(record) + "\n" for record in records)


def row(*spans, text=TEXT, **rest):
    return {
        "text": text,
        "spans": [{"start": s, "end": e, "label": n} for s, e, n in spans],
        "answer": "accept",
        **rest,
    }


def test_spans_left_out_by_a_renaming_are_no_refusal_even_when_strict(imported):
    content = as_lines(row((0, 5, "INFRA"), (28, 33, "JUNK")))
    result = imported(content, policies=Policies(rename={"JUNK": ""}), strict=True)
    assert result.mentions == [[("Redis", "INFRA")]]
    assert result.report.spans["left out"] == 1


@pytest.mark.parametrize(
    "bad",
    [
        pytest.param(as_lines(row((0, 99, "INFRA"))), id="a span outside"),
        pytest.param(as_lines(row((0, 5, "OTHER"), (28, 33, "INFRA"))), id="an unknown label"),
        pytest.param(as_lines(row((0, 5, "INFRA"), (0, 13, "INFRA"))), id="overlapping spans"),
        pytest.param(as_lines(row(), {"text": 3, "answer": "accept"}), id="a record without a text"),
    ],
)
def test_strict_imports_nothing_if_anything_is_refused_and_still_reports_it(imported, tmp_path, bad):
    report = tmp_path / "report.json"
    with pytest.raises(UserError, match="refused; nothing was imported"):
        imported(bad, schema=SCHEMA, strict=True, report=report)
    assert not (tmp_path / "imported/annotations.jsonl").exists()
    written = json.loads(report.read_text(encoding="utf8"))
    assert any(entry["kind"] == "refused" for entry in written["entries"])


def test_an_import_of_nothing_but_unknown_labels_is_an_error_that_says_how_to_rename(imported):
    with pytest.raises(UserError, match="None of the labels is an entity type: ORG") as error:
        imported(as_lines(row((0, 5, "ORG"))), schema=SCHEMA)
    assert "`rename=OLD=NEW`" in error.value.hint


def test_every_entry_of_the_report_has_its_place_its_text_and_its_reason(imported, tmp_path):
    report = tmp_path / "report.json"
    content = as_lines(
        row((0, 6, "INFRA"), (0, 5, "INFRA"), (3, 99, "INFRA")), row(text=" "), row(text="x", answer="ignore")
    )
    imported(content, report=report)
    written = json.loads(report.read_text(encoding="utf8"))
    assert {(entry["kind"], entry["of"], entry["line"]) for entry in written["entries"]} == {
        ("changed", "span", 1), ("refused", "span", 1), ("refused", "passage", 2), ("left out", "passage", 3),
    }  # fmt: skip
    assert all(entry["reason"] and entry["file"].endswith("export.json") for entry in written["entries"])
    assert written["counts"]["spans"]["read"] == 3
    assert written["counts"]["passages"]["read"] == 3


def test_a_choice_may_be_given_by_its_name_and_one_that_does_not_exist_is_named():
    policies = Policies(annotators="majority", empty="drop", only_annotators=["ann"])
    assert policies == Policies(Annotators.majority, empty=KeepOrDrop.drop, only_annotators=("ann",))
    for wrong, known in (({"annotators": "most"}, "majority"), ({"offset_unit": "miles"}, "utf-16")):
        with pytest.raises(UserError, match="`{}` is '{}'".format(*next(iter(wrong.items())))) as raised:
            Policies(**wrong)
        assert known in raised.value.hint


LABELS = st.sampled_from(["INFRA", "SERVICE", "JUNK"])
SPANS = st.tuples(st.integers(-2, 50), st.integers(-2, 50), LABELS)
TEXTS = st.sampled_from([TEXT, "Redis 😀 is down", "Redis\r\nCluster", " Redis  Cluster", "Redis\nCluster"])
ROWS = st.builds(
    lambda text, spans, answer, view, session, truth: {
        **row(*spans, text=text), "answer": answer, **view, **({"_session_id": session} if session else {}), **truth,
    },
    TEXTS, st.lists(SPANS, max_size=4), st.sampled_from(["accept", "accept", "reject", "ignore"]),
    st.sampled_from([{}, {"_view_id": "ner"}, {"_view_id": "ner_manual", "tokens": []}]),
    st.sampled_from(["", "ann", "ben", "zoe"]), st.just({}),
)  # fmt: skip
TASKS = st.builds(
    lambda text, versions: {
        "id": 1,
        "data": {"text": text},
        "annotations": [
            {
                "completed_by": who, "was_cancelled": skipped, "ground_truth": truth,
                "result": [{"type": "labels", "value": {"start": s, "end": e, "labels": [n]}} for s, e, n in spans],
            }
            for who, skipped, truth, spans in versions
        ],
    },
    TEXTS,
    st.lists(
        st.tuples(st.integers(1, 3), st.booleans(), st.booleans(), st.lists(SPANS, max_size=4)), max_size=3
    ),
)  # fmt: skip
DOCCANO = st.builds(
    lambda text, spans: {"text": text, "label": [list(span) for span in spans]}, TEXTS, st.lists(SPANS, max_size=3)
)
POLICIES = st.builds(
    Policies, st.sampled_from(Annotators), st.sampled_from(GroundTruth), st.sampled_from(Overlaps),
    st.sampled_from(UnknownLabels), *[st.sampled_from(KeepOrDrop)] * 3,
    st.sampled_from([{}, {"JUNK": ""}, {"SERVICE": "INFRA"}]), st.sampled_from([(), ("ann",), ("1", "2")]),
    partial=st.sampled_from(KeepOrDrop),
)  # fmt: skip


@settings(max_examples=150)
@given(
    records=st.lists(ROWS, max_size=6) | st.lists(TASKS, max_size=4) | st.lists(DOCCANO, max_size=5),
    policies=POLICIES,
    schema=st.sampled_from([None, SCHEMA]),
)
def test_under_every_policy_all_that_is_read_is_kept_refused_merged_or_left_out(
    tmp_path_factory, records, policies, schema
):
    folder = tmp_path_factory.mktemp("balance")
    path, output, report_path = folder / "export.json", folder / "annotations.jsonl", folder / "report.json"
    path.write_text(as_lines(*records), encoding="utf8")
    try:
        report = import_annotations([path], output, policies, schema=schema, report=report_path)
    except UserError as error:
        known = ("is empty", "format", "entity type", "Every annotated passage was refused")
        assert any(words in str(error) for words in known)  # noqa: PT017
        return
    passages, spans = report.passages, report.spans
    assert passages["read"] == passages["kept"] + passages["refused"] + passages["left out"]
    assert spans["read"] == spans["kept"] + spans["refused"] + spans["merged"] + spans["left out"]
    written = [json.loads(line) for line in output.read_text(encoding="utf8").splitlines()]
    assert len(written) == passages["kept"] == passages["added"]
    assert sum(len(record["spans"]) for record in written) == spans["kept"] == sum(report.labels.values())
    without = sum(not record["spans"] and "training_only" not in record["meta"] for record in written)
    assert without == report.without_spans
    entries = json.loads(report_path.read_text(encoding="utf8"))["entries"]
    for of, counts in (("passage", passages), ("span", spans)):
        assert sum(entry["of"] == of and entry["kind"] == "refused" for entry in entries) == counts["refused"]
    # What was written is imported again as it is.
    if not written or policies.annotators is Annotators.each:
        return
    again = import_annotations([output], output, Policies(overlaps=Overlaps.keep))
    assert again.passages["unchanged"] == len(written)
