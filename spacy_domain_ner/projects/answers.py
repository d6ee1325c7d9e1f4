"""The answers to the template's questions: what can't be used, and why. Needs nothing beyond Python itself."""

import keyword
import os
import re
from collections.abc import Iterator, Mapping
from typing import Any

QUESTIONS = ("domain", "title", "pack", "entity_types", "base_model", "language", "author", "license")
RESERVED_BY_WINDOWS = {"con", "prn", "aux", "nul", *(f"{port}{n}" for port in ("com", "lpt") for n in range(10))}
FREE_TEXT = ("title", "author", "license")
# The labels that entity_types.yml may have. A test holds it equal to schema.LABEL_PATTERN, which needs pydantic.
LABEL_PATTERN = re.compile(r"[A-Za-z][A-Za-z0-9_.-]*")


def find_problems(answers: Mapping[str, Any]) -> list[str]:
    """Find everything that is wrong with the answers.

    Args:
        answers: The answers, and what they are checked against: `_packs`, `_base_models` and `_languages` of
            cookiecutter.json.

    Returns:
        One sentence or two per problem, each starting with the question's name. Empty where all answers can be used.
    """
    problems = [
        *_domain_problems(answers["domain"]),
        *_pack_problems(answers["pack"], answers["_packs"]),
        *_base_model_problems(answers["base_model"], answers["_base_models"]),
        *_language_problems(answers["language"], answers["_languages"]),
    ]
    # The default of the entity types comes from the pack.
    if answers["pack"] in answers["_packs"]:
        problems += _entity_type_problems(answers["entity_types"])
    for question in FREE_TEXT:
        problems += _free_text_problems(question, answers[question])
    return problems


def split_entity_types(answer: str) -> list[str]:
    """Split the answer on entity types, separated by commas, into labels."""
    return [name.strip() for name in answer.split(",")]


def _domain_problems(domain: str) -> Iterator[str]:
    if not re.fullmatch(r"[a-z][a-z0-9]*([-_][a-z0-9]+)*", domain) or keyword.iskeyword(domain):
        yield (
            f"domain: {domain!r} can't be the name of a folder and a package. Use lower-case letters and digits, parts "
            "joined by - or _, starting with a letter, for instance: billing or site-search"
        )
    elif domain in RESERVED_BY_WINDOWS:
        yield f"domain: {domain!r} is the name of a device on Windows, where no folder can have it. Use another name."
    elif len(domain) > 60:
        yield f"domain: {len(domain)} characters are too long for the name of a package. Use at most 60."


def _pack_problems(pack: str, known: Mapping[str, object]) -> Iterator[str]:
    if pack not in known:
        yield f"pack: {pack!r} is not known. Choose one of: {', '.join(known)}"


def _base_model_problems(answer: str, known: Mapping[str, object]) -> Iterator[str]:
    # Any other model is looked up when the project is first run, since that needs transformers.
    is_on_hub, is_folder = re.fullmatch(r"[\w.-]+/[\w.-]+", answer, re.ASCII), os.path.isdir(answer)
    # A project runs in its own folder: a relative path would lead elsewhere from there.
    if answer not in known and not is_on_hub and not (is_folder and os.path.isabs(answer)):
        yield (
            f"base_model: {answer!r} is not known. Choose one of: {', '.join(known)}; or give a hub's owner/name, or "
            "the full path of a folder that exists"
        )
    elif {*answer} & {'"', "'", "\\", "$", "{", "}"} or answer.split() != [answer]:
        yield f"base_model: the path {answer!r} has blanks or quotes in it, which weasel can't pass on. Rename it."


def _language_problems(answer: str, known: list[str]) -> Iterator[str]:
    if answer not in known:
        yield (
            f"language: {answer!r} is not one of spaCy's languages with a rule-based tokenizer. Choose one of: "
            + ", ".join(known)
        )


def _entity_type_problems(answer: str) -> Iterator[str]:
    names = split_entity_types(answer)
    if not any(names):
        yield "entity_types: none given. Name at least one, for instance: PRODUCT, COMPONENT"
        return
    seen: dict[str, str] = {}
    for name in names:
        if not LABEL_PATTERN.fullmatch(name):
            yield (
                f"entity_types: {name!r} is not a label. Use letters, digits, '_', '-' and '.', starting with a "
                "letter; separate types by single commas, for instance: PRODUCT, COMPONENT"
            )
        elif name.lower() in seen:
            yield f"entity_types: {seen[name.lower()]!r} and {name!r} are the same type. Keep one of them."
        seen[name.lower()] = name


def _free_text_problems(question: str, text: str) -> Iterator[str]:
    if question == "title" and not text.strip():
        yield "title: it is empty. Give the project a name in your own words."
    if "$" + "{" in text:
        yield f"{question}: it has '$' before a brace, which weasel would replace by a variable. Write it otherwise."
    for character in sorted({c for c in text if (ord(c) < 32 and c not in "\n\t\r") or ord(c) == 127}):
        yield f"{question}: it has the control character {character!r}. Leave it out."
    if any(0xD800 <= ord(c) <= 0xDFFF for c in text):
        yield f"{question}: it is not valid Unicode text. Type it again."
