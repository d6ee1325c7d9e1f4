"""Tables whose rows hold a sentence each, with lists in their cells."""

import csv
import io
import json

import pytest

from spacy_domain_ner.errors import UserError
from spacy_domain_ner.exchange.formats.sentence_rows import parse_list

TOKENS = [["Drill", "D7", "lost", "oil", "."], ["Our", "Press", "isn't", '"P2"'], ["All", "is", "well"]]
TAGS = [["B-TOOL", "I-TOOL", "O", "B-FLUID", "O"], ["O", "B-TOOL", "O", "O"], ["O", "O", "O"]]
TEXTS = ["Drill D7 lost oil.", 'Our Press isn\'t "P2"', "All is well"]
MENTIONS = [[("Drill D7", "TOOL"), ("oil", "FLUID")], [("Press", "TOOL")], []]
NAMES = ["O", "B-TOOL", "I-TOOL", "B-FLUID", "I-FLUID"]


def numpy_list(items: list[str], between: str = " ") -> str:
    return f"[{between.join(map(repr, items))}]"


WRITERS = {
    "Python": str,
    "JSON": json.dumps,
    "NumPy": numpy_list,
    "NumPy on several lines": lambda items: numpy_list(items, "\n "),
    "an array": lambda items: f"array({items}, dtype=object)",
    "words": " ".join,
}


def table(rows: list[list[object]], header: str = "", separator: str = ",") -> str:
    out = io.StringIO()
    writer = csv.writer(out, delimiter=separator, lineterminator="\n")
    if header:
        writer.writerow(header.split("|"))
    writer.writerows(rows)
    return out.getvalue()


@pytest.mark.parametrize("written", WRITERS)
@pytest.mark.parametrize(("header", "separator"), [("tokens|ner_tags", ","), ("Sentence|Tag", ";"), ("", "\t")])
def test_a_row_is_a_passage_however_its_lists_are_written(imported, written, header, separator):
    write = WRITERS[written]
    rows = [[write(tokens), write(tags)] for tokens, tags in zip(TOKENS, TAGS, strict=True)]
    result = imported(table(rows, header, separator), name="rows.csv")
    assert result.texts == TEXTS
    assert result.mentions == MENTIONS


@pytest.mark.parametrize(
    ("header", "columns"),
    [
        pytest.param("Sentence #|Sentence|POS|Tag", None, id="GMB"),
        pytest.param("|words|pos_tags|labels", None, id="an index"),
        pytest.param("nr|Wort|Art|Etikett", None, id="another language"),
        pytest.param("nr|Wort|Art|Etikett", "token=Wort,tag=4", id="given"),
    ],
)
def test_the_columns_are_found_among_others(imported, header, columns):
    rows = [[number, TOKENS[number], ["X"] * len(tags), tags] for number, tags in enumerate(TAGS)]
    result = imported(table(rows, header), name="rows.csv", columns=columns)
    assert result.texts == TEXTS
    assert result.mentions == MENTIONS
    ((_, file_format),) = result.report.files
    assert "IOB2 tags in column 4" in file_format
    assert "of 4, tokens in 2" in file_format


def test_numbers_need_names(imported):
    rows = [[tokens, [NAMES.index(tag) for tag in tags]] for tokens, tags in zip(TOKENS, TAGS, strict=True)]
    content = table(rows, "tokens|ner_tags")
    with pytest.raises(UserError, match="numbers as tags"):
        imported(content, name="rows.csv")
    assert imported(content, name="rows.csv", tag_names=",".join(NAMES)).mentions == MENTIONS


def test_the_text_beside_the_tokens_is_taken_and_documents_are_kept(imported):
    rows = [["a.txt", "Drill D7 lost  oil .", *lists] for lists in [[TOKENS[0], TAGS[0]]]]
    result = imported(table(rows * 2, "doc_id|text|tokens|ner_tags"), name="rows.csv")
    assert result.texts == ["Drill D7 lost  oil ."]
    assert result.passages[0].meta["source"] == "a.txt"


def test_a_broken_row_is_refused_alone_with_its_line(imported):
    rows = [
        [TOKENS[0], TAGS[0]],
        [TOKENS[1], TAGS[1][:2]],
        ["['a', ..., 'b']", "['O', ..., 'O']"],
        [TOKENS[2], TAGS[2]],
    ]
    result = imported(table(rows, "tokens|ner_tags") + "x\n", name="rows.csv")
    assert result.texts == [TEXTS[0], TEXTS[2]]
    assert [(entry.line, entry.reason[:40]) for entry in result.report.shown["refused"]] == [
        (3, "4 tokens under 'tokens', but 2 tags unde"),
        (4, "column 1 has a list that can't be read: "),
        (6, "the row has 1 cells where others have 2"),
    ]


@pytest.mark.parametrize(
    ("cell", "items"),
    [
        ("['a', \"b's\"]", ["a", "b's"]),
        ("['a' 'b']", ["a", "b"]),
        (r"['it\'s', '\n']", ["it's", "\n"]),
        ("[]", []),
        ("[0 1 2]", ["0", "1", "2"]),
        ("[B-A, O]", ["B-A", "O"]),
        ("['a', ..., 'b']", None),
        ("[0 ... 2]", None),
        ("['a', b]", None),
        ("a b", None),
    ],
)
def test_lists_are_read_as_python_numpy_and_json_write_them(cell, items):
    assert parse_list(cell) == items
