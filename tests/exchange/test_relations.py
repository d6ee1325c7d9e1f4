"""Relations of the labelling tools: read with their directions, merged, refused with the reason, and written again."""

import json
from pathlib import Path

import pytest

from spacy_domain_ner.corpus import Passage, Span, read_passages, write_passages
from spacy_domain_ner.corpus.passage import Relation
from spacy_domain_ner.exchange.exporting import export_annotations
from spacy_domain_ner.exchange.importing import import_annotations
from spacy_domain_ner.exchange.policies import Annotators, KeepOrDrop, Policies
from spacy_domain_ner.exchange.tasks import export_tasks
from spacy_domain_ner.relation_types import RelationTypes

TEXT = "😀 checkout calls ledger, not Redis"
CHECKOUT, LEDGER, REDIS = Span(2, 10, "SERVICE"), Span(17, 23, "SERVICE"), Span(29, 34, "INFRA")
USES, BACK = Relation(CHECKOUT, "USES", LEDGER), Relation(LEDGER, "USES", CHECKOUT)
TYPES = RelationTypes.model_validate(
    {
        "relation_types": [
            {"name": "USES", "head": ["SERVICE"], "tail": ["SERVICE", "INFRA"]},
            {"name": "BESIDE", "head": ["SERVICE"], "tail": ["SERVICE"], "symmetric": True},
        ]
    }
)


def task(*relations, annotator=1, spans=(CHECKOUT, LEDGER, REDIS), text=TEXT, id=1):
    regions = [
        {
            "id": f"r{span.start}", "from_name": "label", "to_name": "text", "type": "labels",
            "value": {"start": span.start, "end": span.end, "labels": [span.label]},
        }
        for span in spans
    ]  # fmt: skip
    annotation = {"result": [*regions, *relations], "completed_by": annotator}
    return {"id": id, "data": {"text": text}, "annotations": [annotation]}


def arrow(start=2, end=17, direction="right", labels=("USES",)):
    ends = {"from_id": f"r{start}", "to_id": f"r{end}"}
    return {"type": "relation", "direction": direction, "labels": list(labels), **ends}


def doccano(start=1, end=2, name="USES"):
    ids = {1: CHECKOUT, 2: LEDGER, 3: REDIS}
    return {
        "text": TEXT,
        "entities": [
            {"id": id, "start_offset": span.start, "end_offset": span.end, "label": span.label}
            for id, span in ids.items()
        ],
        "relations": [{"id": 7, "from_id": start, "to_id": end, "type": name}],
    }


def prodigy(label="USES", head=CHECKOUT, child=LEDGER, **more):
    def place(span):
        return {"start": span.start, "end": span.end, "label": span.label or None, "token_start": 0, "token_end": 0}

    spans = [{"start": s.start, "end": s.end, "label": s.label} for s in (CHECKOUT, LEDGER, REDIS)]
    relation = {"head": 1, "child": 3, "head_span": place(head), "child_span": place(child), "label": label, **more}
    return {"text": TEXT, "spans": spans, "relations": [relation], "_view_id": "relations", "answer": "accept"}


def relations_of(result):
    [passage] = result.passages
    return passage.relations


@pytest.mark.parametrize(
    ("content", "expected"),
    [
        pytest.param([task(arrow())], [USES], id="to the right"),
        pytest.param([task(arrow(direction="left"))], [BACK], id="to the left"),
        pytest.param([task(arrow(direction="bi"))], [USES, BACK], id="both ways"),
        pytest.param([task(arrow(labels=["uses"]))], [USES], id="another spelling"),
        pytest.param([task(arrow(labels=["USES", "BESIDE"]))],
                     [USES, Relation(CHECKOUT, "BESIDE", LEDGER)], id="two types"),
        pytest.param([task(arrow(17, 2, labels=["BESIDE"]))], [Relation(CHECKOUT, "BESIDE", LEDGER)],
                     id="a symmetric one the other way"),
        pytest.param([task(arrow(direction="bi", labels=["BESIDE"]))], [Relation(CHECKOUT, "BESIDE", LEDGER)],
                     id="a symmetric one both ways"),
        pytest.param([task(arrow(), arrow())], [USES], id="twice"),
        pytest.param([doccano()], [USES], id="doccano"),
        pytest.param([doccano(2, 1)], [BACK], id="doccano the other way"),
        pytest.param([prodigy()], [USES], id="Prodigy"),
        pytest.param([prodigy(head=Span(2, 10, ""))], [USES], id="Prodigy, an end without its label"),
    ],
)  # fmt: skip
def test_relations_are_read_with_type_and_direction(imported, content, expected):
    result = imported(content, relation_types=TYPES)
    assert sorted(relations_of(result)) == sorted(expected)
    counts = result.report.relations
    assert counts["read"] == counts["kept"] + counts["refused"] + counts["left out"] + counts["merged"]
    assert not result.report.refused


