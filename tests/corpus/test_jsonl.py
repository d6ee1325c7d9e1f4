"""Reading and writing annotation files."""

import json
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from spacy_domain_ner.corpus import Passage, Span, read_passages, read_valid_passages, write_passages
from spacy_domain_ner.errors import UserError

SPAN = {"start": 0, "end": 4, "label": "INFRA"}
UNICODE = st.characters(exclude_categories=["Cs"])
STRINGS = st.text(UNICODE, max_size=20) | st.sampled_from(
    ["\u2028", "\u2029", "\x85", "\ufeff", '"', "\\", "\r\n", "\0", "a\u0301", "🏳️‍🌈", "\\ud800"]
)
TEXTS = st.lists(STRINGS, min_size=1).map("".join).filter(str.strip)
JSON = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats(allow_nan=False) | STRINGS,
    lambda values: st.lists(values, max_size=3) | st.dictionaries(STRINGS, values, max_size=3),
    max_leaves=5,
)
PASSAGES = st.builds(
    Passage,
    text=TEXTS,
    spans=st.lists(st.builds(Span, st.integers(-5, 2**70), st.integers(-5, 2**70), STRINGS.filter(bool)), max_size=4),
    meta=st.dictionaries(STRINGS, JSON, max_size=3),
    extra=st.dictionaries(
        STRINGS.filter(lambda key: key not in ("text", "spans", "unknown", "incorrect", "meta", "answer")),
        JSON,
        max_size=3,
    ),
    unknown=st.lists(st.builds(Span, st.integers(0, 9), st.integers(0, 9), STRINGS), max_size=2),
    incorrect=st.lists(st.builds(Span, st.integers(0, 9), st.integers(0, 9), STRINGS.filter(bool)), max_size=2),
)


def written(folder: Path, content: str | bytes) -> Path:
    path = folder / "annotations.jsonl"
    path.write_bytes(content.encode() if isinstance(content, str) else content)
    return path


def line(**changes: object) -> str:
    return json.dumps({"text": "Redis is down", "spans": [SPAN], **changes})


@given(passages=st.lists(PASSAGES, max_size=5))
def test_what_is_written_is_read_again(tmp_path_factory, passages):
    path = tmp_path_factory.mktemp("round") / "passages.jsonl"
    write_passages(path, passages)
    result = read_passages(path)
    assert not result.refusals
    assert [(p.text, p.spans, p.meta, p.extra) for p in result.passages] == [
        (p.text, p.spans, p.meta, p.extra) for p in passages
    ]
    assert [passage.place for passage in result.passages] == [f"{path}:{n}" for n in range(1, len(passages) + 1)]
    first = path.read_bytes()
    write_passages(path, result.passages)
    assert path.read_bytes() == first


@given(content=st.binary(max_size=200) | st.text(max_size=200).map(lambda text: text.encode("utf8", "surrogatepass")))
def test_no_content_makes_the_reader_fail_but_with_a_word_to_the_user(tmp_path_factory, content):
    try:
        result = read_passages(written(tmp_path_factory.mktemp("any"), content))
    except UserError:
        with pytest.raises(UnicodeDecodeError):
            content.decode("utf8")
        return
    filled = [part for part in content.removeprefix(b"\xef\xbb\xbf").split(b"\n") if part.decode("utf8").strip()]
    assert len(result.passages) + len(result.refusals) == len(filled)


@pytest.mark.parametrize(
    "content",
    [
        pytest.param(line() + "\n", id="plain"),
        pytest.param(line(), id="no line feed at the end"),
        pytest.param(line() + "\r\n", id="CRLF"),
        pytest.param("\ufeff" + line() + "\n", id="byte order mark"),
        pytest.param("\n\n" + line() + "\n  \n", id="blank lines"),
        pytest.param(line(spans=[{**SPAN, "start": 0.0, "end": 4.0}]), id="pandas' floats"),
        pytest.param(line(spans=[{**SPAN, "token_start": 0, "token_end": 0}]), id="Prodigy's token offsets"),
        pytest.param(line(meta=None, answer=None), id="nulls"),
        pytest.param(line(answer="accept"), id="accepted"),
    ],
)
def test_a_passage_is_read_in_any_dress(tmp_path, content):
    (passage,) = read_valid_passages(written(tmp_path, content))
    assert (passage.text, passage.spans, passage.meta) == ("Redis is down", [Span(0, 4, "INFRA")], {})


