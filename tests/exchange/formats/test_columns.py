"""Tables of tokens: which column is what, for every order, separator and kind of quotation marks."""

import csv
import io
import random
from collections.abc import Callable

import pytest

from spacy_domain_ner.annotation.agreement import measure_agreement
from spacy_domain_ner.errors import UserError

# Three sentences in two documents.
SENTENCES = [
    [("Drill", "B-TOOL"), ("D7", "I-TOOL"), ("lost", "O"), ("oil", "B-FLUID"), (".", "O")],
    [("Our", "O"), ("Press", "B-TOOL"), ("P2", "I-TOOL"), ("hums", "O")],
    [("All", "O"), ("is", "O"), ("well", "O")],
]
TEXTS = ["Drill D7 lost oil.", "Our Press P2 hums", "All is well"]
MENTIONS = [[("Drill D7", "TOOL"), ("oil", "FLUID")], [("Press P2", "TOOL")], []]

# The cell of each kind for a token: its sentence and its place in it, its place in the table, its text and tag.
Cell = Callable[[int, int, int, str, str], object]
CELLS: dict[str, Cell] = {
    "token": lambda s, t, n, token, tag: token,
    "tag": lambda s, t, n, token, tag: tag,
    "type alone": lambda s, t, n, token, tag: tag[2:] or "O",
    "prefix": lambda s, t, n, token, tag: tag[0],
    "type": lambda s, t, n, token, tag: tag[2:],
    "POS": lambda s, t, n, token, tag: "NN" if token[0].isupper() else "VB",
    "sentence": lambda s, t, n, token, tag: s + 1,
    "sentence from 0": lambda s, t, n, token, tag: s,
    "sentence in words": lambda s, t, n, token, tag: f"Sentence: {s + 1}",
    "first of sentence": lambda s, t, n, token, tag: "" if t else f"Sentence: {s + 1}",
    "sentence of document": lambda s, t, n, token, tag: s % 2 + 1,
    "document": lambda s, t, n, token, tag: f"doc{s // 2}",
    "row": lambda s, t, n, token, tag: n,
    "number": lambda s, t, n, token, tag: t + 1,
    "start": lambda s, t, n, token, tag: 7 * n,
    "end": lambda s, t, n, token, tag: 7 * n + len(token),
    "mark": lambda s, t, n, token, tag: int(token[0].isupper()),
}


def table(
    kinds: str, separator: str = ",", header: str = "", gaps: bool = False, quoting: int = csv.QUOTE_MINIMAL
) -> str:
    """The sentences as a table with these columns."""
    out = io.StringIO()
    writer = csv.writer(out, delimiter=separator, quoting=quoting, lineterminator="\n")
    if header:
        writer.writerow(header.split("|"))
    row = 0
    for number, sentence in enumerate(SENTENCES):
        for place, (token, tag) in enumerate(sentence):
            writer.writerow([CELLS[kind](number, place, row, token, tag) for kind in kinds.split("|")])
            row += 1
        out.write("\n" if gaps else "")
    return out.getvalue()


