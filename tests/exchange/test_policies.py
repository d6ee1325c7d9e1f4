"""What an import decides: each policy by itself, and that nothing goes uncounted under any of them."""

import json

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from spacy_domain_ner.corpus import Span
from spacy_domain_ner.errors import UserError
from spacy_domain_ner.exchange.cleaning import CleanVersion, clean, rebase
from spacy_domain_ner.exchange.combining import candidates, combine
from spacy_domain_ner.exchange.formats.version import RawSpan, Status, Version
from spacy_domain_ner.exchange.importing import import_annotations
from spacy_domain_ner.exchange.policies import Annotators, GroundTruth, KeepOrDrop, Overlaps, Policies, UnknownLabels
from spacy_domain_ner.exchange.reasons import Reason
from spacy_domain_ner.schema import EntitySchema, EntityType

TEXT = "Redis Cluster is down since Kafka restarted"
A, B, C = RawSpan(0, 5, "INFRA"), RawSpan(28, 33, "INFRA"), RawSpan(0, 13, "SERVICE")
SCHEMA = EntitySchema(entity_types=[EntityType(name="INFRA")])


def version(*spans, by="", status=Status.COMPLETE, truth=False, made="", text=TEXT):
    return Version(text, list(spans), annotator=by, status=status, ground_truth=truth, made=made)


def counting(*versions, **policies):
    """The indices of the versions that count, and the reasons of the others."""
    chosen, left_out = candidates(list(versions), Policies(**policies))
    return [next(i for i, v in enumerate(versions) if v is one) for one in chosen], [reason for _, reason in left_out]


ANN, BEN, ZOE = version(A, by="ann"), version(B, by="ben"), version(A, by="zoe", truth=True)
SKIPPED, PARTIAL = version(A, by="ben", status=Status.SKIPPED), version(A, status=Status.PARTIAL)
PREDICTED, OPEN = version(A, status=Status.PREDICTED), version(status=Status.UNANNOTATED)
UNSURE = version(by="kim", status=Status.UNCONFIRMED)
DECLINED = version(A, status=Status.DECLINED)


@pytest.mark.parametrize(
    ("versions", "policies", "expected", "reasons"),
    [
        pytest.param([ANN, BEN], {}, [0, 1], [], id="two people"),
        pytest.param([ANN, SKIPPED], {}, [0], [Reason.SKIPPED], id="one skipped it"),
        pytest.param([SKIPPED], {}, [], [Reason.SKIPPED], id="all skipped it"),
        pytest.param([SKIPPED], {"skipped": KeepOrDrop.keep}, [0], [], id="skipped, and wanted"),
        pytest.param([DECLINED], {"skipped": KeepOrDrop.keep}, [], [Reason.SKIPPED], id="no answer to a question"),
        pytest.param([PARTIAL, OPEN], {}, [], [Reason.PARTIAL, Reason.UNANNOTATED], id="in part and not at all"),
        pytest.param([PARTIAL, ANN], {}, [1], [Reason.PARTIAL], id="in part, and wholly"),
        pytest.param([PREDICTED], {}, [], [Reason.PREDICTED], id="predicted"),
        pytest.param([PREDICTED], {"predictions": KeepOrDrop.keep}, [0], [], id="predicted, and wanted"),
        pytest.param(
            [PREDICTED, ANN], {"predictions": KeepOrDrop.keep}, [1], [Reason.PREDICTED], id="predicted, but annotated"
        ),
        pytest.param(
            [PREDICTED, SKIPPED], {"predictions": KeepOrDrop.keep}, [0], [Reason.SKIPPED], id="predicted and skipped"
        ),
        pytest.param([UNSURE], {}, [0], [], id="empty, and nobody knows better"),
        pytest.param(
            [UNSURE, version(by="kim", status=Status.UNCONFIRMED)],
            {},
            [1],
            [Reason.REPLACED],
            id="empty twice by one person",
        ),
        pytest.param([ANN, UNSURE], {}, [0], [Reason.UNCONFIRMED], id="empty, but annotated by another"),
        pytest.param([UNSURE, version(by="ann")], {}, [1], [Reason.UNCONFIRMED], id="empty for certain"),
        pytest.param([ANN, ZOE], {}, [1], [Reason.NOT_GROUND_TRUTH], id="ground truth"),
        pytest.param([ANN, ZOE], {"ground_truth": GroundTruth.ignore}, [0, 1], [], id="ground truth ignored"),
        pytest.param(
            [ANN, BEN],
            {"ground_truth": GroundTruth.only},
            [],
            [Reason.NOT_GROUND_TRUTH] * 2,
            id="ground truth only, none",
        ),
        pytest.param(
            [ANN, ZOE], {"ground_truth": GroundTruth.only}, [1], [Reason.NOT_GROUND_TRUTH], id="ground truth only"
        ),
        pytest.param([ANN, BEN], {"only_annotators": ("ben",)}, [1], [Reason.OTHER_ANNOTATOR], id="one person only"),
        pytest.param(
            [ANN, BEN], {"only_annotators": ("kim",)}, [], [Reason.OTHER_ANNOTATOR] * 2, id="one who is not there"
        ),
        pytest.param([ANN, version(B, by="ann")], {}, [1], [Reason.REPLACED], id="a second version"),
        pytest.param([version(A), version(B)], {}, [0, 1], [], id="nobody knows who made them"),
        pytest.param(
            [ANN, version(B, by="ann")], {"annotators": Annotators.each}, [0, 1], [], id="each of a person's versions"
        ),
        pytest.param(
            [version(A, by="ann", made="2026-02"), version(B, by="ann", made="2026-01")],
            {},
            [0],
            [Reason.REPLACED],
            id="by time",
        ),
        pytest.param(
            [version(A, by="ann", made="2026-02"), version(B, by="ann")],
            {},
            [1],
            [Reason.REPLACED],
            id="by place where a time is missing",
        ),
    ],
)
def test_the_versions_that_count(versions, policies, expected, reasons):
    chosen, left_out = counting(*versions, **policies)
    assert chosen == expected
    assert left_out == reasons


