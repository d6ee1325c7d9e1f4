"""CoNLL and BIO files in the varieties that are found."""

import json
import random
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from spacy_domain_ner.errors import UserError
from spacy_domain_ner.exchange.formats.conll import read_sentences
from spacy_domain_ner.exchange.formats.recognise import recognise
from spacy_domain_ner.exchange.formats.table_layout import find_layout
from spacy_domain_ner.exchange.formats.version import Status, Version
from spacy_domain_ner.exchange.importing import import_annotations
from spacy_domain_ner.reading.source import Source


def source(folder: Path, content: str | bytes, **options: str) -> Source:
    path = folder / "sentences.conll"
    path.write_bytes(content.encode() if isinstance(content, str) else content)
    return Source(path, path.name, **options)


def sentences(folder: Path, content: str | bytes, columns: str | None = None, **options: str) -> list[object]:
    """Each sentence as its text with its spans, "!" and the reason where it is refused."""
    file = source(folder, content, **options)
    layout = find_layout(file, columns)
    assert layout is not None
    return [shown(version) for _, version in read_sentences(file, layout)]


def shown(version: object) -> object:
    if not isinstance(version, Version):
        return f"! {version}"
    return version.text, [(version.text[span.start : span.end], span.label) for span in version.spans]


NOVA = [("Nova Ltd hired Ann", [("Nova Ltd", "ORG"), ("Ann", "PER")])]
GERMAN = "Ann Ann NE I-NC {0}\nmag mögen VV I-VC O\nKiel Kiel NE I-NC {1}\n"
MISC = (
    "# text = Ann (27) left.\n1\tAnn\tAnn\tPROPN\tN\t_\t5\tnsubj\t_\tname=B-PER\n"
    "2\t(\t(\tPUNCT\tP\t_\t3\tpunct\t_\tSpaceAfter=No|name=O\n3\t27\t27\tNUM\tC\t_\t1\tappos\t_\tSpaceAfter=No\n"
    "4\t)\t)\tPUNCT\tP\t_\t3\tpunct\t_\tname=O\n5\tleft\tleave\tVERB\tV\t_\t0\troot\t_\tSpaceAfter=No|name=O\n"
    "6\t.\t.\tPUNCT\tP\t_\t5\tpunct\t_\tname=O\n"
)
HIPE = (
    "TOKEN\tNE-COARSE-LIT\tNE-COARSE-METO\tNE-FINE-LIT\tNE-NESTED\tMISC\n# language = en\n"
    "Dr\tB-pers\tO\tB-pers.ind\tB-comp\tNoSpaceAfter\n.\tI-pers\tO\tI-pers.ind\tO\t_\nHill\tI-pers\tO\tI-pers.ind\tO\t_\n"
    "sat\tO\tO\tO\tO\t_\n"
)