@pytest.mark.parametrize(
    "content",
    [
        pytest.param(table("first of sentence|token|POS|tag", header="Sentence #|Word|POS|Tag"), id="GMB"),
        pytest.param(table("first of sentence|token|POS|tag"), id="GMB without a header"),
        pytest.param(table("token|POS|tag|first of sentence", "\t", "Word|POS|Tag|Sentence #"), id="the number last"),
        pytest.param(table("sentence|token|tag", header="sentence_id|words|labels"), id="simpletransformers"),
        pytest.param(table("sentence|token|tag", header="SENTENCE_ID|WORDS|LABELS"), id="capitals"),
        pytest.param(table("sentence in words|token|tag", "\t", "sentence|word|tag"), id="the number in words"),
        pytest.param(table("sentence from 0|token|tag", "\t"), id="from 0 without a header"),
        pytest.param(table("token|tag|sentence", "\t", "word|tag|sentence"), id="the number after the tag"),
        pytest.param(table("token|tag|sentence", ";"), id="the number after the tag, without a header"),
        pytest.param(table("sentence|token|tag", " "), id="blanks"),
        pytest.param(table("sentence|token|tag", "|"), id="bars"),
        pytest.param(table("sentence|token|tag", "\t", gaps=True), id="empty lines as well"),
        pytest.param(table("sentence|token|tag", ",", gaps=True).replace("\n\n", "\n,,\n"), id="rows of empty cells"),
        pytest.param(table("row|sentence|token|tag", header="|sentence|token|tag"), id="the index of pandas"),
        pytest.param(table("row|sentence|token|tag"), id="an index without a header"),
        pytest.param(table("document|sentence of document|token|tag", header="doc_id|sent_id|token|ner"),
                     id="numbers that begin anew in each document"),
        pytest.param(table("document|sentence|token|tag", "\t"), id="documents without a header"),
        pytest.param(table("number|token|POS|tag", "\t"), id="numbers of tokens that begin anew"),
        pytest.param(table("number|token|POS|tag", header="idx|form|upos|ner"), id="the same with a header"),
        pytest.param(table("token|start|end|tag", "\t", "token|start|end|label", gaps=True), id="offsets"),
        pytest.param(table("start|end|token|tag", "\t", gaps=True), id="offsets first, without a header"),
        pytest.param(table("mark|token|tag", "\t", gaps=True), id="marks first"),
        pytest.param(table("POS|token|tag", "\t", gaps=True), id="parts of speech first"),
        pytest.param(table("token|prefix|type", "\t", "text|ent_iob_|ent_type_", gaps=True), id="types in a column"),
        pytest.param(table("token|type|prefix", ",", gaps=True), id="types before the tags, without a header"),
        pytest.param(table("token|prefix|type", " ", gaps=True), id="types after blanks"),
        pytest.param(table("sentence|token|type alone", header="sentence|word|tag"), id="no prefixes"),
        pytest.param(table("sentence|token|tag", ";", "Satz|Wort|Etikett"), id="a header in another language"),
        pytest.param(table("sentence|token|tag", quoting=csv.QUOTE_ALL), id="everything quoted"),
        pytest.param(table("sentence|token|tag", "\t", "s_id|token|tag", quoting=csv.QUOTE_NONNUMERIC),
                     id="text quoted"),
        pytest.param(table("row|token|POS|tag|tag|token|sentence",
                           header="|lemma|pos|prev-iob|tag|word|sentence_idx"), id="many columns"),
        pytest.param(table("sentence|token|tag", " ", "sentence_id|words|labels"), id="a header after blanks"),
        pytest.param("text,token,tag\n" + "".join(f'"{text}",{token},{tag}\n' for text, sentence in
                               zip(TEXTS, SENTENCES, strict=True) for token, tag in sentence), id="the text as well"),
        pytest.param("sep=;\n" + table("sentence|token|tag", ";", "Satz|Word|Tag"), id="Excel's separator"),
        pytest.param(table("token|tag|sentence|start|end", ",", "token|label|id|start|end"), id="an id that repeats"),
        pytest.param("\n".join("# global.columns = ID FORM NER\n" + block for block in
                               table("number|token|tag", "\t", gaps=True).split("\n\n")), id="CoNLL-U Plus"),
    ],
)  # fmt: skip
def test_each_sentence_is_a_passage_with_its_spans(imported, content):
    result = imported(content, name="table.csv")
    assert result.texts == TEXTS
    assert result.mentions == MENTIONS


