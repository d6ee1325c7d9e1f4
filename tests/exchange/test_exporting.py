"""Annotations in the forms of other tools, and back."""

import gzip
import json
from pathlib import Path

import pytest
import spacy
from spacy.tokens import DocBin

from spacy_domain_ner.corpus import Passage, Span, read_passages, write_passages
from spacy_domain_ner.errors import UserError
from spacy_domain_ner.exchange.exporting import Target, export_annotations
from spacy_domain_ner.exchange.importing import import_annotations
from spacy_domain_ner.exchange.policies import Overlaps, Policies

TEXTS = (
    "Redis is down",
    "Redis",
    "  two blanks before  Redis  and after  ",
    "🚀 𝒜 Redis 👩‍🔬 up 🇫🇷",
    "Cafe\u0301 Redis Zu\u0308rich",
    "first\r\nRedis\r\rlast\n",
    "\tRedis\t\tRedis ",
    "\ufeffRedis after a mark",
    "Redis\u2028Redis\x85end\xa0of Redis",
    "in\u200bside Redis\u200b",
    'T1\tX 0 5\tRedis # "quoted" \\n',
    "-DOCSTART- Redis O",
    "# text = Redis",
    "http://redis.example/Redis?Redis=1, MyRedisBox",
    "上海Redis工作",
)


def marked(text, source):
    """A passage in which each Redis is a span, also within words."""
    spans = [Span(at, at + 5, "INFRA") for at in range(len(text)) if text.startswith("Redis", at)]
    return Passage(text, spans, {"source": source} if source else {})


def there_and_back(folder: Path, passages: list[Passage], target: Target):
    write_passages(folder / "annotations.jsonl", passages)
    exported = export_annotations(target, folder / "annotations.jsonl", folder / target.value)
    import_annotations([folder / target.value], folder / "back.jsonl", Policies(overlaps=Overlaps.keep))
    return exported, read_passages(folder / "back.jsonl").passages


@pytest.mark.parametrize("target", [Target.huggingface, Target.spacy, Target.brat])
def test_texts_and_spans_come_back_as_they_went(tmp_path: Path, target: Target):
    passages = [marked(text, "page-1") for text in (*TEXTS, "All quiet")]
    exported, back = there_and_back(tmp_path, passages, target)
    assert [(p.text, p.spans) for p in back] == [(p.text, p.spans) for p in passages]
    assert (exported.passages, exported.spans) == (len(passages), sum(len(p.spans) for p in passages))
    assert not exported.left_out
    if target is not Target.brat:
        assert {p.meta["source"] for p in back} == {"page-1"}


def test_conll_has_the_tokens_and_the_mentions_without_the_spaces(tmp_path: Path):
    passages = [marked(text, "") for text in TEXTS if "DOCSTART" not in text]
    _, back = there_and_back(tmp_path, passages, Target.conll)
    assert ["".join(p.text.split()) for p in back] == ["".join(p.text.split()) for p in passages]
    assert [[p.surface(span) for span in p.spans] for p in back] == [["Redis"] * len(p.spans) for p in passages]


def test_conll_and_rows_as_other_programs_read_them(tmp_path: Path):
    passages = [
        Passage("Redis Cluster, Kafka.", [Span(0, 13, "INFRA"), Span(15, 20, "INFRA")], {"source": "a"}, {"id": 7}),
        Passage("Kafka Redis", [Span(0, 5, "INFRA"), Span(6, 11, "INFRA")], {"source": "a"}),
        Passage("All quiet", [], {"source": "b"}),
        Passage("No source"),
    ]
    write_passages(tmp_path / "a.jsonl", passages)
    export_annotations("conll", [tmp_path / "a.jsonl"], tmp_path / "a.conll")
    assert (tmp_path / "a.conll").read_text(encoding="utf8") == (
        "-DOCSTART- O\n\nRedis B-INFRA\nCluster I-INFRA\n, O\nKafka B-INFRA\n. O\n\nKafka B-INFRA\nRedis B-INFRA\n\n"
        "-DOCSTART- O\n\nAll O\nquiet O\n\n-DOCSTART- O\n\nNo O\nsource O\n\n"
    )
    export_annotations("huggingface", tmp_path / "a.jsonl", tmp_path / "rows.jsonl")
    rows = [json.loads(line) for line in (tmp_path / "rows.jsonl").read_text(encoding="utf8").splitlines()]
    assert rows[0] == {
        "id": "7", "text": "Redis Cluster, Kafka.", "tokens": ["Redis", "Cluster", ",", "Kafka", "."],
        "ner_tags": ["B-INFRA", "I-INFRA", "O", "B-INFRA", "O"], "source": "a",
    }  # fmt: skip
    assert {tuple(row) for row in rows} == {("id", "text", "tokens", "ner_tags", "source")}
    export_annotations("spacy", tmp_path / "a.jsonl", tmp_path / "a.spacy")
    docs = list(DocBin().from_disk(tmp_path / "a.spacy").get_docs(spacy.blank("en").vocab))
    assert [[ent.text for ent in doc.ents] for doc in docs] == [["Redis Cluster", "Kafka"], ["Kafka", "Redis"], [], []]
    assert not any(doc.has_annotation("ENT_IOB") and token.ent_iob == 0 for doc in docs for token in doc)


