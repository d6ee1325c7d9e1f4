"""What an `entity_types.yml` lacks before people can label by it, and how to fix each gap."""

import re
from collections.abc import Iterator
from dataclasses import dataclass
from itertools import combinations

from spacy_domain_ner.schema import COLOR_PATTERN, EntitySchema, EntityType, Example, occurrences

FEWEST_EXAMPLES, MOST_EXAMPLES = 5, 10
FEWEST_EDGE_CASES = 5
FEWEST_WORDS_IN_DEFINITION = 8

# Nothing, dots only, or a note to write something later; a sentence about TODO comments is not a placeholder.
_PLACEHOLDER = re.compile(r"\W*|\W*(todo|tbd|tba|fixme|xxx)\b(\s*[:.,;–—-].*|(\W+\w+){0,3}\W*)", re.I | re.DOTALL)
_VAGUE = re.compile(r"\b(etc\b|and so (on|forth)|and the like|or similar|miscellaneous|anything (else|related))", re.I)


@dataclass(frozen=True)
class SchemaFinding:
    """One gap or fault of a schema.

    Attributes:
        kind: A short name for the kind, for programs.
        entity_type: The type that it is about; None for the schema as a whole.
        message: What is wrong and how to fix it.
    """

    kind: str
    entity_type: str | None
    message: str

    def __str__(self) -> str:
        return f"{self.entity_type}: {self.message}" if self.entity_type else self.message


def lint_schema(schema: EntitySchema) -> list[SchemaFinding]:
    """Find what is missing, vague or contradictory in a schema.

    Args:
        schema: The entity types.

    Returns:
        The findings, type by type in the order of the file, then those about the whole. Empty where people can label
        by the schema as it stands.
    """
    findings = []
    for entity_type in schema.entity_types:
        checks = [_definition(entity_type), _examples(entity_type), _not_entities(entity_type), _color(entity_type)]
        checks.append(_edge_cases(entity_type, [label for label in schema.labels if label != entity_type.name]))
        findings += [SchemaFinding(kind, entity_type.name, message) for check in checks for kind, message in check]
    for check in (_boundaries(schema), _contested_forms(schema), _same_colors(schema)):
        findings += [SchemaFinding(kind, None, message) for kind, message in check]
    return findings


def _definition(entity_type: EntityType) -> Iterator[tuple[str, str]]:
    name, definition = entity_type.name, entity_type.definition
    how = (
        f"Say in `definition`, in two or three sentences, what counts as {name} and what sets it apart from the "
        "other types."
    )
    if _is_placeholder(definition):
        yield "no definition", f"it has no definition yet. {how}"
        return
    words = len(re.findall(r"\w+", definition))
    if words < FEWEST_WORDS_IN_DEFINITION:
        yield "vague definition", f"its definition has only {words} word(s): {definition!r}. {how}"
    vague = _VAGUE.search(definition)
    if vague:
        yield (
            "vague definition",
            f"its definition says {vague[0]!r}, which two people will fill in differently. Name what is meant instead.",
        )


def _examples(entity_type: EntityType) -> Iterator[tuple[str, str]]:
    name, examples = entity_type.name, entity_type.examples
    if len(examples) < FEWEST_EXAMPLES:
        missing = FEWEST_EXAMPLES - len(examples)
        yield (
            "too few examples",
            f"it has {len(examples)} example(s), and {FEWEST_EXAMPLES} to {MOST_EXAMPLES} are needed. Add {missing} or "
            "more to `examples`, from text like yours: "
            f'{{text: "a sentence with a {name} in it", mention: "the {name}"}}.',
        )
    if len(examples) > MOST_EXAMPLES:
        yield (
            "too many examples",
            f"it has {len(examples)} examples; nobody reads more than {MOST_EXAMPLES}. Keep those that differ most.",
        )
    seen: set[tuple[str, str]] = set()
    for example in examples:
        key = (" ".join(example.text.casefold().split()), example.mention.casefold())
        if key in seen:
            yield "duplicate example", f"it has the example {example.text!r} twice. Replace one by another sentence."
        seen.add(key)
        yield from _mention(example)