@pytest.mark.parametrize(
    ("bad", "expected"),
    [
        pytest.param('{"text": "Redis is do', "not valid JSON (Unterminated string", id="cut off"),
        pytest.param("[" + line() + "]", "must be a JSON object", id="JSON array"),
        pytest.param('{"text"', "not valid JSON", id="pretty-printed"),
        pytest.param("null", "must be a JSON object", id="null"),
        pytest.param("3", "must be a JSON object", id="a number"),
        pytest.param('{"txt": "a"}', "no 'text' in the record", id="no text"),
        pytest.param(line(text=3), "'text' must be a string", id="text is a number"),
        pytest.param(line(text=" \n"), "an empty text", id="blank text"),
        pytest.param(line(text="a\ud800"), "half of a surrogate pair at offset 1", id="lone surrogate in the text"),
        pytest.param(line(meta={"source": "\udfff"}), "half of a surrogate pair", id="lone surrogate in the source"),
        pytest.param(line(spans=[{**SPAN, "label": "\ud800"}]), "half of a surrogate pair", id="in a label"),
        pytest.param(line(note="\ud800"), "half of a surrogate pair", id="lone surrogate in another key"),
        pytest.param(line(text="a" * 1_000_001), "a text of 1000001 characters", id="too long"),
        pytest.param(line(spans={}), "'spans' must be a list", id="spans is an object"),
        pytest.param(line(spans="x"), "'spans' must be a list", id="spans is a string"),
        pytest.param(line(spans=[[0, 4, "INFRA"]]), "a span must be an object", id="doccano's spans"),
        pytest.param(line(spans=[None]), "a span must be an object", id="a span is null"),
        pytest.param(line(meta=[]), "'meta' must be an object", id="meta is a list"),
        pytest.param(line(answer="maybe"), "'answer' must be accept, reject or ignore, not 'maybe'", id="answer"),
        pytest.param(line(answer=True), "'answer' must be", id="answer is true"),
        pytest.param(line(spans=[{**SPAN, "start": float("nan")}]), "whole numbers, not nan and 4", id="NaN"),
        pytest.param(line(spans=[{**SPAN, "end": float("inf")}]), "not 0 and inf", id="infinity"),
        pytest.param(line(spans=[{**SPAN, "start": 0.5}]), "whole numbers, not 0.5", id="a fraction"),
        pytest.param(line(spans=[{**SPAN, "start": "0"}]), "whole numbers, not '0'", id="a string"),
        pytest.param(line(spans=[{**SPAN, "start": False}]), "whole numbers, not False", id="a boolean"),
        pytest.param(line(spans=[{**SPAN, "end": None}]), "not 0 and None", id="null"),
        pytest.param(line(spans=[{"label": "A"}]), "not None and None", id="no offsets"),
        pytest.param(line(spans=[{**SPAN, "start": "x" * 999}]), "x…", id="a very long string"),
        pytest.param(line(spans=[{**SPAN, "label": ""}]), "has no label", id="empty label"),
        pytest.param(line(spans=[{**SPAN, "label": None}]), "has no label", id="no label"),
        pytest.param('{"text": "a", "n": ' + "9" * 5000 + "}", "thousands of digits", id="a huge number"),
        pytest.param('{"text": "a", "n": ' + "[" * 100_000 + "}", "nested too deeply", id="nested too deeply"),
        pytest.param("\0\0\0", "not valid JSON", id="null bytes"),
        pytest.param(line(unknown=[[0, 4]]), "'unknown' must be a list of objects", id="unknown parts as lists"),
        pytest.param(line(incorrect={}), "'incorrect' must be a list", id="no list of wrong spans"),
        pytest.param(line(unknown=[{"start": 0}]), "an unknown part's 'start' and 'end'", id="half an unknown part"),
        pytest.param(line(format_version=0), "'format_version' must be 1 to 3, not 0", id="format version 0"),
        pytest.param(
            line(format_version="1"), "'format_version' must be 1 to 3, not '1'", id="format version in quotes"
        ),
        pytest.param('{"text": "a\0b"}', "not valid JSON", id="a bare null byte in a string"),
        pytest.param(line() + line(), "not valid JSON (Extra data", id="two records in a line"),
    ],
)
def test_a_line_that_can_not_be_read_is_refused_with_its_place_and_the_rest_is_read(tmp_path, bad, expected):
    path = written(tmp_path, f"{line()}\n{bad}\n{line()}\n")
    result = read_passages(path)
    assert [passage.line for passage in result.passages] == [1, 3]
    (refusal,) = result.refusals
    assert str(refusal).startswith(f"{path}:2: ")
    assert expected in refusal.reason
    assert len(str(refusal)) < 400
    assert not refusal.skipped
    with pytest.raises(UserError) as raised:
        read_valid_passages(path)
    assert f"{path}:2" in raised.value.what
    assert "check" in raised.value.hint