def cleaned_versions(*spans_of_each):
    return [
        CleanVersion(version(by=name), [Span(0, n, "A") for n in spans])
        for name, spans in zip("abcd", spans_of_each, strict=False)
    ]


@pytest.mark.parametrize(
    ("versions", "policy", "expected"),
    [
        pytest.param([[1], [1]], "one", [[1]], id="one mind"),
        pytest.param([[1], [2]], "one", [[2]], id="two minds: the last"),
        pytest.param([[1, 2], [1, 2], [3]], "one", [[1, 2]], id="the one nearest to the others"),
        pytest.param([[1], [], []], "one", [[]], id="all far apart: the last"),
        pytest.param([[1], [1, 2], [2, 3]], "majority", [[1, 2]], id="two of three"),
        pytest.param([[1], [2]], "majority", [[]], id="half is no majority"),
        pytest.param([[1, 2], [2]], "majority", [[2]], id="both"),
        pytest.param([[1], [1]], "agreed", [[1]], id="agreed"),
        pytest.param([[], []], "agreed", [[]], id="agreed that there is nothing"),
        pytest.param([[1], [1, 2]], "agreed", [], id="not agreed"),
        pytest.param([[1], [1, 2]], "each", [[1], [1, 2]], id="each"),
        pytest.param([[4]], "majority", [[4]], id="one alone"),
    ],
)
def test_several_annotators_versions_become_one(versions, policy, expected):
    made, difference = combine(cleaned_versions(*versions), Annotators(policy))
    assert [[span.end for span in spans] for _, spans in made] == expected
    assert bool(difference) == any(spans != versions[0] for spans in versions)


def test_the_difference_names_the_people_and_whose_was_taken():
    _, difference = combine(cleaned_versions([1], [1, 2], [1]), Annotators.one)
    assert str(difference) == "3 versions (by a, b, c) differ in 1 span(s); taken: c"


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


def test_a_span_that_is_there_twice_once_trimmed_is_merged():
    cleaned = clean(version(A, RawSpan(0, 6, "INFRA"), A), Policies())
    assert cleaned.spans == [Span(0, 5, "INFRA")]
    assert sum(note.reason is Reason.MERGED for note in cleaned.changed) == 2