def _mention(example: Example) -> Iterator[tuple[str, str]]:
    mention, text = example.mention, example.text
    if mention != mention.strip():
        yield (
            "mention with white space",
            f"the mention {mention!r} begins or ends with white space. A span never does: remove it.",
        )
    if not example.starts:
        yield (
            "mention within a word",
            f"the mention {mention!r} is only a part of a longer word in {text!r}. Give the whole name, or another "
            "sentence.",
        )
    elif len(example.starts) > 1:
        yield (
            "ambiguous mention",
            f"the mention {mention!r} occurs {len(example.starts)} times in {text!r}, so it is unclear which one is "
            "meant. Change the sentence so that it occurs once.",
        )


def _edge_cases(entity_type: EntityType, others: list[str]) -> Iterator[tuple[str, str]]:
    name, cases = entity_type.name, entity_type.edge_cases
    if len(cases) < FEWEST_EDGE_CASES:
        yield (
            "too few edge cases",
            f"it has {len(cases)} edge case(s), and {FEWEST_EDGE_CASES} or more are needed. Add "
            f"{FEWEST_EDGE_CASES - len(cases)} or more to `edge_cases`: passages over which two people would "
            "disagree, with a decision each: "
            '{case: "...", decision: "...", borders_on: another type or null}.',
        )
    for number, case in enumerate(cases, 1):
        if _is_placeholder(case.case):
            yield "empty edge case", f"edge case {number} describes no case. Quote the passage that is hard to decide."
        if _is_placeholder(case.decision):
            yield (
                "undecided edge case",
                f"the edge case {case.case!r} has no decision. Settle it, and write in `decision` what is marked "
                "(between backticks), as which type, and why.",
            )
    borders = [case.borders_on for case in cases if case.borders_on not in (None, name)]
    if cases and others and not borders:
        yield (
            "no bordering type",
            f"none of its edge cases says which type it borders on. Give `borders_on` ({', '.join(others)}) where "
            f"{name} is confused with another: the guide's table of confused types is made from it.",
        )


def _not_entities(entity_type: EntityType) -> Iterator[tuple[str, str]]:
    if all(_is_placeholder(line) for line in entity_type.not_entities):
        yield (
            "no not_entities",
            f"nothing says what looks like {entity_type.name} and is not. List it in `not_entities`: kinds of things "
            "without a name, values, people, whatever annotators mark by mistake.",
        )


def _color(entity_type: EntityType) -> Iterator[tuple[str, str]]:
    color = entity_type.color
    if color is not None and not COLOR_PATTERN.fullmatch(color):
        yield (
            "bad color",
            f'its color is {color!r}, which is not a color. Write it as "#RRGGBB", in quotes, or leave it out to get '
            "one of a palette.",
        )


def _boundaries(schema: EntitySchema) -> Iterator[tuple[str, str]]:
    if all(_is_placeholder(boundary.rule) for boundary in schema.boundaries):
        yield (
            "no boundary rules",
            "there are no rules on where a span begins and ends. Add some to `boundaries`, for example on articles, "
            'versions, quotation marks and "A and B": {rule: "...", example: "..."}.',
        )


def _contested_forms(schema: EntitySchema) -> Iterator[tuple[str, str]]:
    """Forms that the examples of two types claim, and that no edge case of either type quotes."""
    for one, other in combinations(schema.entity_types, 2):
        forms = {example.mention.casefold(): example.mention for example in one.examples}
        for form in dict.fromkeys(example.mention.casefold() for example in other.examples):
            if form not in forms or _is_discussed(form, one) or _is_discussed(form, other):
                continue
            yield (
                "contested form",
                f"{one.name} and {other.name} both claim {forms[form]!r} in their examples. Take another example, or "
                f"add an edge case to {one.name} that quotes {forms[form]!r}, says when it is which type, and borders "
                f"on {other.name}.",
            )


def _is_discussed(form: str, entity_type: EntityType) -> bool:
    texts = [text for case in entity_type.edge_cases for text in (case.case, case.decision)]
    return any(occurrences(form, text.casefold()) for text in texts)


def _same_colors(schema: EntitySchema) -> Iterator[tuple[str, str]]:
    owners: dict[str, str] = {}
    for entity_type in schema.entity_types:
        color = (entity_type.color or "").upper()
        if COLOR_PATTERN.fullmatch(color) and color in owners:
            yield (
                "same color",
                f"{owners[color]} and {entity_type.name} have the same color {color}. Change one, or leave it out to "
                "get one of a palette.",
            )
        owners.setdefault(color, entity_type.name)


def _is_placeholder(text: str) -> bool:
    return _PLACEHOLDER.fullmatch(text) is not None