def test_records_say_their_format_version_which_is_no_key_of_the_passage(tmp_path):
    path = tmp_path / "a.jsonl"
    write_passages(path, [Passage("Redis is down", extra={"id": 3})])
    assert json.loads(path.read_text())["format_version"] == 1
    assert [passage.extra for passage in read_valid_passages(path)] == [{"id": 3}]


def test_a_record_is_of_the_newer_format_only_where_it_has_unknown_parts(tmp_path):
    """An earlier version of the package would learn that there is no entity in them."""
    write_passages(tmp_path / "a.jsonl", [Passage("a"), Passage("b c", unknown=[Span(2, 3, "")])])
    plain, newer = map(json.loads, (tmp_path / "a.jsonl").read_text().splitlines())
    assert (plain["format_version"], "unknown" in plain) == (1, False)
    assert (newer["format_version"], newer["unknown"]) == (2, [{"start": 2, "end": 3}])


RELATION = {"type": "USES", "head": {"start": 0, "end": 1, "label": "A"}, "tail": {"start": 2, "end": 3, "label": "B"}}
TWO = [{"start": 0, "end": 1, "label": "A"}, {"start": 2, "end": 3, "label": "B"}]


def test_relations_are_read_and_written_with_their_ends(tmp_path):
    path = written(tmp_path, line(text="a b", spans=TWO, relations=[RELATION]) + "\n")
    write_passages(path, read_passages(path))
    record = json.loads(path.read_text())
    assert (record["relations"], record["format_version"]) == ([RELATION], 3)


@pytest.mark.parametrize(
    ("relations", "expected"),
    [
        pytest.param(None, None, id="nobody looked"),
        pytest.param([], [], id="there are none"),
        pytest.param([{**RELATION, "head": {"start": 0, "end": 1}}], ["A"], id="a type that the spans tell"),
        pytest.param([{**RELATION, "head": {"start": 0, "end": 1, "type": "A", "name": "a"}}], ["A"], id="an entity"),
        pytest.param([RELATION, RELATION], ["A"], id="twice"),
        pytest.param([{"head_span": TWO[0], "child_span": TWO[1], "label": "USES"}], ["A"], id="Prodigy's form"),
    ],
)
def test_relations_may_be_missing_and_have_several_forms(tmp_path, relations, expected):
    [passage] = read_passages(written(tmp_path, line(text="a b", spans=TWO, relations=relations) + "\n"))
    found = passage.relations
    assert (found and [one.head.label for one in found]) == expected


@pytest.mark.parametrize(
    ("relation", "reason"),
    [
        pytest.param({"from_id": 1, "to_id": 2, "type": "USES"}, "the head of a relation 'USES'", id="another tool's"),
        pytest.param({**RELATION, "head": {"start": 5, "end": 6}}, "whose ends have no `label`", id="no span"),
        pytest.param({**RELATION, "type": " "}, "has no type", id="no type"),
        pytest.param({**RELATION, "tail": {"start": True, "end": 3}}, "whole numbers", id="a boolean"),
        pytest.param("USES", "must be an object", id="a string"),
    ],
)
def test_relations_of_another_form_stay_as_they_are_unless_the_record_says_that_it_has_this_one(
    tmp_path, relation, reason
):
    [passage] = read_passages(written(tmp_path, line(text="a b", spans=TWO, relations=[relation]) + "\n"))
    assert (passage.relations, passage.extra["relations"]) == (None, [relation])
    refused = line(text="a b", spans=TWO, relations=[relation], format_version=3)
    [refusal] = read_passages(written(tmp_path, refused + "\n")).refusals
    assert reason in refusal.reason


