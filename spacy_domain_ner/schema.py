"""The entity types of a domain: reading and validating `entity_types.yml`, the single source of what is labelled."""

import itertools
import json
import re
from collections.abc import Collection, Iterable, Mapping
from datetime import date
from pathlib import Path
from typing import TypeVar

import srsly
from pydantic import BaseModel, ConfigDict, Field, ValidationError, field_validator, model_validator

from spacy_domain_ner.errors import UserError, problem_in_words, reason
from spacy_domain_ner.files import refuse_newer_format

# The newest form of the file that this version reads.
FORMAT_VERSION = 1
LABEL_PATTERN = re.compile(r"[A-Za-z][A-Za-z0-9_.-]*")
COLOR_PATTERN = re.compile(r"#[0-9A-Fa-f]{6}")
# Paul Tol's light scheme: people who see red and green alike can tell the colours apart, and all are light enough for
# black text.
PALETTE = ("#77AADD", "#EE8866", "#44BB99", "#EEDD88", "#FFAABB", "#AAAA00", "#99DDFF", "#BBCC33", "#DDDDDD")
# Letters under the left hand first, without those that a labelling tool keeps for itself: a, f, h and x in Prodigy,
# u in Label Studio.
HOTKEYS = "123456789" + "qwertsdgzcvbyiopjklnm"
Model = TypeVar("Model", bound=BaseModel)
# What a page, an XML file or a terminal can't show: control characters and halves of surrogate pairs.
_UNPRINTABLE = re.compile(r"[\x00-\x08\x0b\x0c\x0e-\x1f\x7f-\x84\x86-\x9f\ud800-\udfff\ufffe\uffff]")


class Strict(BaseModel):
    """What a file has, without keys that are not known and characters that can't be shown."""

    # A misspelt key would otherwise be lost without a word.
    model_config = ConfigDict(extra="forbid")

    @field_validator("*")
    @classmethod
    def _text_can_be_shown(cls, value: object) -> object:
        for text in value if isinstance(value, list) else [value]:
            found = _UNPRINTABLE.search(text) if isinstance(text, str) else None
            if found:
                raise ValueError(f"it has the character {found[0]!r}, which can't be shown")
        return value


class Example(Strict):
    """A sentence and the mention in it that the type covers.

    Attributes:
        text: The sentence.
        mention: The name, exactly as the sentence has it.
    """

    text: str
    mention: str = Field(min_length=1)

    @model_validator(mode="after")
    def _mention_is_in_text(self) -> "Example":
        if self.mention not in self.text:
            raise ValueError(f"the mention {self.mention!r} does not occur in the example {self.text!r}")
        return self

    @property
    def starts(self) -> list[int]:
        """Where the mention stands in the text as a word or words of its own: offsets in code points.

        Empty where it only occurs as part of a longer word.
        """
        return occurrences(self.mention, self.text)

    @property
    def start(self) -> int:
        """Where the mention that is meant begins: the first that stands as a word of its own, or else the first."""
        return self.starts[0] if self.starts else self.text.index(self.mention)


class EdgeCase(Strict):
    """A case that annotators would decide differently, and the decision.

    Attributes:
        case: The case, best with the words of a passage in quotation marks.
        decision: What is marked, as which type, and why. Backticks show where a span begins and ends.
        borders_on: The type that this one is confused with; None where there is none.
    """

    case: str
    decision: str
    borders_on: str | None = None


class Boundary(Strict):
    """A rule on where spans begin and end, whatever their type.

    Attributes:
        rule: The rule.
        example: A text in which backticks show where spans begin and end; may be empty.
    """

    rule: str
    example: str = ""


