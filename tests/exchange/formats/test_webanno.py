"""WebAnno's and INCEpTION's TSV: layers, spans of several tokens, stacked spans, parts of tokens, escapes, offsets."""

import pytest
from helpers.versions import SCHEMA

from spacy_domain_ner.errors import UserError
from spacy_domain_ner.exchange.policies import Overlaps, Policies

FORMAT = "#FORMAT=WebAnno TSV 3.3\n"
ENTITIES = "#T_SP=de.tudarmstadt.ukp.dkpro.core.api.ner.type.NamedEntity|identifier|value\n"
POS = "#T_SP=de.tudarmstadt.ukp.dkpro.core.api.lexmorph.type.pos.POS|PosValue\n"
TWO = "#T_SP=webanno.custom.Style|kind\n#T_SP=webanno.custom.Names|kind\n"
LINKS = "#T_SP=webanno.custom.Frame|FE|ROLE_webanno.custom.Frame:Role_webanno.custom.Link|webanno.custom.Lu\n"
RELATIONS = (
    "#T_RL=de.x.Dependency|DependencyType|BT_de.x.POS\n#T_CH=de.x.CoreferenceLink|referenceRelation|referenceType\n"
)


def tsv(*sentences, layers=ENTITIES, start=0):
    """A file: each sentence is a text with its lines of begin, end, token and cells."""
    parts = [FORMAT, layers, "\n"]
    for number, (text, *rows) in enumerate(sentences, 1):
        parts.append(f"\n#Text={text}\n")
        token = 0
        for begin, end, form, *cells in rows:
            part = form.startswith("/")
            token += not part
            name = f"{number}-{token}" + (".1" if part else "")
            parts.append("\t".join([name, f"{begin}-{end}", form.removeprefix("/"), *cells]) + "\t\n")
    return "".join(parts)


NONE, INFRA, FIRST = ("_", "_"), ("*", "INFRA"), ("*[1]", "INFRA[1]")