@pytest.mark.parametrize(
    ("content", "expected"),
    [
        pytest.param("Nova I-ORG\nLtd I-ORG\nhired O\nAnn I-PER\n", NOVA, id="IOB1"),
        pytest.param("Nova B-ORG\nLtd I-ORG\nhired O\nAnn B-PER\n", NOVA, id="IOB2"),
        pytest.param("Nova B-ORG\nLtd E-ORG\nhired O\nAnn S-PER\n", NOVA, id="BIOES"),
        pytest.param("Nova B-ORG\nLtd L-ORG\nhired O\nAnn U-PER\n", NOVA, id="BILUO"),
        pytest.param("Nova B-ORG\nLtd E-ORG\nhired O\nAnn W-PER\n", NOVA, id="BMEWO"),
        pytest.param("it O\n\nis O\n\nNova ORG\nLtd ORG\nhired O\nAnn PER\n", [("it", []), ("is", []), *NOVA],
                     id="types alone"),
        pytest.param("Nova ORG-B\nLtd ORG-I\nhired O\nAnn PER-B\n", NOVA, id="suffixes"),
        pytest.param("Nova\tB\nLtd\tI\nhired\tO\n", [("Nova Ltd hired", [("Nova Ltd", "ENTITY")])], id="no types"),
        pytest.param("Nova b-org\nsat o\n", [("Nova sat", [("Nova", "org")])], id="lower case"),
        pytest.param("Nova\tB-big org\nsat\tO\n", [("Nova sat", [("Nova", "big org")])], id="a tag with a blank"),
        pytest.param("Nova NNP B-NP B-ORG\nLtd NNP I-NP I-ORG\nhired VBD B-VP O\nAnn NNP B-NP B-PER\n", NOVA,
                     id="CoNLL-2003"),
        pytest.param("it PRP B-NP O\nsat VBD B-VP O\n", [("it sat", [])], id="CoNLL-2003 without an entity"),
        pytest.param("it PRP B-NP\nsat VBD B-VP\n", [("it sat", [("it", "NP"), ("sat", "VP")])], id="CoNLL-2000"),
        pytest.param(GERMAN.format("I-PER", "I-LOC"), [("Ann mag Kiel", [("Ann", "PER"), ("Kiel", "LOC")])],
                     id="German CoNLL-2003"),
        pytest.param(GERMAN.format("O", "O"), [("Ann mag Kiel", [])], id="German CoNLL-2003 without an entity"),
        pytest.param("1\tKiel\tB-ORG\tB-LOC\n2\tBank\tI-ORG\tO\n3\tzahlt\tO\tO\n", [("Kiel Bank zahlt",
                     [("Kiel Bank", "ORG")])], id="GermEval: the outer entities"),
        pytest.param("#\thttp://x.example [2010]\n1\tAnn\tB-PER\tO\n2\tkam\tO\tO\n", [("Ann kam", [("Ann", "PER")])],
                     id="GermEval's comments"),
        pytest.param("# id 1-a domain=train\nthe _ _ O\nred _ _ B-CW\nsea _ _ I-CW\n\n\n# id 2 domain=dev\nhe _ _ O\n",
                     [("the red sea", [("red sea", "CW")]), ("he", [])], id="MultiCoNER"),
        pytest.param("# id 1-a domain=train\nthe _ _ O\n\n# id 2-b domain=dev\nhe _ _ O\n", [("the", []), ("he", [])],
                     id="MultiCoNER without an entity"),
        pytest.param("###MEDLINE:1\n\nthe\tO\nIL-2\tB-DNA\ngene\tI-DNA\n\n###MEDLINE:2\n\nit\tO\n",
                     [("the IL-2 gene", [("IL-2 gene", "DNA")]), ("it", [])], id="JNLPBA"),
        pytest.param("@ann\tO\nNova\tB-group\n\t\nit\tO\n", [("@ann Nova", [("Nova", "group")]), ("it", [])],
                     id="WNUT, a tab between sentences"),
        pytest.param("0\tNova\tB-ORG\n1\tsat\tO\n\n0\tit\tO\n", [("Nova sat", [("Nova", "ORG")]), ("it", [])],
                     id="tokens numbered from 0"),
        pytest.param("Nova\tB-ORG\tM\nsat\tO\tM\n", [("Nova sat", [("Nova", "ORG")])], id="a column of one mark"),
        pytest.param("Nova\tO\tNova\tB-ORG\nsat\tO\tsat\tO\n", [("Nova sat", [])], id="the token twice, other tags"),
        pytest.param("Nova B-ORG O\nsat O O\nAnn B-PER B-PER\n", [("Nova sat Ann", [("Nova", "ORG"), ("Ann", "PER")])],
                     id="what people and a model say"),
        pytest.param("B-ORG\tNova\nO\tsat\n", [("Nova sat", [("Nova", "ORG")])], id="the tag first"),
        pytest.param("a b c d e f g h i B-X\nk b c d e f g h i O\n", [("a k", [("a", "X")])], id="ten columns"),
        pytest.param("it|PRP|O Ann|NNP|B-PER Lee|NNP|I-PER left|VBD|O\n", [("it Ann Lee left", [("Ann Lee", "PER")])],
                     id="token|POS|tag"),
        pytest.param("so|O Ann|B-PER left|O\nit|O\n", [("so Ann left", [("Ann", "PER")]), ("it", [])], id="token|tag"),
        pytest.param("a|NN|O ||:|O Ann|NNP|B-PER\n", [("a | Ann", [("Ann", "PER")])], id="a bar in token|POS|tag"),
        pytest.param("a|O ||O Ann|B-PER\n", [("a | Ann", [("Ann", "PER")])], id="a bar in token|tag"),
        pytest.param("1-2\tdu\t_\t_\n1\tde\tO\t-\n2\tle\tO\t-\n3\tLac\tB-LOC\t-\n3.1\tx\t_\t_\n4\tBleu\tI-LOC\t-\n",
                     [("du Lac Bleu", [("Lac Bleu", "LOC")])], id="a token of two words, an empty node"),
        pytest.param("1\tau\tO\t-\n2-3\tdes\t_\t_\n2\tde\tO\t-\n3\tAlpes\tB-LOC\t-\n4\tgrand\tO\t-\n",
                     [("au des grand", [("des", "LOC")])], id="a token of two words, one of them an entity"),
        pytest.param(MISC, [("Ann (27) left.", [("Ann", "PER")])], id="CoNLL-U's last column, the text given"),
        pytest.param(MISC.partition("\n")[2], [("Ann (27) left.", [("Ann", "PER")])], id="CoNLL-U's SpaceAfter=No"),
        pytest.param("# text = Ann  left\nAnn\tB-PER\nleft\tO\n", [("Ann  left", [("Ann", "PER")])], id="a text"),
        pytest.param("# text = no such\nAnn\tB-PER\nleft\tO\n", [("Ann left", [("Ann", "PER")])], id="another text"),
        pytest.param(HIPE, [("Dr. Hill sat", [("Dr. Hill", "pers")])], id="HIPE: a header, several columns of tags"),
        pytest.param("word tag\nAnn B-PER\nleft O\n", [("Ann left", [("Ann", "PER")])], id="a header"),
        pytest.param("Text O\nAnn B-PER\n", [("Text Ann", [("Ann", "PER")])], id="a token like a header"),
        pytest.param("# O\n| O\nO B-X\n- O\n# B-X\n", [("# | O - #", [("O", "X"), ("#", "X")])],
                     id="the tokens # | O and -"),
        pytest.param("-DOCX B-X\na O\n", [("-DOCX a", [("-DOCX", "X")])], id="a token that begins like a document"),
        pytest.param("Ann B-PER", [("Ann", [("Ann", "PER")])], id="one line without an end"),
        pytest.param("it O\n", [("it", [])], id="one O"),
        pytest.param("\n\n\n\nit O\n\n \n\n", [("it", [])], id="many empty lines"),
        pytest.param("10\u00a0000 B-N\nEuro O\n", [("10\u00a0000 Euro", [("10\u00a0000", "N")])],
                     id="a no-break space in a token"),
        pytest.param("a O\n\u00a0 O\nb B-X\n", [("a b", [("b", "X")])], id="a no-break space as a token"),
        pytest.param(" O\na B-X\nb O\n", [("a b", [("a", "X")])], id="a blank as a token"),
        pytest.param("New York\tB-LOC\nis\tO\n", [("New York is", [("New York", "LOC")])], id="a blank in a token"),
        pytest.param("Ann\tB-PER\nleft O\nKiel   B-LOC\nby\tO\nsea\tO\n", [("Ann left Kiel by sea",
                     [("Ann", "PER"), ("Kiel", "LOC")])], id="tabs and blanks"),
        pytest.param("Ann \t B-PER\nleft \t O\n", [("Ann left", [("Ann", "PER")])], id="blanks around tabs"),
        pytest.param("Ann -\nKiel B-LOC\n\nit -\n", [("Ann Kiel", [("Kiel", "LOC")]), ("it", [])],
                     id="a hyphen for outside"),
        pytest.param("Ann _\nKiel B-LOC\n", [("Ann Kiel", [("Kiel", "LOC")])], id="an underscore for outside"),
        pytest.param("a\tO\nb\tO\nc\tO\n@\tE-mail\nd\tO\nAnn\tPerson\ne\tO\nf\tO\n",
                     [("a b c @ d Ann e f", [("@", "E-mail"), ("Ann", "Person")])], id="a type like a tag"),
        pytest.param("👩‍🔬 O\nMarie B-PER\n🇫🇷 B-LOC\n", [("👩‍🔬 Marie 🇫🇷", [("Marie", "PER"), ("🇫🇷", "LOC")])],
                     id="emoji"),
        pytest.param("東京 B-LOC\nは O\n", [("東京は", [("東京", "LOC")])], id="Japanese"),
        pytest.param("王 B-PER\n芳 E-PER\n， O\n住 O\n在 O\n四 O\n川 S-LOC\np O\n. O\n7 O\n2 O\n",
                     [("王芳，住在四川p.72", [("王芳", "PER"), ("川", "LOC")])], id="Chinese, character by character"),
        pytest.param("## 칼럼: CHAR\tTAG\n김\tB-PS\n민\tI-PS\n \tI-PS\n수\tI-PS\n가\tO\n \tO\n2\tB-QT\n5\tI-QT\n"
                     "개\tO\n",
                     [("김민 수가 25개", [("김민 수", "PS"), ("25", "QT")])], id="Korean, its blanks are tokens"),
        pytest.param("김 B-PS\n수 I-PS\n가 O\n  O\n차 O\n를 O\n", [("김수가 차를", [("김수", "PS")])],
                     id="Korean, its blanks are tokens, columns divided by blanks"),
        pytest.param("นาย\tB-PER\n \tI-PER\nชัย\tI-PER\nไป\tO\nบ้าน\tO\n", [("นาย ชัยไปบ้าน", [("นาย ชัย", "PER")])],
                     id="Thai"),
        pytest.param("de:Frau\tO\nde:Vogt\tB-PER\nde:in\tO\nde:Kiel\tB-LOC\nde::\tO\n",
                     [("Frau Vogt in Kiel:", [("Vogt", "PER"), ("Kiel", "LOC")])], id="WikiANN: the language"),
        pytest.param("de:Frau\tO\nVogt\tB-PER\nin\tO\nKiel\tB-LOC\n.\tO\n",
                     [("de:Frau Vogt in Kiel.", [("Vogt", "PER"), ("Kiel", "LOC")])], id="one token like a language's"),
        pytest.param("Frau\tO\tEndOfLine|NoSpaceAfter\nAnna\tB-PER\t_\nVo\tI-PER\tNoSpaceAfter\n"
                     "¬\tI-PER\tEndOfLine\ngel\tI-PER\tNoSpaceAfter\n.\tO\tEndOfLine\n",
                     [("Frau Anna Vo¬gel.", [("Anna Vo¬gel", "PER")])], id="HIPE: ends of lines"),
        pytest.param("Jan\tB-PER\nle\tOUT\nCapri\tB-LOC\n.\tOUT\n",
                     [("Jan le Capri.", [("Jan", "PER"), ("Capri", "LOC")])], id="NCHLT: OUT for outside"),
        pytest.param("use O O\nKafka O B-App\nby O O\nAnn O B-User\n: O O\nrun B-Code B-Code\nit I-Code I-Code\n",
                     [("use Kafka by Ann: run it", [("Kafka", "App"), ("Ann", "User"), ("run it", "Code")])],
                     id="a column for one of another's labels"),
    ],
)  # fmt: skip
def test_every_variety_gives_its_sentences_and_spans(tmp_path, content, expected):
    assert sentences(tmp_path, content) == expected


