"""Which types a large language model finds in the model's place: `llm/decision.json`, and what comes of both."""

import hashlib
import json
import os
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Literal

from pydantic import BaseModel, ConfigDict, Field, ValidationError, model_validator

from spacy_domain_ner.corpus.jsonl import read_valid_passages
from spacy_domain_ner.corpus.passage import Span
from spacy_domain_ner.errors import UserError, problem_in_words, reason
from spacy_domain_ner.files import refuse_newer_format, replacing
from spacy_domain_ner.llm.entities import Found
from spacy_domain_ner.llm.prompt import EntityPrompts
from spacy_domain_ner.llm.settings import LLMSettings, read_settings
from spacy_domain_ner.schema import read_schema

FORMAT_VERSION = 1
Source = Literal["model", "llm"]


class TypeDecision(BaseModel):
    """What was decided for a type.

    Attributes:
        source: Who finds it.
        confidence: The LLM's precision on the early-stopping set (with one right and one wrong entity added): the
            confidence of each entity that it finds.
        threshold: A passage is sent from this many expected entities of the type on; None sends all passages.
        is_confirmed: Whether the evaluation set confirms the choice; None where nothing was chosen.
    """

    model_config = ConfigDict(extra="ignore")

    source: Source
    confidence: float = Field(ge=0, le=1)
    threshold: float | None = Field(default=None, ge=0)
    is_confirmed: bool | None = None


class Decision(BaseModel):
    """What `llm evaluate` has decided, and what that rests on.

    Attributes:
        format_version: The version of the file's form.
        settings: The path of llm.yml, from the folder of the decision.
        entity_types: The path of entity_types.yml, likewise.
        train: The path of the training set, likewise: examples come from there.
        asked: The types that are asked for in each prompt, whoever finds them in the end.
        prompt: What identifies the task: a guide that has changed has another one.
        llm: The name of the LLM.
        model: The name, version and digest of the model.
        types: The decision for each type that was asked for.
        figures: The scores that it rests on.
    """

    model_config = ConfigDict(extra="ignore", protected_namespaces=())

    format_version: int = FORMAT_VERSION
    settings: str
    entity_types: str
    train: str
    asked: list[str]
    prompt: str
    llm: str
    model: dict[str, str]
    types: dict[str, TypeDecision]
    figures: dict[str, Any] = Field(default_factory=dict)

    @model_validator(mode="after")
    def _decides_what_is_asked(self) -> "Decision":
        if unknown := self.types.keys() - set(self.asked):
            raise ValueError(f"it decides of {min(unknown)}, which is not among the types that are asked for")
        return self

    @property
    def from_llm(self) -> dict[str, TypeDecision]:
        """The types that the LLM finds."""
        return {label: decided for label, decided in self.types.items() if decided.source == "llm"}

    def is_sent(self, expected: Mapping[str, float] | None) -> bool:
        """Whether a passage is sent.

        Args:
            expected: How many entities of each type the model expects in it; None where the model can't say.
        """
        return any(
            decided.threshold is None or expected is None or expected.get(label, 0.0) >= decided.threshold
            for label, decided in self.from_llm.items()
        )


@dataclass(frozen=True)
class Sourced:
    """An entity, and who has found it.

    Attributes:
        span: Where it is, and its type.
        confidence: How probable it is that both are right; None where the model does not say.
        source: Who has found it.
    """

    span: Span
    confidence: float | None
    source: Source


def combine(model: Iterable[tuple[Span, float | None]], found: Found | None, decision: Decision) -> list[Sourced]:
    """Make one list of what the model and the LLM have found in a passage.

    Args:
        model: The model's spans with their confidence.
        found: What the LLM has found; None where it was not asked.
        decision: Who finds what.

    Returns:
        The entities, in the order of the text. Types that were decided for the LLM come from it, but for the parts of
        the passage that it has not answered. Where two overlap the surer one stays, and an entity of a model that has
        no confidence.
    """
    decided = decision.from_llm
    if found is None:
        return sorted((Sourced(span, confidence, "model") for span, confidence in model), key=lambda one: one.span)

    def is_answered(span: Span) -> bool:
        return not any(failed.start < span.end and span.start < failed.end for failed in found.failed)

    both = [
        Sourced(span, confidence, "model")
        for span, confidence in model
        if span.label not in decided or not is_answered(span)
    ]
    both += [Sourced(span, decided[span.label].confidence, "llm") for span in found.spans if span.label in decided]
    kept: list[Sourced] = []
    for one in sorted(both, key=_rank):
        if not any(one.span.start < other.span.end and other.span.start < one.span.end for other in kept):
            kept.append(one)
    return sorted(kept, key=lambda one: one.span)


