"""Trying a package: the sentences it must get right, and packages that can't be installed or loaded."""

import json
import zipfile
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import spacy
from helpers.outcome import Outcome

from spacy_domain_ner import UserError, package_model, try_package
from spacy_domain_ner.deployment.try_package import Sentence, _judge, read_sentences

MakeWheel = Callable[[Path, Path], Path]


@pytest.fixture(scope="session")
def wheel(make_wheel: MakeWheel, model: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    return make_wheel(model, tmp_path_factory.mktemp("packages"))


@pytest.fixture(scope="session")
def make_wheel(told: Callable[..., dict[str, Path]]) -> MakeWheel:
    """Build a model's wheel in a folder."""

    def make_wheel(model: Path, output_dir: Path) -> Path:
        scores = {"precision": 1.0, "recall": 1.0, "f1": 1.0, "support": 1}
        metrics = {"passages": 1, "gates": {"production": 0.85, "fallback": 0.8}, "micro": scores, "types": {}}
        counts = {"passages": 1, "without_entities": 0, "types": {}}
        files = told("entity_types: [{name: INFRA}]\n", metrics=metrics, counts=counts, about={})
        return package_model(model, output_dir, name="try_ner", **files)

    return make_wheel


@pytest.fixture
def sentences(tmp_path: Path) -> Path:
    """A file of sentences that begins with two."""
    path = tmp_path / "sentences.yml"
    path.write_text(
        "- {text: Redis 😀 «svc1», entities: {Redis: INFRA, svc1: SERVICE}, only: true}\n"
        "- {text: Kafka, entities: {Kafka: TEAM}}\n",
        encoding="utf8",
    )
    return path


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
        ("- text: Redis\n  entities: {Redis: INFRA}\n  typo: 1\n", "sentence 1 typo: the key 'typo' is not known"),
        ("- text: Redis\n  not_entity: [Redis]\n", "the key 'not_entity' is not known; did you mean 'not_entities'?"),
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
    (tmp_path / "notes.txt").write_text("not sentences")
    assert [sentence.text for sentence in read_sentences(tmp_path)] == ["onè 😀", "two"]
    assert [sentence.text for sentence in read_sentences(tmp_path / "b.yaml")] == ["two"]
    assert read_sentences(tmp_path / "c.yml") == []
    for missing in ("missing.yml", "missing"):
        with pytest.raises(UserError, match="Can't read the sentences"):
            read_sentences(tmp_path / missing)
    (tmp_path / "empty").mkdir()
    with pytest.raises(UserError, match="has no sentences"):
        read_sentences(tmp_path / "empty")


@pytest.mark.slow
def test_a_package_is_installed_and_tried_without_the_plugin(wheel: Path, sentences: Path, tmp_path: Path) -> None:
    # A package's folder stands for the wheel in it.
    right, wrong = try_package(wheel.parent.parent, sentences, tmp_path / "found.json")
    assert right.found == [("Redis", "INFRA"), ("svc1", "SERVICE")]
    assert (right.failures, wrong.failures) == ([], ["'Kafka' should be TEAM, is INFRA"])
    assert json.loads((tmp_path / "found.json").read_text(encoding="utf8")) == [
        {"text": "Redis 😀 «svc1»", "found": [["Redis", "INFRA"], ["svc1", "SERVICE"]], "failures": []},
        {"text": "Kafka", "found": [["Kafka", "INFRA"]], "failures": ["'Kafka' should be TEAM, is INFRA"]},
    ]


@pytest.mark.slow
def test_a_model_that_needs_the_plugin_is_found_out(tmp_path: Path, make_wheel: MakeWheel, sentences: Path) -> None:
    needy = spacy.blank("en")
    needy.add_pipe("entity_ruler")
    needy.to_disk(tmp_path / "model")
    config = (tmp_path / "model" / "config.cfg").read_text()
    assert "after_creation = null" in config
    callback = '[nlp.after_creation]\n@callbacks = "spacy_domain_ner.customize_tokenizer.v1"\n'
    (tmp_path / "model" / "config.cfg").write_text(config.replace("after_creation = null\n", "") + "\n" + callback)
    with pytest.raises(UserError, match="installs, but can't be loaded without the plugin"):
        try_package(make_wheel(tmp_path / "model", tmp_path / "packages"), sentences)


@pytest.mark.slow
def test_a_broken_wheel_is_named(wheel: Path, sentences: Path, tmp_path: Path) -> None:
    broken = tmp_path / wheel.name
    broken.write_bytes(b"not a zip archive")
    with pytest.raises(UserError, match=r"en_try_ner-.*whl can't be installed"):
        try_package(broken, sentences)
    with zipfile.ZipFile(wheel) as whole, zipfile.ZipFile(broken, "w") as part:
        for name in whole.namelist():
            if not name.endswith("config.cfg"):
                part.writestr(name, whole.read(name))
    with pytest.raises(UserError, match="installs, but can't be loaded"):
        try_package(broken, sentences)


@pytest.mark.slow
def test_the_command_fails_where_a_sentence_is_not_right(
    wheel: Path, tmp_path: Path, domain_ner: Callable[..., Outcome]
) -> None:
    sentences = tmp_path / "sentences.yml"
    sentences.write_text("- {text: Redis is slow, entities: {Redis: INFRA}}\n")
    done = domain_ner("try", wheel, sentences)
    assert (done.code, done.err) == (0, "")
    assert "gets the one sentence of " in done.out
    sentences.write_text("- {text: Redis is slow, entities: {Redis: TEAM, slow: INFRA}}\n- {text: Kafka}\n")
    done = domain_ner("try", wheel, sentences)
    assert done.code == 1
    lines = "found: Redis (INFRA)\n  'Redis' should be TEAM, is INFRA\n  'slow' should be INFRA, is not found"
    assert lines in done.out
    assert "1 of 2 sentences are not right." in done.err


@pytest.mark.slow
def test_the_command_says_that_there_is_no_sentence_to_get_right(
    wheel: Path, sentences: Path, domain_ner: Callable[..., Outcome]
) -> None:
    sentences.write_text("# none yet\n")
    done = domain_ner("try", wheel, sentences)
    assert (done.code, done.err) == (0, "")
    assert f"Nothing was tried: {sentences} has no sentences." in done.out
    assert "right." not in done.out


def test_the_command_names_a_folder_without_a_wheel(tmp_path: Path, domain_ner: Callable[..., Outcome]) -> None:
    done = domain_ner("try", tmp_path, tmp_path)
    assert (done.code, done.out) == (1, "")
    assert "There is no wheel in" in done.err
