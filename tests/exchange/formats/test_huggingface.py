"""Tokens and tags as Hugging Face's data sets have them, in all their layouts, with names and with numbers."""

import json
from pathlib import Path

import pytest

from spacy_domain_ner.errors import UserError

TOKENS = [["Redis", "Cluster", "is", "down", "."], ["See", "Kafka", "(", "again", ")"], ["All", "quiet"]]
TAGS = [["B-INFRA", "I-INFRA", "O", "O", "O"], ["O", "B-INFRA", "O", "O", "O"], ["O", "O"]]
NAMES = ["O", "B-INFRA", "I-INFRA", "B-TEAM", "I-TEAM"]
NUMBER_OF = {name: number for number, name in enumerate(NAMES)}
NUMBERS = [[NAMES.index(tag) for tag in tags] for tags in TAGS]
TEXTS = ["Redis Cluster is down.", "See Kafka (again)", "All quiet"]
MENTIONS = [[("Redis Cluster", "INFRA")], [("Kafka", "INFRA")], []]
FEATURES = {
    "tokens": {"feature": {"dtype": "string", "_type": "Value"}, "_type": "Sequence"},
    "pos_tags": {"feature": {"names": ["NN", "VB"], "_type": "ClassLabel"}, "_type": "Sequence"},
    "ner_tags": {"feature": {"names": NAMES, "_type": "ClassLabel"}, "_type": "Sequence"},
}
README = """---
license: mit
dataset_info:
- config_name: default
  features:
  - name: tokens
    sequence: string
  - name: pos_tags
    list:
      class_label:
        names: {'0': NN, '1': VB}
  - name: ner_tags
    sequence:
      class_label:
        names:
          '0': O
          '1': B-INFRA
          '2': I-INFRA
---
# Outages
"""


def rows(tags=TAGS, **more):
    return [
        {"tokens": tokens, "ner_tags": own, **{key: values[number] for key, values in more.items()}}
        for number, (tokens, own) in enumerate(zip(TOKENS, tags, strict=True))
    ]


def as_lines(records):
    return "".join(json.dumps(record) + "\n" for record in records)


SERVED = {
    "features": [
        {"feature_idx": number, "name": key, "type": value} for number, (key, value) in enumerate(FEATURES.items())
    ],
    "rows": [{"row_idx": number, "row": row, "truncated_cells": []} for number, row in enumerate(rows(NUMBERS))],
}
BY_NAME = [{"words": tokens, "labels": tags} for tokens, tags in zip(TOKENS, TAGS, strict=True)]
COLUMNS = {"tokens": TOKENS, "ner_tags": TAGS}


@pytest.mark.parametrize(
    "content",
    [
        pytest.param(as_lines(rows()), id="lines"),
        pytest.param(rows(), id="a list"),
        pytest.param(as_lines(BY_NAME), id="words and labels"),
        pytest.param(as_lines({"sent": r["words"], "bio": r["labels"], "n": [1]} for r in BY_NAME), id="other names"),
        pytest.param(COLUMNS, id="columns"),
        pytest.param(json.dumps(COLUMNS, indent=2), id="columns, printed with indents"),
        pytest.param({key: dict(enumerate(cells)) for key, cells in COLUMNS.items()}, id="columns as pandas has them"),
        pytest.param({"columns": list(COLUMNS), "index": [0, 1, 2], "data": list(zip(TOKENS, TAGS, strict=True))},
                     id="columns named apart"),
        pytest.param({"version": "0.1", "data": rows()}, id="under data"),
        pytest.param(SERVED, id="as the datasets server gives them, with the names of numbers"),
        pytest.param({"train": rows()[:2], "test": rows()[2:]}, id="a list per split"),
        pytest.param({"train": COLUMNS}, id="columns per split"),
        pytest.param([{"doc_id": "d1", "sentences": rows()}], id="sentences of a document"),
        pytest.param(as_lines({"text": " ".join(r["words"]), "labels": " ".join(r["labels"])} for r in BY_NAME),
                     id="strings divided by blanks"),
        pytest.param(as_lines({"pos_tags": ["NN"] * len(tags), "chunk_tags": ["B-NP"] * len(tags), "words": words,
                               "ner_tags": tags} for words, tags in zip(TOKENS, TAGS, strict=True)),
                     id="beside other tags"),
        pytest.param(as_lines(rows([[tag[2:] or tag for tag in tags] for tags in TAGS])), id="types without prefixes"),
    ],
)  # fmt: skip
def test_every_layout_gives_the_same_passages(imported, content):
    result = imported(content)
    assert (result.texts, result.mentions) == (TEXTS, MENTIONS)
    assert not result.report.refused


@pytest.mark.parametrize(
    ("name", "content"),
    [
        pytest.param("dataset_info.json", {"features": FEATURES}, id="the description of a data set"),
        pytest.param("dataset_infos.json", {"default": {"features": FEATURES, "splits": {"train": {"num_bytes": 3}}}},
                     id="descriptions by configuration"),
        pytest.param("README.md", README, id="a data set's card"),
        pytest.param("config.json", {"id2label": dict(enumerate(NAMES)), "label2id": NUMBER_OF}, id="a model's config"),
        pytest.param("map.json", NUMBER_OF, id="a name's number"),
        pytest.param("names.txt", "\n".join(NAMES) + "\n", id="one name per line"),
        pytest.param("names.json", NAMES, id="a JSON list"),
        pytest.param(None, ",".join(NAMES), id="the names themselves"),
    ],
)  # fmt: skip
@pytest.mark.parametrize(
    "number", [int, float, str], ids=["whole numbers", "floats, as where a column has a gap", "numbers as strings"]
)
def test_numbers_get_their_names(imported, tmp_path: Path, name, content, number):
    given = content
    if name:
        given = tmp_path / name
        given.write_text(content if isinstance(content, str) else json.dumps(content), encoding="utf8")
    result = imported(as_lines(rows([[number(tag) for tag in tags] for tags in NUMBERS])), tag_names=given)
    assert (result.texts, result.mentions) == (TEXTS, MENTIONS)