def _rank(one: Sourced) -> tuple[float, int, Span]:
    return -(1.0 if one.confidence is None else one.confidence), one.span.start - one.span.end, one.span


def write_decision(path: Path, decision: Decision) -> None:
    """Write a decision.

    Args:
        path: The file.
        decision: The decision.
    """
    with replacing(path) as stream:
        stream.write(json.dumps(decision.model_dump(), indent=2, ensure_ascii=False) + "\n")


def read_decision(path: str | Path) -> Decision:
    """Read a decision.

    Args:
        path: The file.

    Raises:
        UserError: It can't be read, or is not one.
    """
    hint = "`domain-ner llm evaluate` writes it."
    try:
        data = json.loads(Path(path).read_text(encoding="utf8"))
    except OSError as error:
        raise UserError(f"Can't read {path}: {error.strerror}", hint) from None
    except (ValueError, RecursionError) as error:
        raise UserError(f"{path} is not JSON: {reason(error)}", hint) from None
    if isinstance(data, dict):
        refuse_newer_format(path, data.get("format_version"), FORMAT_VERSION)
    try:
        return Decision.model_validate(data)
    except ValidationError as error:
        first = error.errors()[0]
        place = ".".join(map(str, first["loc"])) or "the file"
        raise UserError(f"{path} is not a decision: {place}: {problem_in_words(first, ())}", hint) from None


def relative(path: str | Path, folder: Path) -> str:
    """A path as a file in a folder names it, so that both can be moved together.

    Args:
        path: The path.
        folder: The folder.
    """
    return Path(os.path.relpath(Path(path).resolve(), folder.resolve())).as_posix()


def prompt_digest(prompts: EntityPrompts) -> str:
    """What identifies the task of a prompt.

    Args:
        prompts: The prompts.
    """
    return hashlib.blake2b(prompts.system.encode("utf8", "replace"), digest_size=8).hexdigest()


@dataclass(frozen=True)
class Parts:
    """What a decision names.

    Attributes:
        decision: The decision.
        settings: The settings of the LLM.
        folder: The folder of the ledger.
        prompts: The prompts.
        notes: What has changed since it was made, a sentence each.
    """

    decision: Decision
    settings: LLMSettings
    folder: Path
    prompts: EntityPrompts
    notes: Sequence[str]


def read_parts(path: str | Path, model: Mapping[str, str]) -> Parts:
    """Read a decision and the files that it names.

    Args:
        path: The decision's file.
        model: The identity of the model that is at work.

    Returns:
        The parts.

    Raises:
        UserError: One of the files can't be read, or is not valid.
    """
    decision = read_decision(path)
    beside = Path(path).resolve().parent
    where, types, train = (
        Path(os.path.normpath(beside / name)) for name in (decision.settings, decision.entity_types, decision.train)
    )
    settings = read_settings(where)
    schema = read_schema(types)
    training = read_valid_passages(train)
    if unknown := [label for label in decision.asked if label not in schema.labels]:
        raise UserError(
            f"{types} does not have the type {unknown[0]}, which {path} asks for",
            "The types have changed since: run `domain-ner llm evaluate` again.",
        )
    prompts = EntityPrompts(schema, training, labels=decision.asked, examples=settings.examples, guide=settings.guide)
    changed = {
        "the guide": prompt_digest(prompts) != decision.prompt,
        "the LLM": settings.model != decision.llm,
        "the model": model.get("digest") != decision.model.get("digest"),
    }
    again = "what was measured may no longer hold. Run `domain-ner llm evaluate` again."
    notes = [
        f"{what[0].upper()}{what[1:]} has changed since {path} was made: {again}" for what in changed if changed[what]
    ]
    return Parts(decision, settings, where.parent / "llm", prompts, notes)