@pytest.mark.parametrize(
    ("content", "reason"),
    [
        pytest.param([task(arrow(2, 99))], "its tail 'r99' is not a span of the passage", id="no such span"),
        pytest.param([task(arrow(2, 2))], "leads from a span to itself", id="to itself"),
        pytest.param([task(arrow(labels=["EATS"]))], "unknown relation type 'EATS'", id="an unknown type"),
        pytest.param([task(arrow(), spans=(CHECKOUT, Span(17, 99, "SERVICE")))],
                     "USES: its tail was not taken (SERVICE 17 to 99 lies outside", id="a span that was refused"),
        pytest.param([task(arrow(2, 5), spans=(CHECKOUT, Span(5, 10, "INFRA")))],
                     "USES: its tail was not taken (INFRA overlaps another span)", id="a span that another overlaps"),
        pytest.param([doccano(1, 9)], "its tail '9' is not a span", id="doccano"),
        pytest.param([prodigy(child=Span(11, 16, ""))], "its tail '11:16:' is not a span", id="Prodigy, to a token"),
        pytest.param([prodigy(label=None)], "a relation has no type", id="Prodigy, no type"),
    ],
)  # fmt: skip
def test_a_relation_that_cannot_be_taken_is_refused_with_the_reason(imported, content, reason):
    result = imported(content, relation_types=TYPES)
    assert relations_of(result) == []
    assert any(reason in one for one in result.reasons("refused"))
    assert result.report.relations["refused"] == 1


def test_a_relation_without_a_type_is_counted(imported):
    result = imported([task(arrow(labels=[]), arrow(17, 29))], relation_types=TYPES)
    assert result.report.ignored == {"relation without a type": 1}
    assert relations_of(result) == [Relation(LEDGER, "USES", REDIS)]


def test_without_relation_types_every_type_is_taken_and_renamed(imported):
    policies = Policies(rename={"EATS": "USES", "SEES": ""})
    result = imported([task(arrow(labels=["EATS"]), arrow(labels=["SEES"]))], policies=policies)
    assert relations_of(result) == [USES]
    assert result.report.relations["left out"] == 1


def test_where_one_task_has_relations_the_others_say_that_there_are_none(imported):
    quiet = task(text="ledger is up", spans=(Span(0, 6, "SERVICE"),), id=2)
    assert [p.relations for p in imported([task(arrow()), quiet]).passages] == [[USES], []]


def test_where_no_task_has_relations_nobody_has_looked_for_any(imported):
    assert relations_of(imported([task()])) is None


def test_relations_of_two_texts_stay_with_their_texts(imported):
    def on(name, span, id):
        value = {"start": span.start, "end": span.end, "labels": [span.label]}
        return {"id": id, "from_name": f"l{name}", "to_name": name, "type": "labels", "value": value}

    regions = [on("a", CHECKOUT, "a1"), on("a", LEDGER, "a2"), on("b", Span(0, 5, "INFRA"), "b1"),
               on("b", Span(6, 11, "INFRA"), "b2")]  # fmt: skip
    arrows = [
        {"type": "relation", "from_id": first, "to_id": second, "direction": "right", "labels": ["USES"]}
        for first, second in (("a1", "a2"), ("b1", "b2"), ("a1", "b1"))
    ]
    result = imported(
        [{"id": 1, "data": {"a": TEXT, "b": "Redis Kafka"}, "annotations": [{"result": regions + arrows}]}]
    )
    assert [[one.tail.start for one in passage.relations] for passage in result.passages] == [[17], [6]]
    assert [one for one in result.reasons("refused") if "'b1' is not a span" in one]


def test_brat_relations_are_read_and_those_of_lost_spans_are_told(tmp_path: Path):
    (tmp_path / "a.txt").write_text("checkout calls the big old ledger of Redis", encoding="utf8")
    (tmp_path / "a.ann").write_text(
        "T1\tSERVICE 0 8\tcheckout\nT2\tSERVICE 27 33\tledger\nT3\tX 19 22;27 33\tbig ledger\n"
        "R1\tUSES Arg1:T1 Arg2:T2\t\nR2\tUSES Arg1:T3 Arg2:T2\nR3\tUSES Head:T2 Tail:T1\nR4\tUSES Arg1:T1\n"
        "R5\tUSES Arg1:T1 Arg2:E9\n",
        encoding="utf8",
    )
    report = import_annotations([tmp_path], tmp_path / "out.jsonl", relation_types=TYPES)
    [passage] = read_passages(tmp_path / "out.jsonl")
    assert [(one.head.start, one.tail.start) for one in passage.relations or ()] == [(0, 27), (27, 0)]
    reasons = " ".join(entry.reason for entry in report.shown["refused"])
    assert "its head was not taken (X is discontinuous" in reasons
    assert "not a relation of two ends" in reasons
    assert "its tail 'E9' is not a span" in reasons


