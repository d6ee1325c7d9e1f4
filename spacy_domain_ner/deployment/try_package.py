"""Trying a model's package as its users will: installed, and loaded without this plugin."""

import json
import os
import subprocess
import sys
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import srsly
from pydantic import BaseModel, ConfigDict, Field, TypeAdapter, ValidationError, model_validator

from spacy_domain_ner.deployment.wheel import find_wheel
from spacy_domain_ner.errors import UserError, problem_in_words
from spacy_domain_ner.files import replacing, scratch_folder

# This runs in a Python that sees the package, but can neither import the plugin nor see its entry points: whatever the
# model needs from the plugin is an error here.
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

    Attributes:
        text: The sentence.
        entities: The type of each surface form that must be found.
        not_entities: The surface forms that must not be found as an entity.
        only: Whether nothing else may be found.
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
    """What a model found in a sentence.

    Attributes:
        sentence: The sentence.
        found: Each entity's surface form and type.
        failures: What is wrong, in words; empty where all is right.
    """

    sentence: Sentence
    found: list[tuple[str, str]]
    failures: list[str]


def try_package(
    package: str | Path, sentences: str | Path = "tests", output: str | Path | None = None
) -> list[Outcome]:
    """Install a package in a scratch folder, load its model without the plugin, and run sentences through it.

    Args:
        package: A wheel, or the folder of a package that has one.
        sentences: A YAML file of sentences, or a folder of such files.
        output: A JSON file to write the outcomes to; None writes none.

    Returns:
        An outcome for each sentence.

    Raises:
        UserError: There is no wheel, the sentences can't be read, or the wheel can't be installed or loaded.
    """
    wheel = find_wheel(Path(package))
    wanted = read_sentences(Path(sentences))
    outcomes = [_judge(sentence, found) for sentence, found in zip(wanted, _find(wheel, wanted), strict=True)]
    if output is not None:
        rows = [{"text": one.sentence.text, "found": one.found, "failures": one.failures} for one in outcomes]
        with replacing(Path(output)) as stream:
            stream.write(srsly.json_dumps(rows, indent=2) + "\n")
    return outcomes


def read_sentences(path: Path) -> list[Sentence]:
    """Read a YAML file of sentences, or every such file in a folder.

    Args:
        path: The file or the folder.

    Returns:
        The sentences, those of a folder in the order of their files' names.

    Raises:
        UserError: The sentences can't be read; every problem is named.
    """
    files = sorted([*path.glob("*.yml"), *path.glob("*.yaml")]) if path.is_dir() else [path]
    if not files:
        raise UserError(f"The folder {path} has no sentences", "They are in YAML files, for instance sentences.yml.")
    sentences: list[Sentence] = []
    for file in files:
        try:
            sentences += TypeAdapter(list[Sentence]).validate_python(srsly.read_yaml(file) or [])
        except ValidationError as error:
            problems = "\n".join(
                f"  {_place(problem['loc'])}: {problem_in_words(problem, Sentence.model_fields)}"
                for problem in error.errors()
            )
            hint = (
                "Each sentence has a `text` and `entities` (form: TYPE), and may have `not_entities` and `only`. "
                "A type that YAML takes for something else, such as null, stands in quotes."
            )
            raise UserError(f"{file} is not a list of sentences:\n{problems}", hint) from None
        except (OSError, ValueError) as error:
            raise UserError(f"Can't read the sentences in {file}: {' '.join(str(error).split())}") from None
    return sentences


def _find(wheel: Path, sentences: Sequence[Sentence]) -> list[list[tuple[str, str]]]:
    """What the model of a wheel finds in sentences: surface forms and types."""
    language_name = wheel.name.split("-")[0]
    with scratch_folder() as scratch:
        site = str(scratch / "site")
        install = [sys.executable, "-m", "pip", "install", "--quiet", "--no-deps", "--target", site, str(wheel)]
        _run(install, f"The package {wheel} can't be installed", "", TMPDIR=str(scratch))
        texts = json.dumps([sentence.text for sentence in sentences])
        command = [sys.executable, "-c", _EXTRACT, site, language_name]
        output = _run(command, f"The package {wheel.name} installs, but can't be loaded without the plugin", texts)
    found: list[list[Any]] = json.loads(output.splitlines()[-1])
    return [[(form, label) for form, label in entities] for entities in found]


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


def _run(command: list[str], failure: str, stdin: str, **variables: str) -> str:
    # An output encoding of the user's shell must not break on what the model finds.
    environment = {**os.environ, "PYTHONIOENCODING": "utf8", "PYTHONUTF8": "1", **variables}
    done = subprocess.run(command, input=stdin, capture_output=True, encoding="utf8", env=environment, check=False)
    if done.returncode:
        last = "\n".join(done.stderr.strip().splitlines()[-3:])
        raise UserError(f"{failure}:\n{last}")
    return done.stdout


def _place(location: tuple[int | str, ...]) -> str:
    first, *rest = location or (0,)
    number = f"sentence {first + 1}" if isinstance(first, int) else str(first)
    return " ".join([number, *map(str, rest)])