@pytest.mark.parametrize("start", ["-DOCSTART-", "-DOCSTART- O", "-DOCSTART- -X- O", "-DOCSTART- -X- -X- O"])
@pytest.mark.parametrize("gap", ["\n\n", "\n"])
def test_a_document_s_first_line_is_no_sentence_whatever_columns_it_has(tmp_path, start, gap):
    content = f"{start}{gap}Ann NNP B-NP B-PER\nsat VBD B-VP O\n\n{start}{gap}it PRP B-NP O\n"
    assert sentences(tmp_path, content) == [("Ann sat", [("Ann", "PER")]), ("it", [])]


def test_documents_keep_their_passages_together_wherever_the_file_lies(tmp_path):
    content = "-DOCSTART- O\n\na O\n\nb B-X\n\n-DOCSTART- O\n\nc O\n\n-DOCSTART- O\n\nd O\n"
    found = []
    for folder in ("one", "another"):
        (tmp_path / folder).mkdir()
        file = source(tmp_path / folder, content)
        file = Source(file.path, str(file.path))
        layout = find_layout(file)
        assert layout is not None
        found.append([v.meta for _, v in read_sentences(file, layout) if isinstance(v, Version)])
    assert found[0] == found[1]
    assert [meta["source"][-2:] for meta in found[0]] == ["#1", "#1", "#2", "#3"]