@pytest.mark.parametrize(
    ("tag_names", "said"),
    [
        pytest.param(None, "has numbers as tags under 'ner_tags' (0 to 2), and does not say what they mean", id="none"),
        pytest.param("INFRA,TEAM,PART", "which are not tags such as O, B-NAME and I-NAME", id="types, not tags"),
        pytest.param("missing.json", "is neither a file nor several names", id="no such file"),
        pytest.param("O,,B-INFRA", "has an empty name", id="an empty name"),
        pytest.param("O,B-INFRA,O", "has a name twice", id="a name twice"),
    ],
)
def test_numbers_without_names_are_never_guessed(imported, tag_names, said):
    with pytest.raises(UserError) as error:
        imported(as_lines(rows(NUMBERS)), tag_names=tag_names)
    assert said in str(error.value)


def test_a_description_of_several_kinds_of_tags_must_name_these(imported, tmp_path: Path):
    other = {key + "_x": value for key, value in FEATURES.items()}
    (tmp_path / "info.json").write_text(json.dumps({"features": other}), encoding="utf8")
    with pytest.raises(UserError, match="pos_tags_x, ner_tags_x"):
        imported(as_lines(rows(NUMBERS)), tag_names=tmp_path / "info.json")


@pytest.mark.parametrize(
    "more",
    [
        pytest.param({"text": ["Redis  Cluster is down .", "See Kafka\n( again )", "All quiet "]}, id="the text"),
        pytest.param({"spaces": [[True] * 4 + [False], [True] * 4 + [False], [True, False]]}, id="the spaces"),
    ],
)  # fmt: skip
def test_spaces_that_the_record_tells_are_kept(imported, more):
    result = imported(as_lines(rows(**more)))
    assert result.texts[0].replace("  ", " ") == "Redis Cluster is down ."
    assert result.mentions[1:] == MENTIONS[1:]
    if "text" in more:
        assert result.texts == more["text"]


def test_what_is_not_known_or_broken_is_said_record_for_record(imported):
    bad = [
        {"id": "short", "tokens": ["Redis", "is"], "ner_tags": [1]},
        {"id": "high", "tokens": ["Redis"], "ner_tags": [9]},
        {"id": "gap", "tokens": ["Redis", None], "ner_tags": [1, 0]},
        {"id": "new", "tokens": ["Redis", "up"], "ner_tags": None},
        {"id": "none", "tokens": ["Redis", "is"], "ner_tags": [-1, -1]},
        {"id": "only", "tokens": ["Redis", "up"], "ner_tags": [1, -100]},
        {"id": "part", "tokens": ["Redis", "by", "Kafka", "3"], "ner_tags": [1, 0, -100, -100]},
    ]
    result = imported(as_lines(rows(NUMBERS) + bad), tag_names=",".join(NAMES[:3]))
    assert result.mentions == [*MENTIONS, [("Redis", "INFRA")]]
    assert [(part.start, part.end) for part in result.passages[-1].unknown] == [(9, 16)]
    assert result.reasons("refused") == [
        "2 tokens under 'tokens', but 1 tags under 'ner_tags'",
        "the tag 9 has no name: there are 3 names",
        "'tokens' must be a list of strings, not ['Redis', None]",
    ]
    assert {entry.id: entry.reason.split(":")[0] for entry in result.report.shown["left out"]} == {
        "new": "not annotated", "none": "not annotated", "only": "annotated in part only",
    }  # fmt: skip


def test_tokens_without_a_character_are_passed_over_within_a_span(imported):
    row = {"tokens": ["Redis", " ", "Cluster", "", "fell"], "tags": ["B-INFRA", "I-INFRA", "I-INFRA", "O", "O"]}
    result = imported([row])
    assert (result.texts, result.mentions) == (["Redis Cluster fell"], [[("Redis Cluster", "INFRA")]])
    assert result.reasons("changed") == ["2 token(s) without a character"]


def test_keys_may_be_given_and_an_option_without_a_use_is_an_error(imported):
    two = [{**row, "fine": ["B-X", *["O"] * (len(row["tokens"]) - 1)]} for row in rows()]
    assert imported(two, columns="token=tokens,tag=fine").mentions == [[(t[0], "X")] for t in TOKENS]
    with pytest.raises(UserError, match="There is no column 'coarse'"):
        imported(two, columns="tag=coarse")
    with pytest.raises(UserError, match="`tag_names` is given, but no file has tags that are numbers"):
        imported(two, tag_names="O,B-X")


def test_names_are_preferred_to_numbers_that_nobody_names(imported):
    both = [{**row, "fine_ner_tags": tags} for row, tags in zip(rows(NUMBERS), TAGS, strict=True)]
    assert imported(as_lines(both)).mentions == MENTIONS
    assert "other tags under 'ner_tags'" in imported(as_lines(both)).report.files[0][1]