@pytest.mark.parametrize("newer", [line(format_version=4), '{"format_version": 7, "passage": ["another", "form"]}'])
def test_a_newer_format_version_is_an_error_for_the_file_with_both_versions_and_what_to_do(tmp_path, newer):
    path = written(tmp_path, f"{line()}\n{newer}\n")
    with pytest.raises(UserError) as raised:
        read_passages(path)
    version = json.loads(newer)["format_version"]
    assert f"{path}:2 has format_version {version}" in raised.value.what
    assert "reads format_version 3 at most" in raised.value.what
    assert "pip install --upgrade spacy-domain-ner" in raised.value.hint


@pytest.mark.parametrize("answer", ["reject", "ignore"])
def test_what_the_annotator_skipped_is_no_fault(tmp_path, answer):
    path = written(tmp_path, f"{line()}\n{line(answer=answer, spans='broken all the same')}\n")
    (refusal,) = read_passages(path).refusals
    assert refusal.skipped
    assert len(read_valid_passages(path)) == 1


@pytest.mark.parametrize(
    ("content", "place", "encoding"),
    [
        pytest.param((line() + "\n").encode("utf16"), ":1:", "utf16", id="UTF-16"),
        pytest.param((line() + "\n").encode() + b'{"text": "caf\xe9"}\n', ":2:", "latin1", id="latin-1"),
        pytest.param((line() + "\n").encode() * 5000 + b"\xff\n", ":5001:", "latin1", id="far down in a big file"),
        pytest.param((line() + "\n").encode() + b'{"text": "\xed\xa0\x80"}', ":2:", "latin1", id="a bare surrogate"),
        pytest.param(bytes(range(128, 256)), ":1:", "latin1", id="binary"),
    ],
)
def test_a_file_that_is_no_utf8_is_refused_with_the_line_and_the_remedy(tmp_path, content, place, encoding):
    path = written(tmp_path, content)
    with pytest.raises(UserError) as raised:
        read_passages(path)
    assert f"{path}{place} this is not UTF-8 text" in raised.value.what
    assert f"iconv -f {encoding}" in raised.value.hint


def test_a_line_separator_within_a_text_ends_no_record(tmp_path):
    text = "one\u2028two\u2029three\x85four\x0cfive\x1csix"
    path = written(tmp_path, json.dumps({"text": text}, ensure_ascii=False) + "\n" + line())
    assert [(passage.text, passage.line) for passage in read_valid_passages(path)] == [(text, 1), ("Redis is down", 2)]


def test_offsets_count_code_points(tmp_path):
    passage = Passage("🚀 e\u0301 Redis", [Span(5, 10, "INFRA")])
    write_passages(tmp_path / "a.jsonl", [passage])
    (read,) = read_valid_passages(tmp_path / "a.jsonl")
    assert read.surface(read.spans[0]) == "Redis"


def test_a_folder_is_read_in_the_order_of_its_names(tmp_path):
    for name in ("b.jsonl", "a/z.NDJSON", "c.json", "notes.txt"):
        (tmp_path / name).parent.mkdir(exist_ok=True)
        (tmp_path / name).write_text(json.dumps({"text": name}))
    assert [passage.text for passage in read_valid_passages(tmp_path)] == ["a/z.NDJSON", "b.jsonl"]


@pytest.mark.parametrize("name", ["missing.jsonl", "empty"])
def test_a_path_without_annotations_is_named(tmp_path, name):
    (tmp_path / "empty").mkdir()
    with pytest.raises(UserError) as raised:
        read_passages(tmp_path / name)
    assert str(tmp_path / name) in raised.value.what
    assert raised.value.hint


def test_an_empty_file_has_no_passages(tmp_path):
    assert read_valid_passages(written(tmp_path, "")) == []
    assert read_valid_passages(written(tmp_path, "\ufeff")) == []


def test_many_faults_are_counted_and_the_first_ones_shown(tmp_path):
    with pytest.raises(UserError) as raised:
        read_valid_passages(written(tmp_path, "x\n" * 100))
    assert "100 line(s)" in raised.value.what
    assert raised.value.what.count("\n") == 5


def test_a_write_that_fails_leaves_the_old_file(tmp_path):
    path = written(tmp_path, line())
    with pytest.raises(UnicodeEncodeError):
        write_passages(path, [Passage("good"), Passage("\ud800")])
    assert path.read_text() == line()