@pytest.mark.parametrize("end", ["\n", "\r\n", "\r"])
@pytest.mark.parametrize("mark", ["", "\ufeff"])
def test_lines_may_end_in_any_way_and_a_mark_may_stand_before_them(tmp_path, mark, end):
    content = mark + "Ann B-PER\nsat O\n\nKiel B-LOC\n".replace("\n", end)
    assert sentences(tmp_path, content) == [("Ann sat", [("Ann", "PER")]), ("Kiel", [("Kiel", "LOC")])]


def test_a_file_of_lone_carriage_returns_is_read_in_pieces(tmp_path):
    content = "".join(f"token{number} {'B-X' if number % 7 == 0 else 'O'}\r" + "\r" * (number % 9 == 0)
                      for number in range(20_000))  # fmt: skip
    read = sentences(tmp_path, content)
    assert read == sentences(tmp_path, content.replace("\r", "\n"))
    assert sum(len(spans) for _, spans in read) == len(range(0, 20_000, 7))


def test_latin_1_is_read_when_it_is_named_and_else_the_line_and_the_remedy_are(tmp_path):
    content = "ab O\nKöln B-LOC\n".encode("latin1")
    with pytest.raises(UserError) as raised:
        find_layout(source(tmp_path, content))
    assert "sentences.conll:2: this is not UTF-8 text" in raised.value.what
    assert "`encoding=latin-1`" in raised.value.hint
    assert sentences(tmp_path, content, encoding="latin-1") == [("ab Köln", [("Köln", "LOC")])]


