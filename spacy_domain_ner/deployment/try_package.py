"""Trying a model's package as its users will: installed, and loaded without this plugin."""

import json
import os
import subprocess
import sys
import tempfile
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import srsly
from pydantic import BaseModel, ConfigDict, Field, TypeAdapter, ValidationError, model_validator

from spacy_domain_ner.errors import UserError

# Runs in a Python that sees the package, and in which the plugin can't be imported and its entry points can't be seen:
# what the model needs of it would come to light as an error here.
_EXTRACT = """
import importlib.metadata, json, sys
sys.modules["spacy_domain_ner"] = None
installed = importlib.metadata.distributions
importlib.metadata.distributions = lambda **key: (d for d in installed(**key) if d.name != "spacy-domain-ner")
sys.path.insert(0, sys.argv[1])
import spacy
nlp = spacy.load(sys.argv[2])
docs = nlp.pipe(json.loads(sys.stdin.read()))
print(json.dumps([[[ent.text, ent.label_] for ent in doc.ents] for doc in docs]))
"""


class Sentence(BaseModel):
    """A sentence and what the model must find in it, or must not.

    entities: Surface form to type; each must be found.
    only: Whether nothing else may be found.
    not_entities: Surface forms that must not be found as an entity.
    """

    model_config = ConfigDict(extra="forbid")

    text: str
    entities: dict[str, str] = Field(default_factory=dict)
    not_entities: list[str] = Field(default_factory=list)
    only: bool = False

    @model_validator(mode="after")
    def _forms_are_in_text(self) -> "Sentence":
        for form in [*self.entities, *self.not_entities]:
            if form not in self.text:
                raise ValueError(f"{form!r} does not occur in {self.text!r}")
        return self


@dataclass
class Outcome:
    """What a model found in a sentence. failures: what was wrong, in words; empty where all is right."""

    sentence: Sentence
    found: list[tuple[str, str]]
    failures: list[str]


def read_sentences(path: Path) -> list[Sentence]:
    """Read a YAML file of sentences, or every such file in a folder.

    RAISES: UserError naming the problems.
    """
    files = sorted([*path.glob("*.yml"), *path.glob("*.yaml")]) if path.is_dir() else [path]
    if not files:
        raise UserError(
            f"The folder {path} holds no sentences", "They stand in YAML files, for instance sentences.yml."
        )
    sentences: list[Sentence] = []
    for file in files:
        try:
            sentences += TypeAdapter(list[Sentence]).validate_python(srsly.read_yaml(file) or [])
        except ValidationError as error:
            problems = "\n".join(f"  {_place(problem['loc'])}: {problem['msg']}" for problem in error.errors())
            hint = "Each sentence has a `text` and `entities` (form: TYPE), and may have `not_entities` and `only`."
            raise UserError(f"{file} is no list of sentences:\n{problems}", hint) from None
        except (OSError, ValueError) as error:
            raise UserError(f"Can't read the sentences in {file}: {' '.join(str(error).split())}") from None
    return sentences


def try_package(wheel: Path, sentences: list[Sentence]) -> list[Outcome]:
    """Install a wheel into a scratch folder, load it without the plugin and run sentences through it.

    RETURNS: An outcome for each sentence.
    RAISES: UserError where the wheel can't be installed or loaded.
    """
    language_name = wheel.name.split("-")[0]
    with tempfile.TemporaryDirectory() as site:
        install = [sys.executable, "-m", "pip", "install", "--quiet", "--no-deps", "--target", site, str(wheel)]
        _run(install, f"The package {wheel} can't be installed", "")
        texts = json.dumps([sentence.text for sentence in sentences])
        command = [sys.executable, "-c", _EXTRACT, site, language_name]
        output = _run(command, f"The package {wheel.name} installs, but can't be loaded without the plugin", texts)
    found: list[list[Any]] = json.loads(output.splitlines()[-1])
    return [
        _judge(sentence, [(form, label) for form, label in entities])
        for sentence, entities in zip(sentences, found, strict=True)
    ]


def _judge(sentence: Sentence, found: list[tuple[str, str]]) -> Outcome:
    failures = []
    types = dict(found)
    for form, label in sentence.entities.items():
        if (form, label) not in found:
            failures.append(f"{form!r} should be {label}, is {types.get(form, 'not found')}")
    failures += [f"{form!r} should be nothing, is {types[form]}" for form in sentence.not_entities if form in types]
    if sentence.only:
        for form, label in found:
            wanted = sentence.entities.get(form)
            if wanted is None and form not in sentence.not_entities:
                failures.append(f"{form!r} should be nothing, is {label}")
            elif wanted is not None and label != wanted and (form, wanted) in found:
                failures.append(f"{form!r} should be nothing else than {wanted}, is {label}")
    return Outcome(sentence, found, failures)


def _run(command: list[str], failure: str, stdin: str) -> str:
    # An output encoding of the user's shell must not break on what the model finds.
    environment = {**os.environ, "PYTHONIOENCODING": "utf8", "PYTHONUTF8": "1"}
    done = subprocess.run(command, input=stdin, capture_output=True, encoding="utf8", env=environment, check=False)
    if done.returncode:
        last = "\n".join(done.stderr.strip().splitlines()[-3:])
        raise UserError(f"{failure}:\n{last}")
    return done.stdout


def _place(location: tuple[int | str, ...]) -> str:
    first, *rest = location or (0,)
    number = f"sentence {first + 1}" if isinstance(first, int) else str(first)
    return " ".join([number, *map(str, rest)])
