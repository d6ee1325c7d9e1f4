"""spaCy's older forms (TRAIN_DATA, training JSON, DocBin), the annotation tool's object around them, and DataTurks."""

import contextlib
import json

import pytest
import spacy
from hypothesis import given
from hypothesis import strategies as st
from spacy.tokens import DocBin

from spacy_domain_ner.corpus import Span
from spacy_domain_ner.errors import UserError
from spacy_domain_ner.exchange.cleaning import clean
from spacy_domain_ner.exchange.formats import train_data
from spacy_domain_ner.exchange.policies import Overlaps, Policies
from spacy_domain_ner.reading.records import RefusedError
from spacy_domain_ner.text import trimmed

TEXT = "Redis is down since Kafka restarted"
REDIS, KAFKA = ("Redis", "INFRA"), ("Kafka", "INFRA")
ENTITIES = [[0, 5, "INFRA"], [20, 25, "INFRA"]]
PAIR = [TEXT, {"entities": ENTITIES}]
SOURCE = f'("{TEXT}", {{"entities": [(0, 5, "INFRA"), (20, 25, "INFRA")]}})'


def as_lines(*records):
    return "".join(json.dumps(record) + "\n" for record in records)


@pytest.mark.parametrize(
    ("name", "content"),
    [
        pytest.param("train.json", json.dumps([PAIR]), id="a list"),
        pytest.param("train.json", json.dumps([PAIR], indent=2), id="a list, printed"),
        pytest.param("train.jsonl", as_lines(PAIR), id="a pair a line"),
        pytest.param("train.json", json.dumps(PAIR), id="one pair"),
        pytest.param("train.json", json.dumps([[TEXT, ENTITIES]]), id="spaCy 1, the list itself"),
        pytest.param("train.json", json.dumps([[TEXT, {"entities": ENTITIES, "cats": {}}]]), id="categories beside"),
        pytest.param("train.json", json.dumps([[TEXT, {"spans": {"sc": ENTITIES}}]]), id="spans of a categorizer"),
        pytest.param("train.json", json.dumps([[TEXT, {"spans": ENTITIES}]]), id="spans"),
        pytest.param(
            "train.json",
            json.dumps([[TEXT, {"entities": [{"start": s, "end": e, "label": n} for s, e, n in ENTITIES]}]]),
            id="objects",
        ),
        pytest.param(
            "annotations.json", json.dumps({"classes": ["INFRA"], "annotations": [PAIR, None]}), id="the tool's"
        ),
        pytest.param(
            "annotations.json",
            json.dumps({"classes": [], "annotations": [None, PAIR]}, indent=1),
            id="the tool's, printed",
        ),
        pytest.param("train.py", f"# mine\nTRAIN_DATA = [\n    {SOURCE},\n]\n", id="Python"),
        pytest.param("train.py", f"from x import y\nDATA: list = [{SOURCE}]\r\n", id="Python, annotated, CRLF"),
        pytest.param("train.py", f'SPLIT = {{"train": [{SOURCE}]}}\n', id="Python, in a dictionary"),
        pytest.param(
            "train.py",
            f"def load():\n    data = []\n    data += [{SOURCE}]\n    return data\n",
            id="Python, in a function",
        ),
        pytest.param("train.py", f"data = []\ndata.append({SOURCE})\n", id="Python, appended"),
        pytest.param("train.py", f"[{SOURCE}]", id="Python, a list alone"),
        pytest.param("train.txt", f"TRAIN_DATA = [{SOURCE}]", id="Python in a .txt"),
        pytest.param("train.txt", f"[{SOURCE}]", id="a list as Python prints it"),
        pytest.param("train.txt", f"{SOURCE}\n{SOURCE}\n", id="pairs as Python prints them"),
        pytest.param("train.py", f'D = [("{TEXT}", [(0, 5, "INFRA"), [20, 25, "INFRA"]])]', id="Python of spaCy 1"),
        pytest.param(
            "train.py", f'D = [("{TEXT[:9]}" "{TEXT[9:]}", {{"entities": {ENTITIES}}})]', id="strings side by side"
        ),
    ],
)
def test_pairs_are_read_in_every_form(imported, name, content):
    result = imported(content, name=name)
    assert result.mentions == [[REDIS, KAFKA]]
    assert result.report.files[0][1].startswith("spaCy TRAIN_DATA")