@pytest.mark.parametrize(
    ("content", "expected"),
    [
        pytest.param("a NN O\nb\n\nAnn NN B-PER\nc NN O\n", "! line 2 ('b') has no tag in column 3", id="no tag"),
        pytest.param("a O\nb NN\n\nAnn B-PER\n" + 9 * "c O\n", "! line 2 ('b NN') has no tag in column 2", id="none"),
        pytest.param("a b c\nd\tO\n\nAnn\tB-PER\ne\tO\n", "! line 1 ('a b c') has no tag in column 2", id="no tabs"),
        pytest.param("a|O b\n" + "Ann|B-PER c|O d|O e|O f|O\n" * 3, "! 'b' is not a token with a tag", id="bare token"),
    ],
)  # fmt: skip
def test_a_sentence_with_a_broken_line_is_refused_alone(tmp_path, content, expected):
    first, *rest = sentences(tmp_path, content)
    assert first == expected
    assert rest
    assert all(spans and spans[0] == ("Ann", "PER") for _, spans in rest)


@pytest.mark.parametrize(
    ("content", "text", "spans", "note"),
    [
        pytest.param("Ann NNP B-PER\nsat O\na b O\n", "Ann sat a", [("Ann", "PER")],
                     "line 2 has 2 columns where others have 3", id="a column too few"),
        pytest.param("Ann B-PER\nNew York B-LOC\nsat O\nx O\n", "Ann New York sat x",
                     [("Ann", "PER"), ("New York", "LOC")], "line 2 has 3 columns where others have 2", id="a blank"),
        pytest.param("Ann B-PER ?\nsat O\nx O\n", "Ann sat x", [("Ann", "PER")],
                     "line 1 has 3 columns where others have 2", id="a column too many"),
        pytest.param("Ann B-PER\nLee I-PER\nsat O\nx I-LOC\n", "Ann Lee sat x", [("Ann Lee", "PER"), ("x", "LOC")],
                     "1 span(s) begin with an I that continues nothing", id="I without B"),
    ],
)  # fmt: skip
def test_what_is_mended_in_a_sentence_is_noted(tmp_path, content, text, spans, note):
    file = source(tmp_path, content)
    layout = find_layout(file)
    assert layout is not None
    ((_, version),) = read_sentences(file, layout)
    assert shown(version) == (text, spans)
    assert isinstance(version, Version)
    assert note in version.notes


