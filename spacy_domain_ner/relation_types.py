"""The relations of a domain: reading and validating `relation_types.yml`, which says what can hold between entities."""

import re
from collections.abc import Collection, Iterator
from difflib import get_close_matches
from pathlib import Path

from pydantic import Field, field_validator, model_validator

from spacy_domain_ner.errors import UserError
from spacy_domain_ner.schema import EntitySchema, Strict, name_as_text, read_yaml_as, same_name

# The newest form of the file that this version reads.
FORMAT_VERSION = 1
# As of an entity type; corpora have colons in it, too (org:founded_by).
NAME_PATTERN = re.compile(r"[A-Za-z][A-Za-z0-9_.:-]*")


class RelationExample(Strict):
    """A sentence that states the relation between two mentions.

    Attributes:
        text: The sentence.
        head: The mention that the relation starts from, exactly as the sentence has it.
        tail: The mention that it leads to.
    """

    text: str
    head: str = Field(min_length=1)
    tail: str = Field(min_length=1)

    @model_validator(mode="after")
    def _ends_are_in_text(self) -> "RelationExample":
        for name, mention in (("head", self.head), ("tail", self.tail)):
            if mention not in self.text:
                raise ValueError(f"the {name} {mention!r} does not occur in the example {self.text!r}")
        return self


class RelationType(Strict):
    """One type of relation.

    Attributes:
        name: Its name in the annotations and in the output.
        definition: What must be stated of two entities for it to hold.
        head: The entity types that it can start from.
        tail: The entity types that it can lead to.
        symmetric: Whether it holds both ways, so that head and tail may be exchanged.
        examples: Sentences that state it.
        counter_examples: What looks like this relation and is not one: a sentence in which two entities only occur
            together, with the reason.
    """

    name: str
    definition: str = ""
    head: list[str] = Field(min_length=1)
    tail: list[str] = Field(min_length=1)
    symmetric: bool = Field(default=False, strict=True)
    examples: list[RelationExample] = Field(default_factory=list)
    counter_examples: list[str] = Field(default_factory=list)

    @field_validator("name", mode="before")
    @classmethod
    def _name_is_text(cls, name: object) -> object:
        return name_as_text(name)

    @field_validator("name")
    @classmethod
    def _name_is_a_name(cls, name: str) -> str:
        if not NAME_PATTERN.fullmatch(name):
            raise ValueError(
                f"{name!r} can't be a name: start with a letter, then use letters, digits, '_', '-', '.' and ':'"
            )
        return name

    @field_validator("head", "tail", mode="before")
    @classmethod
    def _one_type_needs_no_list(cls, value: object) -> object:
        return [value] if isinstance(value, str) else value

    @model_validator(mode="after")
    def _symmetric_ends_are_alike(self) -> "RelationType":
        if self.symmetric and set(self.head) != set(self.tail):
            raise ValueError("it is symmetric, so `head` and `tail` must have the same entity types")
        return self

    def fits(self, head: str, tail: str) -> bool:
        """Whether the relation can lead from an entity type to another."""
        return head in self.head and tail in self.tail


class RelationTypes(Strict):
    """The set of relation types of a domain, as `relation_types.yml` has it.

    Attributes:
        format_version: The version of the file's form; 1 where the file does not say.
        relation_types: The types, in the order of the file.
    """

    format_version: int = Field(default=1, ge=1, strict=True)
    relation_types: list[RelationType] = Field(min_length=1)

    @model_validator(mode="after")
    def _names_are_unique(self) -> "RelationTypes":
        seen: dict[str, str] = {}
        for name in self.names:
            if name.lower() in seen:
                raise ValueError(f"the relation types {seen[name.lower()]!r} and {name!r} have the same name")
            seen[name.lower()] = name
        return self

    @property
    def names(self) -> list[str]:
        """The relation types' names, in the order of the file."""
        return [relation_type.name for relation_type in self.relation_types]

    @property
    def symmetric(self) -> frozenset[str]:
        """The names of those that hold both ways."""
        return frozenset(one.name for one in self.relation_types if one.symmetric)

    def named(self, name: str) -> RelationType | None:
        """Find a relation type by its name; None where there is none."""
        return next((one for one in self.relation_types if one.name == name), None)

    def meant(self, name: str) -> str | None:
        """Find the type that a name means: the same one, or the only one with the same letters and digits."""
        return same_name(name, self.names)

    def between(self, head: str, tail: str) -> list[RelationType]:
        """The relation types that can lead from an entity type to another."""
        return [one for one in self.relation_types if one.fits(head, tail)]

    def lacks(self) -> Iterator[str]:
        """Say what people and language models need and the file does not have yet, each in a sentence."""
        for one in self.relation_types:
            if not one.definition.strip():
                yield f"{one.name} has no definition: nobody can tell when it holds"
            if not one.counter_examples:
                yield f"{one.name} has no counter_examples: entities that only occur together are taken for related"


def read_relation_types(path: str | Path, schema: EntitySchema | None = None) -> RelationTypes:
    """Read and validate a `relation_types.yml`.

    Args:
        path: The YAML file.
        schema: The entity types, of which head and tail must be; None takes every name.

    Returns:
        The relation types.

    Raises:
        UserError: The file can't be read, or is not a set of relation types: every problem is named with its place.
    """
    types = read_yaml_as(
        RelationTypes,
        path,
        parts=(RelationType, RelationExample),
        parameter="relation_types",
        kind="relation types",
        version=FORMAT_VERSION,
        hint="Each type has a name, a definition, head and tail (entity types), symmetric (true or false), examples "
        "(text, head, tail) and counter_examples.",
    )
    problems = [] if schema is None else list(_unknown_ends(types, schema.labels))
    if problems:
        listed = "\n".join(f"  {problem}" for problem in problems)
        raise UserError(
            f"{path} has types that are not entity types:\n{listed}",
            f"The entity types are {', '.join(schema.labels if schema else ())}.",
        )
    return types


def relation_types_of(
    relation_types: RelationTypes | str | Path | None, schema: EntitySchema | None = None
) -> RelationTypes | None:
    """Return the relation types, read where a file is named.

    Args:
        relation_types: The relation types, the file that has them, or None for none.
        schema: The entity types, as for `read_relation_types`.
    """
    if relation_types is None or isinstance(relation_types, RelationTypes):
        return relation_types
    return read_relation_types(relation_types, schema)


def _unknown_ends(types: RelationTypes, labels: Collection[str]) -> Iterator[str]:
    for number, one in enumerate(types.relation_types):
        for end, names in (("head", one.head), ("tail", one.tail)):
            for name in names:
                if name not in labels:
                    lower = {label.lower(): label for label in labels}
                    near = get_close_matches(name.lower(), list(lower), n=1)
                    meant = f"; did you mean {lower[near[0]]!r}?" if near else ""
                    yield f"relation_types[{number}] ({one.name}).{end}: {name!r} is not an entity type{meant}"