def test_python_is_read_and_never_run(imported, tmp_path):
    trace = tmp_path / "trace"
    opened = f"open({str(trace)!r}, 'w')"
    content = f"{opened}\nTRAIN_DATA = [{SOURCE}, (str({opened}), {{'entities': []}})]"
    result = imported(content, name="train.py")
    assert result.mentions == [[REDIS, KAFKA]]
    assert not trace.exists()
    (reason,) = result.reasons("refused")
    assert "not a pair of a text and its entities" in reason


def test_pairs_of_python_come_in_their_order(imported):
    content = (
        "A = [('one', {'entities': []})]\nB = {'b': [[('two', {'entities': []})]]}\nC = [('three', {'entities': []})]\n"
    )
    assert imported(content, name="train.py").texts == ["one", "two", "three"]


@pytest.mark.parametrize(
    "content",
    [
        pytest.param("x = 1\n", id="no pairs"),
        pytest.param("x = [('a', {'b': []})]\n", id="other pairs"),
        pytest.param("TRAIN_DATA = [(", id="cut off"),
        pytest.param("(" * 10_000, id="nested too deeply"),
        pytest.param("TRAIN_DATA = load('data.json')\n", id="loaded from elsewhere"),
    ],
)
def test_python_without_pairs_is_an_error_of_the_user(imported, content):
    with pytest.raises(UserError, match="not Python source"):
        imported(content, name="train.py")


@pytest.mark.parametrize(
    ("pair", "reason"),
    [
        pytest.param([TEXT, {"cats": {"a": 1}}], "not a pair", id="categories only"),
        pytest.param([TEXT], "not a pair", id="no second"),
        pytest.param([3, {"entities": []}], "not a pair", id="no text"),
        pytest.param([TEXT, {"entities": 5}], "the entities are not a list", id="a number as entities"),
        pytest.param([TEXT, {"entities": "INFRA"}], "the entities are not a list", id="a string as entities"),
        pytest.param(["", {"entities": []}], "an empty text", id="empty text"),
        pytest.param({"text": TEXT}, "not a pair", id="an object"),
        pytest.param(None, "not a pair", id="null"),
    ],
)
def test_what_is_no_pair_is_refused(imported, pair, reason):
    result = imported([PAIR, pair])
    assert result.mentions == [[REDIS, KAFKA]]
    (refusal,) = result.reasons("refused")
    assert reason in refusal


@pytest.mark.parametrize(
    "bad", [None, 3, "INFRA", [0, 5], [], {}, ["0", "5", "A"], [0, 5, None], [5, 0, "A"], [0, 99, "A"]]
)
def test_a_bad_entity_is_refused_alone(imported, bad):
    result = imported([[TEXT, {"entities": [ENTITIES[1], bad]}]])
    assert result.mentions == [[KAFKA]]
    assert result.report.spans["refused"] == 1


def turk(*points, label=("INFRA",), **rest):
    return {"content": TEXT, "annotation": [{"label": list(label), "points": list(points)}], "extras": None, **rest}


@pytest.mark.parametrize(
    "row",
    [
        pytest.param(
            turk({"start": 0, "end": 4, "text": "Redis"}, {"start": 20, "end": 24, "text": "Kafka"}), id="as it is"
        ),
        pytest.param(turk({"start": 0, "end": 4}, {"start": 20, "end": 24}), id="no texts"),
        pytest.param(
            turk({"start": 0, "end": 5, "text": "Redis"}, {"start": 20, "end": 25, "text": "Kafka"}),
            id="exclusive ends",
        ),
        pytest.param(
            turk({"start": 0, "end": 5, "text": "Redis "}, {"start": 19, "end": 24, "text": " Kafka"}), id="edges"
        ),
        pytest.param(
            turk({"start": 0, "end": 4}, {"start": 20, "end": 24}, metadata={"status": "done"}), id="metadata"
        ),
        pytest.param(
            turk({"start": 0, "end": 4}, {"start": 20, "end": 24}, label=["INFRA", "INFRA"]), id="a label twice"
        ),
    ],
)
def test_the_ends_of_dataturks_are_inclusive(imported, row):
    result = imported(as_lines(row))
    assert result.mentions == [[REDIS, KAFKA]]
    assert result.report.files[0][1].startswith("DataTurks")