def test_what_is_not_known_is_not_read_as_no_entity(tmp_path):
    file = source(tmp_path, "Ann B-PER\nsat -\n\nit O\n\nx -\ny -\n")
    layout = find_layout(file)
    assert layout is not None
    statuses = [v.status for _, v in read_sentences(file, layout) if isinstance(v, Version)]
    assert statuses == [Status.PARTIAL, Status.COMPLETE, Status.UNANNOTATED]


@pytest.mark.parametrize(
    "content",
    [
        pytest.param("It was late and O the wind rose.\nNobody came, O no.\nThe end.\n", id="prose"),
        pytest.param("Hello there\nGood day\nO no\nO my\n", id="lines of two words"),
        pytest.param("o mar\no sol\na lua\n", id="Portuguese lines"),
        pytest.param("text\tlabel\nit is good\tpositive\nit is bad\tnegative\n", id="sentences with classes"),
        pytest.param("2024-01-01 INFO started\n2024-01-01 INFO stopped\n", id="a log"),
        pytest.param("| a | O |\n|---|---|\n| b | B-X |\n", id="a Markdown table"),
        pytest.param("Ann\nKiel\nNova\n", id="a list of words"),
        pytest.param("# a comment\n# and another\n", id="comments alone"),
        pytest.param("it PRP NN\nsat VBD NN\n", id="parts of speech alone"),
        pytest.param("-DOCSTART- O\n\n-DOCSTART- O\n", id="documents without a sentence"),
    ],
)
def test_what_is_no_tokens_with_tags_is_not_taken_for_them(tmp_path, content):
    assert recognise(source(tmp_path, content)) is None


def test_the_column_can_be_named(tmp_path):
    content = "Kiel\tB-ORG\tB-LOC\nBank\tI-ORG\tO\n"
    file = source(tmp_path, content)
    assert "column 2 of 3, tokens in 1" in str(find_layout(file))
    assert "other tags in 3 (the column can be chosen)" in str(find_layout(file))
    assert sentences(tmp_path, content, columns="tag=3") == [("Kiel Bank", [("Kiel", "LOC")])]
    with pytest.raises(UserError, match="There is no column 9: the lines have 3"):
        find_layout(file, "tag=9")


