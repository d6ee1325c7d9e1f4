"""Trying a package: the sentences it must get right, and packages that can't be installed or loaded."""

import json
import zipfile
from pathlib import Path
from typing import Any

import pytest
import spacy
from spacy.language import Language

from spacy_domain_ner.deployment.package import package_model
from spacy_domain_ner.deployment.try_package import Sentence, _judge, read_sentences, try_package
from spacy_domain_ner.errors import UserError
from spacy_domain_ner.schema import EntitySchema, EntityType


@pytest.fixture(scope="session")
def wheel(model: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    return make_wheel(model, tmp_path_factory.mktemp("packages"))


def make_wheel(model: Path, output_dir: Path) -> Path:
    scores = {"precision": 1.0, "recall": 1.0, "f1": 1.0, "support": 1}
    metrics = {"passages": 1, "gates": {"production": 0.85, "fallback": 0.8}, "micro": scores, "types": {}}
    counts = {"passages": 1, "without_entities": 0, "types": {}}
    schema = EntitySchema(entity_types=[EntityType(name="INFRA")])
    return package_model(
        model, output_dir, name="try_ner", version="0.1.0", schema=schema, metrics=metrics, counts=counts, about={}
    )


@pytest.mark.parametrize(
    ("sentence", "found", "failures"),
    [
        ({"entities": {"Redis": "INFRA"}}, [("Redis", "INFRA")], []),
        ({"entities": {"Redis": "INFRA"}}, [], ["'Redis' should be INFRA, is not found"]),
        ({"entities": {"Redis": "INFRA"}}, [("Redis", "TEAM")], ["'Redis' should be INFRA, is TEAM"]),
        ({"entities": {"Redis": "INFRA"}}, [("Redis", "INFRA"), ("x", "TEAM")], []),
        (
            {"entities": {"Redis": "INFRA"}, "only": True},
            [("Redis", "INFRA"), ("x", "TEAM")],
            ["'x' should be nothing, is TEAM"],
        ),
        ({"not_entities": ["x"]}, [("x", "TEAM")], ["'x' should be nothing, is TEAM"]),
        ({"not_entities": ["x"], "only": True}, [("x", "TEAM")], ["'x' should be nothing, is TEAM"]),
        ({"not_entities": ["x"]}, [("x y", "TEAM")], []),
        ({"only": True}, [], []),
        # A form that occurs twice must be right somewhere; with `only`, everywhere.
        ({"entities": {"x": "A"}}, [("x", "A"), ("x", "B")], []),
        ({"entities": {"x": "A"}, "only": True}, [("x", "A"), ("x", "B")], ["'x' should be nothing else than A, is B"]),
    ],
)
def test_what_was_found_is_judged(sentence: dict[str, Any], found: list[tuple[str, str]], failures: list[str]) -> None:
    assert _judge(Sentence(text="Redis x", **sentence), found).failures == failures


@pytest.mark.parametrize(
    ("content", "says"),
    [
        ("- text: Redis\n  entities: {Redis: INFRA}\n  typo: 1\n", "sentence 1 typo: Extra inputs are not permitted"),
        ("- entities: {Redis: INFRA}\n", "sentence 1 text: Field required"),
        ("- text: a\n- text: [b]\n", "sentence 2 text: Input should be a valid string"),
        ("text: a\n", "Input should be a valid list"),
        ("just words\n", "Input should be a valid list"),
        ("- text: 'open\n", "Can't read the sentences"),
        ("- {a: b\n", "Can't read the sentences"),
        ("\t- a\n", "Can't read the sentences"),
        ("- text: a\n  entities: {Redis: INFRA}\n", "'Redis' does not occur in"),
        ("- text: a\n  not_entities: [Redis]\n", "'Redis' does not occur in"),
    ],
)
def test_sentences_that_can_not_be_read_are_named(tmp_path: Path, content: str, says: str) -> None:
    path = tmp_path / "sentences.yml"
    path.write_text(content)
    with pytest.raises(UserError) as raised:
        read_sentences(path)
    assert says in str(raised.value)
    assert "sentences.yml" in str(raised.value)


def test_sentences_come_from_a_file_or_a_folder(tmp_path: Path) -> None:
    (tmp_path / "b.yaml").write_text("- text: two\n")
    (tmp_path / "a.yml").write_text("- text: onè 😀\n  only: true\n")
    (tmp_path / "c.yml").write_text("# nothing yet\n")
    (tmp_path / "notes.txt").write_text("no sentences")
    assert [sentence.text for sentence in read_sentences(tmp_path)] == ["onè 😀", "two"]
    assert [sentence.text for sentence in read_sentences(tmp_path / "b.yaml")] == ["two"]
    assert read_sentences(tmp_path / "c.yml") == []
    for missing in ("missing.yml", "missing"):
        with pytest.raises(UserError, match="Can't read the sentences"):
            read_sentences(tmp_path / missing)
    (tmp_path / "empty").mkdir()
    with pytest.raises(UserError, match="holds no sentences"):
        read_sentences(tmp_path / "empty")


@pytest.mark.slow
def test_a_package_is_installed_and_tried_without_the_plugin(wheel: Path) -> None:
    right = Sentence(text="Redis 😀 «svc1»", entities={"Redis": "INFRA", "svc1": "SERVICE"}, only=True)
    wrong = Sentence(text="Kafka", entities={"Kafka": "TEAM"})
    outcomes = try_package(wheel, [right, wrong])
    assert [outcome.failures for outcome in outcomes] == [[], ["'Kafka' should be TEAM, is INFRA"]]
    assert outcomes[0].found == [("Redis", "INFRA"), ("svc1", "SERVICE")]


@pytest.mark.slow
def test_a_model_that_needs_the_plugin_is_found_out(tmp_path: Path, nlp: Language) -> None:
    needy = spacy.blank("en")
    needy.add_pipe("entity_ruler")
    needy.to_disk(tmp_path / "model")
    config = (tmp_path / "model" / "config.cfg").read_text()
    assert "after_creation = null" in config
    callback = '[nlp.after_creation]\n@callbacks = "spacy_domain_ner.customize_tokenizer.v1"\n'
    (tmp_path / "model" / "config.cfg").write_text(config.replace("after_creation = null\n", "") + "\n" + callback)
    with pytest.raises(UserError, match="installs, but can't be loaded without the plugin"):
        try_package(make_wheel(tmp_path / "model", tmp_path / "packages"), [])


@pytest.mark.slow
def test_a_broken_wheel_is_named(wheel: Path, tmp_path: Path) -> None:
    no_wheel = tmp_path / wheel.name
    no_wheel.write_bytes(b"no zip archive")
    with pytest.raises(UserError, match=r"en_try_ner-.*whl can't be installed"):
        try_package(no_wheel, [])
    with zipfile.ZipFile(wheel) as whole, zipfile.ZipFile(no_wheel, "w") as part:
        for name in whole.namelist():
            if not name.endswith("config.cfg"):
                part.writestr(name, whole.read(name))
    with pytest.raises(UserError, match="installs, but can't be loaded"):
        try_package(no_wheel, [])


@pytest.mark.slow
def test_the_command_fails_where_a_sentence_is_not_right(wheel: Path, tmp_path: Path, run: Any) -> None:
    sentences = tmp_path / "sentences.yml"
    sentences.write_text("- {text: Redis is slow, entities: {Redis: INFRA}}\n")
    done = run("domain-ner", "try", wheel, sentences, "--output", "found.json")
    assert (done.returncode, done.stderr) == (0, "")
    assert "gets 1 sentence(s) right" in done.stdout
    assert json.loads((tmp_path / "found.json").read_text()) == [
        {"text": "Redis is slow", "found": [["Redis", "INFRA"]], "failures": []}
    ]
    sentences.write_text("- {text: Redis is slow, entities: {Redis: TEAM, slow: INFRA}}\n- {text: Kafka}\n")
    # A package's folder stands for the wheel in it.
    done = run("domain-ner", "try", wheel.parent.parent, sentences)
    assert done.returncode == 1
    assert (
        "found: Redis (INFRA)\n  'Redis' should be TEAM, is INFRA\n  'slow' should be INFRA, is not found"
        in done.stdout
    )
    assert "1 of 2 sentences are not right." in done.stderr
    done = run("domain-ner", "try", tmp_path, sentences)
    assert (done.returncode, done.stdout) == (1, "")
    assert "There is no wheel in" in done.stderr