@pytest.mark.parametrize(
    "item",
    [
        pytest.param({"label": [], "points": [{"start": 0, "end": 4, "text": "Redis"}]}, id="no label"),
        pytest.param({"label": ["INFRA"], "points": []}, id="no points"),
        pytest.param({"label": ["INFRA"], "points": ["x"]}, id="a string as a point"),
        pytest.param({"label": ["INFRA"], "points": None}, id="null points"),
        pytest.param({"label": ["INFRA"], "points": [{"start": "0", "end": 4}]}, id="a string as an offset"),
        pytest.param("x", id="a string"),
    ],
)
def test_a_bad_annotation_of_dataturks_is_refused_and_not_lost(imported, item):
    row = turk({"start": 20, "end": 24})
    row["annotation"].append(item)
    result = imported(as_lines(row))
    assert result.mentions == [[KAFKA]]
    assert result.report.spans["refused"] == 1


@pytest.mark.parametrize(("annotation", "count"), [(None, "left out"), (5, "refused"), ("x", "refused")])
def test_dataturks_without_a_list_of_annotations_is_not_taken_as_without_entities(imported, annotation, count):
    result = imported(as_lines(turk({"start": 0, "end": 4}), {"content": "Other", "annotation": annotation}))
    assert result.mentions == [[REDIS]]
    assert result.report.passages[count] == 1


def docs():
    nlp = spacy.blank("en")
    with_ents = nlp(TEXT)
    with_ents.ents = [with_ents.char_span(0, 5, "INFRA"), with_ents.char_span(20, 25, "INFRA")]
    with_ents.user_data["meta"] = {"source": "chat", "raw": b"bytes"}
    without = nlp("All is well")
    without.ents = []
    partial = nlp("Redis and the rest")
    partial.set_ents([partial.char_span(0, 5, "INFRA")], default="missing")
    grouped = nlp("Kafka lags")
    grouped.spans["sc"] = [grouped.char_span(0, 5, "INFRA")]
    return [with_ents, without, partial, grouped, nlp("Nobody looked")]


def test_a_docbin_says_what_is_known_of_its_tokens(imported, tmp_path):
    path = tmp_path / "docs.spacy"
    DocBin(docs=docs(), store_user_data=True).to_disk(path)
    result = imported(path.read_bytes(), name="train.spacy")
    assert result.texts == [TEXT, "All is well", "Kafka lags"]
    assert result.mentions == [[REDIS, KAFKA], [], [KAFKA]]
    assert result.passages[0].meta == {"source": "chat"}
    assert sorted(result.report.reasons.values()) == [1, 1]


@pytest.mark.parametrize("content", [b"\x78\x9c", b"\x78\x9cgarbage", DocBin(docs=docs()[:1]).to_bytes()[:-30]])
def test_a_broken_docbin_is_an_error_of_the_user(imported, content):
    with pytest.raises(UserError, match="not a DocBin"):
        imported(content, name="train.spacy")


def sentence(*tokens):
    return {"tokens": [{"id": n, "orth": orth, "ner": ner} for n, (orth, ner) in enumerate(tokens)], "brackets": []}


FIRST = sentence(("Redis", "U-INFRA"), ("is", "O"), ("down", "O"), (".", "O"))
SECOND = sentence(("The", "O"), ("Kafka", "B-INFRA"), ("Cluster", "L-INFRA"), ("lags", "O"))


@pytest.mark.parametrize(
    ("paragraph", "texts"),
    [
        pytest.param({"sentences": [FIRST, SECOND]}, ["Redis is down.", "The Kafka Cluster lags"], id="no text"),
        pytest.param(
            {"raw": "Redis  is down . The Kafka\nCluster lags", "sentences": [FIRST, SECOND]},
            ["Redis  is down .", "The Kafka\nCluster lags"],
            id="the text",
        ),
        pytest.param(
            {"raw": "Something else", "sentences": [FIRST, SECOND]},
            ["Redis is down.", "The Kafka Cluster lags"],
            id="another text",
        ),
    ],
)
@pytest.mark.parametrize("printed", [None, 2])
def test_sentences_of_the_training_json_are_cut_from_their_text(imported, paragraph, texts, printed):
    result = imported(json.dumps([{"id": 3, "paragraphs": [paragraph]}], indent=printed))
    assert result.texts == texts
    assert [[surface.split() for surface, _ in mentions] for mentions in result.mentions] == [
        [["Redis"]],
        [["Kafka", "Cluster"]],
    ]
    assert {passage.meta["source"] for passage in result.passages} == {"3"}