@pytest.mark.parametrize(
    ("policy", "expected"),
    [
        pytest.param(Annotators.majority, [USES], id="majority"),
        pytest.param(Annotators.one, [USES, Relation(LEDGER, "USES", REDIS)], id="the last of the nearest"),
    ],
)
def test_the_relations_that_most_annotators_have_are_kept(imported, policy, expected):
    one, two, three = task(arrow()), task(arrow(), arrow(2, 29)), task(arrow(), arrow(17, 29))
    together = {**one, "annotations": [each["annotations"][0] | {"completed_by": n} for n, each in
                                       enumerate((one, two, three))]}  # fmt: skip
    result = imported([together], policies=Policies(annotators=policy), relation_types=TYPES)
    assert relations_of(result) == expected
    assert any("and 2 relation(s)" in reason for reason in result.reasons("changed"))
    if policy is Annotators.majority:
        assert sum("1 of 3 versions have the relation" in reason for reason in result.reasons("changed")) == 2


def test_annotators_who_agree_on_spans_and_not_on_relations_do_not_agree(imported):
    [first], [second] = task(arrow())["annotations"], task(arrow(17, 2), annotator=2)["annotations"]
    together = {**task(), "annotations": [first, second]}
    assert not imported([together], policies=Policies(annotators=Annotators.agreed)).passages


def test_an_import_without_relations_keeps_those_whose_ends_stay(tmp_path: Path):
    path = tmp_path / "annotations.jsonl"
    other = Relation(LEDGER, "USES", REDIS)
    write_passages(path, [Passage(TEXT, [CHECKOUT, LEDGER, REDIS], relations=[USES, other])])
    (tmp_path / "new.json").write_text(json.dumps([task(spans=(CHECKOUT, LEDGER))]), encoding="utf8")
    report = import_annotations([tmp_path / "new.json"], path)
    assert read_passages(path).passages[0].relations == [USES]
    assert any("an end of the relation is not a span" in str(entry) for entry in report.shown["changed"])


def test_sentences_that_a_relation_joins_are_not_divided(imported):
    text = "checkout is slow. It calls ledger. Redis is up."
    spans = (Span(0, 8, "SERVICE"), Span(27, 33, "SERVICE"), Span(35, 40, "INFRA"))
    result = imported([task(arrow(0, 27), spans=spans, text=text)], sentences=True)
    assert result.texts == ["checkout is slow. It calls ledger.", "Redis is up."]
    assert [len(passage.relations) for passage in result.passages] == [1, 0]


def test_relations_go_to_label_studio_doccano_and_brat_and_come_back(tmp_path: Path):
    quiet = Passage("ledger is up", [Span(0, 6, "SERVICE")], relations=[])
    passages = [Passage(TEXT, [CHECKOUT, LEDGER, REDIS], relations=[USES, BACK]), quiet]
    write_passages(tmp_path / "in.jsonl", passages)
    for tool in ("label-studio", "doccano"):
        exported = export_tasks(tool, [tmp_path / "in.jsonl"], tmp_path / tool)
        assert (exported.relations, exported.relations_left_out) == (2, 0)
    assert export_annotations("brat", tmp_path / "in.jsonl", tmp_path / "brat").relations == 2
    assert "USES\tArg1:SERVICE, Arg2:SERVICE" in (tmp_path / "brat/annotation.conf").read_text(encoding="utf8")
    for form in ("label-studio", "doccano", "brat"):
        back = tmp_path / f"{form}.jsonl"
        import_annotations([tmp_path / form], back, Policies(predictions=KeepOrDrop.keep))
        assert [sorted(passage.relations or ()) for passage in read_passages(back)] == [sorted([USES, BACK]), []], form


def test_what_cannot_have_relations_says_so(tmp_path: Path):
    write_passages(tmp_path / "in.jsonl", [Passage(TEXT, [CHECKOUT, LEDGER], relations=[USES])])
    assert export_tasks("prodigy", [tmp_path / "in.jsonl"], tmp_path / "tasks").relations_left_out == 1
    assert (
        "can't have its 1 relation(s)" in export_annotations("conll", tmp_path / "in.jsonl", tmp_path / "x").left_out[0]
    )