def test_a_type_that_comes_late_is_read(tmp_path):
    late = "it O\nsat O\nhere O\n\n" * 6000
    assert sentences(tmp_path, "Ann PER\nsat O\n\n" + late + "Nova ORG\nsat O\n")[-1] == ("Nova sat", [("Nova", "ORG")])
    assert sentences(tmp_path, late + "Nova B-ORG\nsat O\n")[-1] == ("Nova sat", [("Nova", "ORG")])


def test_a_file_without_empty_lines_is_refused_and_not_kept_in_memory(tmp_path, monkeypatch):
    monkeypatch.setattr("spacy_domain_ner.exchange.formats.conll.MOST_LINES", 100)
    assert sentences(tmp_path, "a O\n" * 101 + "\nAnn B-PER\n") == [
        "! 101 lines without an empty line or a number that divides sentences",
        ("Ann", [("Ann", "PER")]),
    ]


WORDS = st.text(st.characters(exclude_categories=["Cs", "Zs", "Zl", "Zp", "Cc"]), min_size=1, max_size=8).filter(
    lambda word: word.strip() and not word.startswith(("#", "-DOC", "|", "\ufeff"))
)
TAGGED = st.lists(st.tuples(WORDS, st.sampled_from(["O", "B-A", "I-A", "B-b_c"])), min_size=1, max_size=8)


@given(made=st.lists(TAGGED, min_size=1, max_size=4), separator=st.sampled_from(["\t", " ", "\tNN\t", " NN x "]))
def test_no_token_and_no_span_is_lost(tmp_path_factory, made, separator):
    # A sentence in which every kind of tag occurs, so that the columns are sure.
    made = [[("Ann", "B-A"), ("Lee", "I-A"), *[("is", "O")] * 9], *made]
    content = "\n".join("".join(f"{token}{separator}{tag}\n" for token, tag in sentence) for sentence in made)
    read = sentences(tmp_path_factory.mktemp("any"), content)
    assert len(read) == len(made)
    for (text, spans), sentence in zip(read, made, strict=True):
        assert "".join(text.split()) == "".join(token for token, _ in sentence)
        inside = "".join(token for token, tag in sentence if tag != "O")
        assert "".join("".join(mention.split()) for mention, _ in spans) == inside


@pytest.mark.parametrize("seed", range(3))
def test_a_file_cut_off_anywhere_gives_the_sentences_before_the_cut(tmp_path, seed):
    whole = "".join(f"Ann{number} NNP B-PER\nsat VBD O\nhere RB O\n\n" for number in range(50))
    out = tmp_path / "annotations.jsonl"
    for place in random.Random(seed).sample(range(60, len(whole)), 20):
        path = tmp_path / "cut.conll"
        path.write_text(whole[:place], encoding="utf8")
        out.unlink(missing_ok=True)
        import_annotations([path], out)
        texts = [json.loads(line)["text"] for line in out.read_text(encoding="utf8").splitlines()]
        complete = whole[:place].count("\n\n")
        assert texts[:complete] == [f"Ann{number} sat here" for number in range(complete)]


def test_the_schema_tells_types_from_tags(imported, tmp_path):
    schema = tmp_path / "entity_types.yml"
    schema.write_text("entity_types:\n  - {name: B-cell}\n  - {name: T-cell}\n")
    content = "the O\nplasma B-cell\ncells B-cell\nand O\nhelpers T-cell\nwere O\nseen O\n"
    result = imported(content, name="cells.conll", schema=schema)
    assert result.mentions == [[("plasma cells", "B-cell"), ("helpers", "T-cell")]]


def test_types_that_are_named_like_phrases_are_types_where_the_schema_has_them(imported, tmp_path):
    schema = tmp_path / "entity_types.yml"
    schema.write_text("entity_types:\n  - {name: AC}\n  - {name: PC}\n")
    content = "the O B-THING\nheater B-AC O\nruns O O\nbeside O O\nthe O O\ndesktop B-PC O\n"
    result = imported(content, name="devices.conll", schema=schema)
    assert result.mentions == [[("heater", "AC"), ("desktop", "PC")]]