@pytest.mark.parametrize(
    ("content", "said"),
    [
        pytest.param(table("sentence|token|POS|tag", header="Sentence #|Word|POS|Tag"),
                     'IOB2 tags in column 4 "Tag" of 4, tokens in 2 "Word", sentences by 1 "Sentence #", '
                     'not read: 3 "POS", separated by commas', id="a header"),
        pytest.param(table("token|prefix|type", "\t", gaps=True),
                     "IOB2 tags in column 2 of 3, their types in 3, tokens in 1, separated by tabs", id="types"),
        pytest.param(table("document|token|tag", ";", "doc|token|tag"),
                     'tokens in 2 "token", documents by 1 "doc", separated by semicolons', id="documents"),
        pytest.param(table("number|token|tag"), "sentences by the numbers in 1", id="numbers of tokens"),
        pytest.param("Drill,B-TOOL\n" + "hums,O\n" * 300, "nothing says where a sentence ends", id="no division"),
    ],
)  # fmt: skip
def test_the_report_says_which_column_was_read_as_what(imported, content, said):
    ((_, file_format),) = imported(content, name="table.csv").report.files
    assert said in file_format


@pytest.mark.parametrize(
    ("header", "columns"),
    [
        ("", "token=2,tag=4,sentence=1"),
        ("", "_,token,_,tag"),
        ("a|b|c|d", "token=2,tag=4"),
        ("a|b|c|d", "tag=d,token=b"),
        ("a|b|c|d", 'sentence = 1, word="b", ner=4'),
        ("a|b|c|d", "token=b"),
    ],
)
def test_the_columns_can_be_given_by_number_by_name_and_as_a_list(imported, header, columns):
    result = imported(table("sentence|token|POS|tag", header=header), columns=columns, name="table.csv")
    assert result.texts == TEXTS
    assert result.mentions == MENTIONS


def test_a_given_column_comes_before_what_the_header_says(imported):
    content = "word,lemma,tag,tag2\nOils,oil,B-A,B-B\nran,run,O,O\n"
    result = imported(content, name="table.csv", columns="token=lemma,tag=tag2")
    assert (result.texts, result.mentions) == (["oil run"], [[("oil", "B")]])


@pytest.mark.parametrize(
    ("columns", "what", "hint"),
    [
        pytest.param("token=9", "There is no column 9: the lines have 4", "'sid', 'word', 'pos'", id="no number"),
        pytest.param("token=form", "There is no column 'form'", "'sid', 'word', 'pos', 'tag'", id="no name"),
        pytest.param("tokn=2", "the role 'tokn'", "token, tag, type, sentence, document", id="no role"),
        pytest.param("token,tag", "gives 2 role(s), and the table has 4 columns", "token=1", id="a short list"),
        pytest.param("", "`columns` gives 1 role(s)", "token=1", id="nothing"),
        pytest.param("tag=pos", 'Column 3 "pos" holds no tags: \'NN\', \'VB\'', "`columns=tag=NUMBER`", id="no tags"),
        pytest.param("tag=4,type=3", 'Column 4 "tag" has tags with their types', "`columns`", id="types twice"),
        pytest.param("tag=4,token=4", "column 4 two roles", "another", id="one column twice"),
        pytest.param("tag=4,tag=3", "the role tag twice", "one column", id="one role twice"),
    ],
)  # fmt: skip
def test_a_role_or_a_column_that_does_not_exist_is_named_with_those_that_do(imported, columns, what, hint):
    with pytest.raises(UserError) as raised:
        imported(table("sentence|token|POS|tag", header="sid|word|pos|tag"), columns=columns, name="table.csv")
    assert what in raised.value.what
    assert hint in raised.value.hint


def test_columns_of_a_file_that_is_not_a_table_are_refused(imported):
    with pytest.raises(UserError, match="no file is a table of tokens and tags"):
        imported('{"text": "Drill", "label": [[0, 5, "TOOL"]]}\n', name="a.jsonl", columns="token=1,tag=2")