class EntityType(Strict):
    """One entity type.

    Attributes:
        name: The label in the annotations and in the model's output.
        definition: What counts as this type, and what sets it off from the others.
        color: Its colour as '#RRGGBB'; None takes one of a palette.
        examples: Sentences with a mention; 5 to 10 are enough.
        edge_cases: The cases that annotators would decide differently, each with the decision.
        not_entities: What looks like this type and is not one.
    """

    name: str
    definition: str = ""
    color: str | None = None
    examples: list[Example] = Field(default_factory=list)
    edge_cases: list[EdgeCase] = Field(default_factory=list)
    not_entities: list[str] = Field(default_factory=list)

    @field_validator("name", mode="before")
    @classmethod
    def _name_is_text(cls, name: object) -> object:
        return name_as_text(name)

    @field_validator("name")
    @classmethod
    def _name_is_a_label(cls, name: str) -> str:
        if not LABEL_PATTERN.fullmatch(name):
            raise ValueError(
                f"{name!r} is not a label: start with a letter, then use letters, digits, '_', '-' and '.'"
            )
        return name


class EntitySchema(Strict):
    """The set of entity types of a domain, as `entity_types.yml` has it.

    Attributes:
        format_version: The version of the file's form; 1 where the file does not say.
        entity_types: The types, in the order of the file.
        boundaries: The rules on where spans begin and end.
    """

    format_version: int = Field(default=1, ge=1, strict=True)
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
                        f"an edge case of {entity_type.name!r} borders on {case.borders_on!r}, "
                        "which is not an entity type"
                    )
        return self

    @property
    def labels(self) -> list[str]:
        """The entity types' names, in the order of the file."""
        return [entity_type.name for entity_type in self.entity_types]

    def type_of(self, label: str) -> str | None:
        """Find the entity type that a label means.

        Args:
            label: A label, for instance of a labelling tool.

        Returns:
            The type of that name; else the only one whose name has the same letters and digits, whatever their case
            (`Container ID` is CONTAINER_ID); else None.
        """
        return same_name(label, self.labels)

    @property
    def colors(self) -> dict[str, str]:
        """A colour as '#RRGGBB' for each label: its own, or one of the palette. A value that is not a colour is
        ignored."""
        return assign_colors(self.labels, {entity_type.name: entity_type.color for entity_type in self.entity_types})

    @property
    def hotkeys(self) -> dict[str, str]:
        """A key for each of the first 30 labels, in the order of the file: digits from 1, then letters."""
        return dict(zip(self.labels, HOTKEYS, strict=False))


def name_as_text(name: object) -> object:
    """Refuse a name that YAML takes for something else than text: a type may well be called null.

    Raises:
        ValueError: It is one.
    """
    if name is None or isinstance(name, (bool, int, float, date)):
        raise ValueError(f"YAML reads the name as {json.dumps(name, default=str)}: put it in quotes, or give one")
    return name


def same_name(label: str, names: Collection[str]) -> str | None:
    """Find the name that a label means.

    Args:
        label: A label.
        names: The names that there are.

    Returns:
        The same name; else the only one with the same letters and digits, whatever their case; else None.
    """
    if label in names:
        return label
    alike = [name for name in names if _folded(name) == _folded(label)]
    return alike[0] if len(alike) == 1 else None


def _folded(label: str) -> str:
    return "".join(character for character in label if character.isalnum()).casefold()


def read_schema(path: str | Path) -> EntitySchema:
    """Read and validate an `entity_types.yml`.

    Args:
        path: The YAML file.

    Returns:
        The schema.

    Raises:
        UserError: The file can't be read, or is not a set of entity types: every problem is named with its place.
    """
    return read_yaml_as(
        EntitySchema,
        path,
        parts=(EntityType, Example, EdgeCase, Boundary),
        parameter="schema",
        kind="entity types",
        version=FORMAT_VERSION,
        hint="Each type has a name, a definition, examples (text, mention), edge_cases (case, decision, "
        "borders_on) and not_entities.",
    )