@pytest.mark.parametrize("target", Target)
def test_an_unknown_part_is_never_written_as_one_without_an_entity(tmp_path: Path, target: Target):
    known = Passage("Redis fell", [Span(0, 5, "INFRA")])
    write_passages(
        tmp_path / "a.jsonl", [known, Passage("Redis by Kafka", [Span(0, 5, "INFRA")], unknown=[Span(9, 14, "")])]
    )
    exported = export_annotations(target, tmp_path / "a.jsonl", tmp_path / "out")
    if target is Target.spacy:
        _, doc = DocBin().from_disk(tmp_path / "out").get_docs(spacy.blank("en").vocab)
        assert [token.ent_iob_ for token in doc] == ["B", "O", ""]
        import_annotations([tmp_path / "out"], tmp_path / "back.jsonl", file_format="docbin")
        assert read_passages(tmp_path / "back.jsonl").passages[1].unknown == [Span(9, 14, "")]
    else:
        words = f"a part of it is unknown, which {target.value} can't say: decide it first, or write spacy"
        assert exported.left_out == [f"{tmp_path / 'a.jsonl'}:2: {words}: 'Redis by Kafka'"]
        assert exported.passages == 1


@pytest.mark.parametrize("target", Target)
def test_what_a_form_cannot_have_is_said_with_its_place_and_id(tmp_path: Path, target: Target):
    passages = [
        Passage("MyRedis Cluster", [Span(2, 15, "INFRA"), Span(8, 15, "TEAM")], extra={"id": "x7"}),
        Passage("Redis fell", [Span(0, 6, "INFRA"), Span(4, 99, "INFRA")]),
        Passage("nothing fits", [Span(50, 60, "INFRA")]),
    ]
    exported, back = there_and_back(tmp_path, passages, target)
    nested = target is Target.brat
    assert [[p.surface(s) for s in p.spans] for p in back] == [["Redis Cluster", *["Cluster"] * nested], ["Redis"]]
    file = tmp_path / "annotations.jsonl"
    overlap = [f"{file}:1 (id x7): TEAM overlaps INFRA 'Redis Cluster', which is longer: 'Cluster'"]
    assert exported.left_out == ([] if nested else overlap) + [
        f"{file}:2: INFRA 4 to 99 lies outside the text of 10 characters: 'Redis fell'",
        f"{file}:3: INFRA 50 to 60 lies outside the text of 12 characters: 'nothing fits'",
        f"{file}:3: none of its spans can be taken: 'nothing fits'",
    ]
    cut = [f"{file}:1 (id x7): INFRA: a token is cut at its edge: 'Redis Cluster'"]
    trimmed = [f"{file}:2: INFRA: white space at its edges cut off: 'Redis'"]
    assert exported.changed == trimmed + ([] if nested else cut)


def test_skipped_passages_and_broken_lines_are_counted(tmp_path: Path):
    lines = ['{"text": "Redis"}', '{"text": "x", "answer": "ignore"}', "broken"]
    (tmp_path / "a.jsonl").write_text("\n".join(lines), encoding="utf8")
    exported = export_annotations("brat", tmp_path / "a.jsonl", tmp_path / "brat")
    assert (exported.passages, exported.skipped, len(exported.refusals)) == (1, 1, 1)
    assert {path.name for path in (tmp_path / "brat").iterdir()} == {"0001.txt", "0001.ann", "annotation.conf"}


def test_what_is_exported_is_never_overwritten_and_may_be_packed(tmp_path: Path):
    write_passages(tmp_path / "a.jsonl", [Passage("Redis fell", [Span(0, 5, "INFRA")])])
    with pytest.raises(UserError, match="is what is exported"):
        export_annotations("huggingface", tmp_path / "a.jsonl", tmp_path / "a.jsonl")
    (tmp_path / "a.jsonl.gz").write_bytes(gzip.compress((tmp_path / "a.jsonl").read_bytes()))
    assert export_annotations("brat", tmp_path / "a.jsonl.gz", tmp_path / "brat").spans == 1


@pytest.mark.parametrize(
    ("target", "rows", "said"),
    [
        pytest.param("excel", '{"text": "x"}', "`target` is 'excel'", id="no such target"),
        pytest.param("conll", '{"text": "x", "answer": "reject"}', "no annotated passage", id="nothing to write"),
        pytest.param("brat", '{"text": "x", "spans": [{"start": 0, "end": 1, "label": "A B"}]}',
                     "can't have the label 'A B'", id="a label with a blank"),
        pytest.param("brat", '{"text": "x"}', "is a folder with files in it", id="a folder that is in use"),
    ],
)  # fmt: skip
def test_what_cannot_be_written_is_an_error_that_says_why(tmp_path: Path, target, rows, said):
    (tmp_path / "a.jsonl").write_text(rows, encoding="utf8")
    (tmp_path / "out").mkdir()
    (tmp_path / "out" / "mine.txt").touch()
    with pytest.raises(UserError) as error:
        export_annotations(target, tmp_path / "a.jsonl", tmp_path / "out")
    assert said in str(error.value)
    assert [path.name for path in (tmp_path / "out").iterdir()] == ["mine.txt"]