@pytest.mark.parametrize(
    ("content", "texts", "mentions"),
    [
        pytest.param('w,t\nHe,O\n"""",O\nD7,B-TOOL\n""",""",O\n",",O\nso,O\n', ['He "D7 ",", so'], [[("D7", "TOOL")]],
                     id="commas and quotation marks in cells"),
        pytest.param('"\tO\nD7\tB-TOOL\n"\tO\n\n"\tO\nP2\tB-TOOL\n', ['"D7"', '"P2'],
                     [[("D7", "TOOL")], [("P2", "TOOL")]], id="quotation marks that are tokens"),
        pytest.param('He\tO\n""""\tO\nD7\tB-TOOL\n""""\tO\n', ['He "D7"'], [[("D7", "TOOL")]],
                     id="quotation marks that pandas has doubled, between tabs"),
        pytest.param('"D7"\tB-TOOL\nis\tO\n"in"\tO\n', ['"D7" is "in"'], [[('"D7"', "TOOL")]],
                     id="quotation marks that belong to some tokens"),
        pytest.param('sid,w,t\n"a, 1",D7,B-TOOL\n"a, 1",is,O\n"a, 2",P2,O\n', ["D7 is", "P2"], [[("D7", "TOOL")], []],
                     id="commas in every row"),
        pytest.param('""\tO\nD7\tB-TOOL\n\'\'\tO\n', ["\"\" D7''"], [[("D7", "TOOL")]], id="two marks as a token"),
        pytest.param('He,O\n",O\nD7,B-TOOL\n",O\n,,O\nso,O\n', ['He "D7", so'], [[("D7", "TOOL")]],
                     id="a comma and quotation marks that nobody quoted"),
        pytest.param('w,t\nD7,B-TOOL\n"\n",O\nhums,O\n"\n\n",O\n', ["D7 hums"], [[("D7", "TOOL")]],
                     id="ends of lines as tokens"),
        pytest.param("12,B-N\n13,O\n14,O\n", ["12 13 14"], [[("12", "N")]], id="tokens that are numbers"),
        pytest.param("1 12 B-N\n1 5 O\n2 7 O\n2 8 B-N\n2 8 O\n", ["12 5", "7 8 8"], [[("12", "N")], [("8", "N")]],
                     id="sentences of numbers"),
        pytest.param("12\tCD\tB-N\n13\tCD\tO\n\n9\tCD\tO\n", ["12 13", "9"], [[("12", "N")], []],
                     id="numbers and their part of speech"),
        pytest.param("word,tag\nD7,TOOL\nhums,\nso,\n", ["D7 hums so"], [[("D7", "TOOL")]], id="no tag is no entity"),
    ],
)  # fmt: skip
def test_cells_keep_their_characters(imported, content, texts, mentions):
    result = imported(content, name="table.tsv")
    assert result.texts == texts
    assert result.mentions == mentions


def test_documents_of_a_column_keep_their_sentences_together(imported):
    rows = [f"d{number // 2},{number},w{number},O\nd{number // 2},{number},x,O\n" for number in range(8)]
    result = imported("doc,sent,token,tag\n" + "".join(rows), name="table.csv")
    assert [passage.meta["source"] for passage in result.passages] == [f"table.csv#d{n // 2}" for n in range(8)]


CONLL_2012 = """#begin document (nw/a_0001); part 000
nw/a_0001 0 0 In IN (TOP(S(PP* - - - Ann * * -
nw/a_0001 0 1 New NNP (NP* - - - Ann (GPE* (ARG0* (1
nw/a_0001 0 2 York NNP *)) - - - Ann *) *) 1)
nw/a_0001 0 3 Ann NNP *)) - - - Ann (PERSON) (V*) -

nw/a_0001 0 0 It PRP (TOP*) - - - Ann * -

#end document
"""


def test_a_header_in_the_middle_of_joined_tables_is_not_a_token(imported):
    content = "sentence_id,word,tag\n1,Drill,B-TOOL\n1,hums,O\nsentence_id,word,tag\n1,Press,B-TOOL\n1,rests,O\n"
    result = imported(content, name="table.csv")
    assert result.texts == ["Drill hums", "Press rests"]
    assert not result.reasons("refused")


def test_tags_that_are_numbers_need_names(imported):
    numbers = {"O": 0, "B-TOOL": 1, "I-TOOL": 2, "B-FLUID": 3}
    content = table("sentence|token|tag", header="sentence_id|words|labels")
    for tag, number in numbers.items():
        content = content.replace(f",{tag}\n", f",{number}\n")
    with pytest.raises(UserError, match='Column 3 "labels" has numbers as tags') as raised:
        imported(content, name="table.csv")
    assert "`tag_names=" in raised.value.hint
    assert imported(content, name="table.csv", tag_names=",".join(numbers)).mentions == MENTIONS