def test_tokens_without_a_tag_are_unknown(imported):
    unknown = sentence(("All", "-"), ("open", "-"))
    partly = sentence(("Redis", "U-INFRA"), ("open", "-"))
    result = imported([{"id": 0, "paragraphs": [{"sentences": [FIRST, unknown, partly]}]}])
    assert result.texts == ["Redis is down."]
    assert result.report.passages["left out"] == 2


def test_a_broken_pair_in_the_tools_object_takes_no_other_along(imported):
    later = ["Kafka restarted", {"entities": [[0, 5, "INFRA"], [40, 45, "INFRA"]]}]
    result = imported({"classes": ["INFRA"], "annotations": [PAIR, None, ["\r\n", None], later]})
    assert result.mentions == [[REDIS, KAFKA], [KAFKA]]
    assert [(entry.id, entry.of) for entry in result.report.shown["refused"]] == [
        ("record 3", "passage"),
        ("record 4", "span"),
    ]


def test_a_broken_sentence_of_the_training_json_takes_no_other_along(imported):
    wrong = {"tokens": [{"orth": "Kafka", "ner": "INFRA"}, {"orth": "Redis", "ner": "U-INFRA"}]}
    document = {"id": 7, "paragraphs": [{"sentences": [wrong, {"tokens": 5}, FIRST]}, None, {"sentences": [FIRST]}]}
    result = imported([document])
    assert set(result.texts) == {"Redis is down."}
    assert [entry.id for entry in result.report.shown["refused"]] == ["7", "7", "7"]


@pytest.mark.parametrize(
    "broken",
    [
        pytest.param({"raw": 5, "sentences": 5}, id="a number as sentences"),
        pytest.param({"sentences": [5]}, id="a number as a sentence"),
        pytest.param({"sentences": [{"tokens": 5}]}, id="a number as tokens"),
        pytest.param({"sentences": [{"tokens": [5]}]}, id="a number as a token"),
        pytest.param(None, id="null"),
    ],
)
def test_a_broken_document_of_the_training_json_is_refused(imported, broken):
    good = {"id": 1, "paragraphs": [{"sentences": [FIRST]}]}
    result = imported([good, {"id": 2, "paragraphs": [broken]}])
    assert result.texts == ["Redis is down."]
    (entry,) = result.report.shown["refused"]
    assert entry.id == "2"


@given(text=st.text(st.characters(exclude_categories=["Cs"]), min_size=1).filter(str.strip), data=st.data())
def test_entities_of_any_text_come_back(text, data):
    spans = []
    for start in data.draw(st.lists(st.integers(0, len(text) - 1), max_size=4)):
        end = data.draw(st.integers(start + 1, len(text)))
        if trimmed(text, start, end) == (start, end):
            spans.append(Span(start, end, "INFRA"))
    pair = (text, {"entities": [(span.start, span.end, span.label) for span in spans]})
    policies = Policies(overlaps=Overlaps.keep, offset_unit="code-points")
    for read in (json.loads(json.dumps(pair)), *train_data.python_pairs(f"TRAIN_DATA = [{pair!r}]")):
        (version,) = train_data.read_pair(read)
        assert version.text == text
        assert set(clean(version, policies).spans) == set(spans)


KEYS = ["entities", "spans", "annotations", "content", "annotation", "label", "points", "start", "end", "paragraphs",
        "sentences", "tokens", "raw", "orth", "ner", "id"]  # fmt: skip
ANYTHING = st.recursive(
    st.none()
    | st.booleans()
    | st.integers()
    | st.text(max_size=5)
    | st.floats()
    | st.sampled_from(["B-A", "L-", "U-A"]),
    lambda values: st.lists(values, max_size=4) | st.dictionaries(st.sampled_from(KEYS), values, max_size=5),
    max_leaves=15,
)


@given(value=ANYTHING)
def test_no_value_makes_the_readers_fail_but_with_a_reason(value):
    for record in (
        value, [TEXT, value], [TEXT, {"entities": value}], {"annotations": [PAIR, value]},
        {"content": TEXT, "annotation": value}, {"content": TEXT, "annotation": [{"label": value, "points": value}]},
        {"paragraphs": value}, {"paragraphs": [{"raw": TEXT, "sentences": [{"tokens": value}]}]},
    ):  # fmt: skip
        for read in (train_data.read_pair, train_data.read_dataturks, train_data.read_training_json):
            with contextlib.suppress(RefusedError):
                for version in read(record):
                    if not isinstance(version, RefusedError):
                        clean(version, Policies())
