"""The entity types of a domain: reading and validating `entity_types.yml`, the single source of what is labelled."""

import re
from pathlib import Path

import srsly
from pydantic import BaseModel, ConfigDict, Field, ValidationError, field_validator, model_validator

from spacy_domain_ner.errors import UserError, reason

LABEL_PATTERN = re.compile(r"[A-Za-z][A-Za-z0-9_.-]*")


class _Strict(BaseModel):
    # A misspelt key would otherwise be lost without a word.
    model_config = ConfigDict(extra="forbid")


class Example(_Strict):
    """A sentence and the mention in it that the type covers."""

    text: str
    mention: str = Field(min_length=1)

    @model_validator(mode="after")
    def _mention_is_in_text(self) -> "Example":
        if self.mention not in self.text:
            raise ValueError(f"the mention {self.mention!r} does not occur in the example {self.text!r}")
        return self


class EdgeCase(_Strict):
    """A case that annotators would decide differently, and the decision."""

    case: str
    decision: str
    borders_on: str | None = None


class Boundary(_Strict):
    """A rule on where spans begin and end, whatever their type."""

    rule: str
    example: str = ""


class EntityType(_Strict):
    """One entity type: its name is the label in the annotations and in the model's output."""

    name: str
    definition: str = ""
    color: str | None = None
    examples: list[Example] = Field(default_factory=list)
    edge_cases: list[EdgeCase] = Field(default_factory=list)
    not_entities: list[str] = Field(default_factory=list)

    @field_validator("name")
    @classmethod
    def _name_is_a_label(cls, name: str) -> str:
        if not LABEL_PATTERN.fullmatch(name):
            raise ValueError(f"{name!r} is no label: start with a letter, then letters, digits, '_', '-' or '.' only")
        return name


class EntitySchema(_Strict):
    """The set of entity types of a domain."""

    entity_types: list[EntityType] = Field(min_length=1)
    boundaries: list[Boundary] = Field(default_factory=list)

    @model_validator(mode="after")
    def _names_are_unique_and_known(self) -> "EntitySchema":
        seen: dict[str, str] = {}
        for name in self.labels:
            # Labels that differ in case only are one type to a person and two to a model.
            if name.lower() in seen:
                raise ValueError(f"the entity types {seen[name.lower()]!r} and {name!r} have the same name")
            seen[name.lower()] = name
        for entity_type in self.entity_types:
            for case in entity_type.edge_cases:
                if case.borders_on is not None and case.borders_on not in self.labels:
                    raise ValueError(
                        f"an edge case of {entity_type.name!r} borders on {case.borders_on!r}, which is no entity type"
                    )
        return self

    @property
    def labels(self) -> list[str]:
        """The entity types' names, in the order of the file."""
        return [entity_type.name for entity_type in self.entity_types]


def read_schema(path: Path) -> EntitySchema:
    """Read and validate an `entity_types.yml`.

    path: The YAML file.
    RETURNS: The schema.
    RAISES: UserError naming every problem with its place in the file.
    """
    try:
        if not Path(path).is_file():
            raise UserError(f"There is no file {path}", "Name the file of the entity types with --schema.")
        data = srsly.read_yaml(path)
    except OSError as error:
        raise UserError(f"Can't read the entity types: {error}", "Name the file with --schema.") from None
    except UserError:
        raise
    except ValueError as error:
        # What follows a duplicate key is advice to programmers.
        problem = reason(error).removeprefix("Invalid YAML: ").partition(" To suppress this check")[0]
        raise UserError(f"{path} is no valid YAML: {problem}", "Mend the file at that line.") from None
    if not isinstance(data, dict):
        raise UserError(f"{path} holds no entity types", "It needs a key `entity_types` with a list of types.")
    try:
        return EntitySchema.model_validate(data)
    except ValidationError as error:
        problems = "\n".join(f"  {_place(problem['loc'], data)}: {_message(problem)}" for problem in error.errors())
        raise UserError(
            f"{path} is no valid set of entity types:\n{problems}",
            "Each type has a name, a definition, examples (text, mention), edge_cases (case, decision, "
            "borders_on) and not_entities.",
        ) from None


def _place(location: tuple[int | str, ...], data: dict) -> str:
    """`entity_types[2].examples[0]` reads better with the type's name in it."""
    place = ""
    value: object = data
    for step in location:
        place += f"[{step}]" if isinstance(step, int) else (f".{step}" if place else step)
        try:
            value = value[step]  # type: ignore[index]
        except (KeyError, IndexError, TypeError):
            value = None
        if isinstance(step, int) and isinstance(value, dict) and "name" in value:
            place += f" ({value['name']})"
    return place or "file"


def _message(problem: object) -> str:
    message = str(problem["msg"])  # type: ignore[index]
    return message.removeprefix("Value error, ")