@pytest.mark.parametrize(
    ("tag", "note"), [("O", "line 3 has no token"), ("B-X", "line 3 has no token, but the tag B-X")]
)
def test_an_empty_token_is_reported(imported, tag, note):
    result = imported(f"word,tag\nDrill,B-TOOL\n,{tag}\nhums,O\n", name="table.csv")
    assert result.texts == ["Drill hums"]
    assert result.reasons("changed") == [note]


def test_people_who_annotated_a_table_are_compared_by_the_same_columns(tmp_path):
    for name, kind in (("ann.csv", "tag"), ("bob.csv", "prefix")):
        content = table(f"sentence|token|POS|{kind}", header="a|b|c|d").replace(",B\n", ",B-TOOL\n")
        (tmp_path / name).write_text(content.replace(",I\n", ",I-TOOL\n"), encoding="utf8")
    result = measure_agreement([tmp_path / "ann.csv", tmp_path / "bob.csv"], columns="token=b,tag=d,sentence=a")
    assert result.passages == 3
    assert result.types["TOOL"].mentions == 5


def test_quotation_marks_without_an_end_are_letters_and_take_no_time(imported):
    content = "w,t\n" + 'Drill,B-TOOL\n",",O\nhums,O\n\n' * 600 + '"x,y,z\n' * 300 + "\nwell,O\n"
    result = imported(content, name="table.csv")
    assert result.texts == ["Drill, hums", "well"]
    assert len(result.reasons("refused")) == 1


def test_the_bracketed_names_of_conll_2012_are_read(imported):
    result = imported(CONLL_2012, name="a.gold_conll")
    assert result.texts == ["In New York Ann", "It"]
    assert result.mentions == [[("New York", "GPE"), ("Ann", "PERSON")], []]


def test_the_parse_of_conll_2012_is_not_taken_for_names(imported):
    rows = ["x 0 0 Ann NNP (TOP* - - - Ann * (V*) -", "x 0 1 left VBD *) - - - Ann * *  -"]
    content = "#begin document (x); part 000\n" + "\n".join("\t".join(row.split()) for row in rows) + "\n"
    result = imported(content, name="a.v4_gold_conll")
    assert (result.texts, result.mentions) == (["Ann left"], [[]])


def test_a_table_without_tags_is_refused_with_its_columns_and_the_remedy(imported):
    with pytest.raises(UserError) as raised:
        imported("id,word,pos\n1,It,PRP\n1,hums,VBZ\n", name="table.csv")
    assert "is a table of 3 columns separated by commas (1 'id', 2 'word', 3 'pos')" in raised.value.what
    assert "`columns=token=1,tag=2`" in raised.value.what


def test_sentences_whose_tokens_do_not_stand_together_are_refused(imported):
    content = "sentence_id,word,tag\n" + "".join(f"{number % 5},w{number},O\n" for number in range(50))
    with pytest.raises(UserError, match='do not stand together, by their numbers in column 1 "sentence_id"'):
        imported(content, name="table.csv")


@pytest.mark.parametrize("seed", range(60))
def test_columns_in_any_order_are_read_right_or_refused(imported, seed):
    chance = random.Random(seed)
    kinds_before = ["row", "number", "document", "start|end", "sentence", "sentence in words"]
    before = chance.sample(kinds_before, chance.randint(0, 3))
    beside = chance.sample(["POS", "mark", "document"], chance.randint(0, 2))
    tags = chance.choice(["tag", "tag", "prefix|type"])
    divided = any(kind.startswith("sentence") for kind in before)
    kinds = "|".join(dict.fromkeys("|".join([*before, "token", *beside, tags]).split("|")))
    content = table(kinds, chance.choice(",;\t|"), gaps=not divided or chance.random() < 0.5)
    assert imported(content, name="table.csv").mentions == MENTIONS