@pytest.mark.parametrize(
    ("policies", "expected"),
    [
        pytest.param(Policies(), ["INFRA"], id="the span is refused"),
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


def test_unknown_labels_are_counted_by_their_names(imported):
    content = as_lines(row((0, 5, "it's"), (28, 33, "INFRA")), row((0, 5, "it's"), (6, 13, '"x"'), text=TEXT + "."))
    assert imported(content, schema=SCHEMA).report.unknown_labels == {"it's": 2, '"x"': 1}


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
def test_strict_imports_nothing_if_anything_is_refused_and_still_accounts_for_it(imported, tmp_path, bad):
    report = tmp_path / "report.json"
    with pytest.raises(UserError, match="refused; nothing was imported"):
        imported(bad, schema=SCHEMA, strict=True, report=report)
    assert not (tmp_path / "imported/annotations.jsonl").exists()
    account = json.loads(report.read_text(encoding="utf8"))
    assert any(entry["kind"] == "refused" for entry in account["entries"])


def test_an_import_of_nothing_but_unknown_labels_is_an_error_that_says_how_to_rename(imported):
    with pytest.raises(UserError, match="None of the labels is an entity type: ORG") as error:
        imported(as_lines(row((0, 5, "ORG"))), schema=SCHEMA)
    assert "`rename=OLD=NEW`" in error.value.hint


def test_every_entry_of_the_account_has_its_place_its_text_and_its_reason(imported, tmp_path):
    report = tmp_path / "report.json"
    content = as_lines(
        row((0, 6, "INFRA"), (0, 5, "INFRA"), (3, 99, "INFRA")), row(text=" "), row(text="x", answer="ignore")
    )
    imported(content, report=report)
    account = json.loads(report.read_text(encoding="utf8"))
    assert {(entry["kind"], entry["of"], entry["line"]) for entry in account["entries"]} == {
        ("changed", "span", 1), ("refused", "span", 1), ("refused", "passage", 2), ("left out", "passage", 3),
    }  # fmt: skip
    assert all(entry["reason"] and entry["file"].endswith("export.json") for entry in account["entries"])
    assert account["counts"]["spans"]["read"] == 3
    assert account["counts"]["passages"]["read"] == 3


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


def test_a_choice_may_be_given_by_its_name_and_one_that_does_not_exist_is_named():
    policies = Policies(annotators="majority", empty="drop", only_annotators=["ann"])
    assert policies == Policies(Annotators.majority, empty=KeepOrDrop.drop, only_annotators=("ann",))
    for wrong, known in (({"annotators": "most"}, "majority"), ({"offset_unit": "miles"}, "utf-16")):
        with pytest.raises(UserError, match="`{}` is '{}'".format(*next(iter(wrong.items())))) as raised:
            Policies(**wrong)
        assert known in raised.value.hint


def test_every_reason_has_words_of_its_own():
    details = {"words": "w", "label": "A", "rival": "B", "rival_text": "b", "unit": "u", "claim": "c", "changes": "+A",
               "versions": 2, "spans": 1, "whose": "", "taken": "", "length": 9,
               "start": 0, "end": 1, "new_start": 2, "new_end": 3}  # fmt: skip
    said = [str(reason.note(**details)) for reason in Reason]
    assert len(set(said)) == len(said)
    assert not any("{" in words for words in said)


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
)  # fmt: skip


@settings(max_examples=150, deadline=None)
@given(
    records=st.lists(ROWS, max_size=6) | st.lists(TASKS, max_size=4) | st.lists(DOCCANO, max_size=5),
    policies=POLICIES,
    schema=st.sampled_from([None, SCHEMA]),
)
def test_under_every_policy_all_that_is_read_is_kept_refused_merged_or_left_out(
    tmp_path_factory, records, policies, schema
):
    folder = tmp_path_factory.mktemp("balance")
    path, output, account = folder / "export.json", folder / "annotations.jsonl", folder / "report.json"
    path.write_text(as_lines(*records), encoding="utf8")
    try:
        report = import_annotations([path], output, policies, schema=schema, report=account)
    except UserError as error:
        assert "is empty" in str(error) or "format" in str(error) or "entity type" in str(error)  # noqa: PT017
        return
    passages, spans = report.passages, report.spans
    assert passages["read"] == passages["kept"] + passages["refused"] + passages["left out"]
    assert spans["read"] == spans["kept"] + spans["refused"] + spans["merged"] + spans["left out"]
    written = [json.loads(line) for line in output.read_text(encoding="utf8").splitlines()]
    assert len(written) == passages["kept"] == passages["added"]
    assert sum(len(record["spans"]) for record in written) == spans["kept"] == sum(report.labels.values())
    assert sum(not record["spans"] for record in written) == report.without_spans
    entries = json.loads(account.read_text(encoding="utf8"))["entries"]
    for of, counts in (("passage", passages), ("span", spans)):
        assert sum(entry["of"] == of and entry["kind"] == "refused" for entry in entries) == counts["refused"]
    # What was written is imported again as it is.
    if not written or policies.annotators is Annotators.each:
        return
    again = import_annotations([output], output, Policies(overlaps=Overlaps.keep))
    assert again.passages["unchanged"] == len(written)