@pytest.mark.parametrize(
    ("content", "texts", "mentions"),
    [
        pytest.param(
            tsv(("Redis Cluster is  down .", (0, 5, "Redis", *FIRST), (6, 13, "Cluster", *FIRST),
                 (14, 16, "is", *NONE), (18, 22, "down", *NONE), (23, 24, ".", *NONE))),
            ["Redis Cluster is  down ."], [["Redis Cluster"]], id="several tokens, on the text as it is"),
        pytest.param(
            tsv(("Redis Kafka", (0, 5, "Redis", *INFRA), (6, 11, "Kafka", *INFRA))),
            ["Redis Kafka"], [["Redis", "Kafka"]], id="neighbours without a number"),
        pytest.param(
            tsv(("Up: Redis", (0, 3, "Up:", *NONE), (4, 9, "Redis", "*[1]", "INFRA[1]")),
                ("So is Redis", (10, 12, "So", *NONE), (13, 15, "is", *NONE), (16, 21, "Redis", "*[1]", "INFRA[1]"))),
            ["Up: Redis", "So is Redis"], [["Redis"], ["Redis"]], id="numbers that begin anew in each sentence"),
        pytest.param(
            tsv(("The Redis", (0, 3, "The", *NONE), (4, 9, "Redis", "*[1]", "INFRA[1]")),
                ("Cluster fell", (10, 17, "Cluster", "*[1]", "INFRA[1]"), (18, 22, "fell", *NONE))),
            ["The Redis Cluster fell"], [["Redis Cluster"]], id="a span over the border of two sentences"),
        pytest.param(
            tsv(("a Redis-backed Kafka", (0, 1, "a", *NONE), (2, 14, "Redis-backed", *NONE), (2, 7, "/Redis", *INFRA),
                 (15, 20, "Kafka", *NONE))),
            ["a Redis-backed Kafka"], [["Redis"]], id="a part of a token"),
        pytest.param(
            tsv(("Redis Cluster-like", (0, 5, "Redis", "*[2]", "INFRA[2]"), (6, 18, "Cluster-like", *NONE),
                 (6, 13, "/Cluster", "*[2]", "INFRA[2]"))),
            ["Redis Cluster-like"], [["Redis Cluster"]], id="a span that ends within a token"),
        pytest.param(
            tsv(("Redis Cluster", (0, 5, "Redis", "*[1]|*[2]", "INFRA[1]|INFRA[2]"), (6, 13, "Cluster", *FIRST))),
            ["Redis Cluster"], [["Redis", "Redis Cluster"]], id="stacked"),
        pytest.param(
            tsv(("🚀🚀 Redis", (0, 4, "🚀🚀", *NONE), (5, 10, "Redis", *INFRA)), ("Kafka", (11, 16, "Kafka", *INFRA))),
            ["🚀🚀 Redis", "Kafka"], [["Redis"], ["Kafka"]], id="offsets in UTF-16 units"),
        pytest.param(
            tsv(("🚀🚀 Redis", (0, 2, "🚀🚀", *NONE), (3, 8, "Redis", *INFRA))),
            ["🚀🚀 Redis"], [["Redis"]], id="offsets in code points"),
        pytest.param(
            tsv((r"Redis\n#Text=a_b \\", (0, 5, "Redis", *INFRA), (6, 9, "a_b", *INFRA), (10, 11, "\\", *NONE)))
            .replace(r"\n#", "\n#"),
            ["Redis\na_b \\"], [["Redis", "a_b"]], id="a text of two lines, with an escape"),
        pytest.param(
            tsv(("# Redis", (0, 1, "#", *NONE), (2, 7, "Redis", *INFRA))).replace("\n", "\r\n"),
            ["# Redis"], [["Redis"]], id="a hash sign as a token, and line ends of two characters"),
        pytest.param(
            tsv(("Redis", (0, 5, "Redis", "NN", "seller[2]", "buy[1]", "*", *INFRA, "nsubj", "1-1", "*->1-1", "x")),
                layers=POS + LINKS.replace("|FE", "") + "#T_SP=webanno.custom.Mark|\n" + ENTITIES + RELATIONS),
            ["Redis"], [["Redis"]], id="among other layers, links, relations and chains"),
        pytest.param(tsv(("All quiet", (0, 3, "All", *NONE), (4, 9, "quiet", *NONE))), ["All quiet"], [[]], id="none"),
    ],
)  # fmt: skip
def test_spans_stand_on_the_text_of_the_document(imported, content, texts, mentions):
    result = imported(content, "export.tsv", Policies(overlaps=Overlaps.keep))
    assert result.report.files[0][1] == "WebAnno TSV 3 (NamedEntity|value)"
    assert result.texts == texts
    assert [[text for text, _ in found] for found in result.mentions] == mentions
    assert {label for found in result.mentions for _, label in found} <= {"INFRA"}
    assert not result.report.refused


def test_the_layer_with_the_entity_types_is_read(imported):
    content = tsv(("Redis", (0, 5, "Redis", "formal", "infra")), layers=TWO)
    assert imported(content, "export.tsv", schema=SCHEMA).mentions == [[("Redis", "INFRA")]]
    with pytest.raises(
        UserError, match=r"which are the entities is not told: Style\|kind \(formal\); Names\|kind \(infra\)"
    ):
        imported(content, "export.tsv")


def test_layers_that_are_the_entity_types_themselves(imported):
    layers = "#T_SP=webanno.custom.Infra|\n#T_SP=webanno.custom.Note|\n"
    content = tsv(("Redis fell", (0, 5, "Redis", "*", "_"), (6, 10, "fell", "_", "*")), layers=layers)
    assert imported(content, "export.tsv", schema=SCHEMA).mentions == [[("Redis", "INFRA")]]


def test_labels_are_read_without_their_escapes(imported):
    content = tsv(("Redis", (0, 5, "Redis", "*[1]", r"IN\_FRA \| x\[1\][1]")))
    assert imported(content, "export.tsv").mentions == [[("Redis", "IN_FRA | x[1]")]]


def test_a_span_without_a_type_and_a_sentence_that_is_not_its_tokens_are_said(imported):
    content = tsv(
        ("Redis fell", (0, 5, "Redis", "*", "*"), (6, 10, "fell", *INFRA)), ("Kafka", (11, 16, "Kafca", *INFRA))
    )
    result = imported(content, "export.tsv")
    assert result.mentions == [[("fell", "INFRA")]]
    assert [(entry.line, entry.reason) for entry in result.report.shown["refused"]] == [
        (9, "its tokens are not in its text"), (5, "the span has no label"),
    ]  # fmt: skip