def read_yaml_as(
    model: type[Model],
    path: str | Path,
    *,
    parts: Iterable[type[BaseModel]],
    parameter: str,
    kind: str,
    version: int,
    hint: str,
) -> Model:
    """Read a YAML file of types, and say of each problem where it is.

    Args:
        model: What the file holds.
        path: The file.
        parts: The models of what is in it, whose keys are suggested for misspelt ones.
        parameter: The parameter that names the file, for the hints.
        kind: What the file has, in words and as its key with an underscore: "entity types".
        version: The newest `format_version` that this version of the package reads.
        hint: What the file needs.

    Returns:
        The content.

    Raises:
        UserError: The file can't be read, or is not what it should be: every problem is named with its place.
    """
    key = kind.replace(" ", "_")
    try:
        if not Path(path).is_file():
            raise UserError(f"There is no file {path}", f"Name the file of the {kind} with `{parameter}`.")
        data = srsly.read_yaml(path)
    except OSError as error:
        raise UserError(
            f"Can't read {path}: {error.strerror}", f"Name the file of the {kind} with `{parameter}`."
        ) from None
    except UserError:
        raise
    except ValueError as error:
        # What follows a duplicate key is advice to programmers.
        problem = reason(error).removeprefix("Invalid YAML: ").partition(" To suppress this check")[0]
        raise UserError(f"{path} is not valid YAML: {problem}", "Fix the file at that line.") from None
    if not isinstance(data, dict):
        raise UserError(f"{path} holds no {kind}", f"It needs a key `{key}` with a list of types.")
    # First: a newer form may have keys that this version does not know.
    refuse_newer_format(path, data.get("format_version"), version)
    try:
        return model.model_validate(data)
    except ValidationError as error:
        models: list[type[BaseModel]] = [model, *parts]
        keys = [name for one in models for name in one.model_fields]
        problems = "\n".join(
            f"  {_place(problem['loc'], data)}: {problem_in_words(problem, keys)}" for problem in error.errors()
        )
        raise UserError(f"{path} is not a valid set of {kind}:\n{problems}", hint) from None


def assign_colors(labels: Iterable[str], given: Mapping[str, str | None]) -> dict[str, str]:
    """Choose a colour for each label.

    Args:
        labels: The labels to colour.
        given: The colours that labels have, whether they are among `labels` or not. A value that is not a colour
            counts as not given.

    Returns:
        A colour as '#RRGGBB' for each of `labels`: its own, or one of the palette that is not given to any label. The
        palette starts over when it is used up.
    """
    own = {label: color.upper() for label, color in given.items() if color and COLOR_PATTERN.fullmatch(color)}
    free = [color for color in PALETTE if color not in own.values()]
    defaults = itertools.chain(free, itertools.cycle(PALETTE))
    return {label: own[label] if label in own else next(defaults) for label in labels}


def text_color_on(color: str) -> str:
    """Choose black or white, whichever is easier to read on a background.

    Args:
        color: The background, as '#RRGGBB'.

    Returns:
        '#000000' or '#FFFFFF'; the contrast is at least 4.5, as the WCAG ask for.
    """
    channels = [int(color[place : place + 2], 16) / 255 for place in (1, 3, 5)]
    red, green, blue = (c / 12.92 if c <= 0.04045 else ((c + 0.055) / 1.055) ** 2.4 for c in channels)
    luminance = 0.2126 * red + 0.7152 * green + 0.0722 * blue
    return "#000000" if (luminance + 0.05) / 0.05 >= 1.05 / (luminance + 0.05) else "#FFFFFF"


def occurrences(surface: str, text: str) -> list[int]:
    """Find where a surface form stands in a text and is not part of a longer word.

    Args:
        surface: The surface form.
        text: The text.

    Returns:
        Offsets in code points.
    """
    # A form that begins or ends with a sign, such as `--max-retries` or `@dora`, needs no boundary there.
    before = r"(?<!\w)" if re.match(r"\w", surface) else ""
    after = r"(?!\w)" if re.match(r"\w", surface[-1:]) else ""
    return [found.start() for found in re.finditer(f"(?={before}{re.escape(surface)}{after})", text)]


def _place(location: tuple[int | str, ...], data: dict) -> str:
    """A place in the file, such as `entity_types[2] (TEAM).examples[0]`: the type's name makes it easy to find."""
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
