"""The answers to the template's questions: what can't be used, why, and what may have been meant.

Needs nothing beyond Python itself.
"""

import keyword
import os
import re
import unicodedata
from collections.abc import Iterable, Iterator, Mapping, Sequence
from difflib import get_close_matches
from typing import Any

QUESTIONS = ("domain", "title", "pack", "entity_types", "base_model", "language", "words", "author", "license")
# The groups of the tokenizer's rules: not asked for, since the pack knows them.
RULES = "__rules"
RESERVED_BY_WINDOWS = {"con", "prn", "aux", "nul", *(f"{port}{n}" for port in ("com", "lpt") for n in range(10))}
FREE_TEXT = ("title", "author", "license")
# The questions that have choices, and where cookiecutter.json has those.
_CHOICES = {"pack": "_packs", "base_model": "_base_models", "language": "_languages", "words": "_words"}
# The labels that entity_types.yml may have. A test holds it equal to schema.LABEL_PATTERN, which needs pydantic.
LABEL_PATTERN = re.compile(r"[A-Za-z][A-Za-z0-9_.-]*")


def find_problems(answers: Mapping[str, Any]) -> list[str]:
    """Find everything that is wrong with the answers.

    Args:
        answers: The answers, and what they are checked against: `_base_models`, `_languages`, `_words` and `_rules` of
            cookiecutter.json, and the names of the packs as `_packs`.

    Returns:
        One sentence or two per problem, each starting with the question's name. Empty where all answers can be used.
    """
    asked = [problem for question in QUESTIONS for problem in problems_of(question, answers)]
    return asked + list(_rules_problems(answers.get(RULES, ""), answers.get("_rules", [])))


def problems_of(question: str, answers: Mapping[str, Any]) -> Iterator[str]:
    """Find what is wrong with the answer to one question.

    Args:
        question: The question.
        answers: Its answer and those before it, with the values as for `find_problems`.

    Yields:
        A problem, as `find_problems` gives it.
    """
    answer = answers[question]
    if question == "domain":
        yield from _domain_problems(answer)
    elif question == "pack":
        yield from _pack_problems(answer, answers["_packs"])
    elif question == "base_model":
        yield from _encoder_problems(question, answer, answers["_base_models"])
    elif question == "words":
        yield from _encoder_problems(question, answer, answers["_words"])
    elif question == "language":
        yield from _language_problems(answer, answers["_languages"])
    elif question in FREE_TEXT:
        yield from _free_text_problems(question, answer)
    # The default of the entity types comes from the pack.
    elif question == "entity_types" and not any(_pack_problems(answers["pack"], answers["_packs"])):
        yield from _entity_type_problems(answer)


def spelled(question: str, answers: Mapping[str, Any]) -> str:
    """Return an answer as the template spells it: the case of a choice does not matter, and a folder has its full path.

    Args:
        question: The question.
        answers: As for `find_problems`.
    """
    answer = str(answers[question])
    plain = answer.strip().lower()
    if question == "pack" and plain not in answers["_packs"] and os.path.isdir(os.path.expanduser(answer.strip())):
        return os.path.abspath(os.path.expanduser(answer.strip()))
    return plain if question in _CHOICES and plain in answers[_CHOICES[question]] else answer


def suggest(question: str, answers: Mapping[str, Any]) -> str:
    """Suggest an answer in place of one that can't be used.

    Args:
        question: The question.
        answers: As for `find_problems`.

    Returns:
        What was most likely meant; the answer as it is where nothing better is known.
    """
    answer = str(answers[question])
    if question == RULES:
        return ", ".join(_closest(rule, answers["_rules"]) for rule in split_entity_types(answer))
    if question in _CHOICES:
        return _closest(answer, answers[_CHOICES[question]])
    if question == "domain":
        plain = unicodedata.normalize("NFKD", answer).encode("ascii", "ignore").decode().lower()
        name = re.sub(r"[^a-z0-9_]+", "-", plain).strip("-_")[:60].strip("-_")
        return answer if any(_domain_problems(name)) else name
    if question == "entity_types":
        labels: dict[str, str] = {}
        for label in _labels(answer):
            labels.setdefault(label.lower(), label)
        return ", ".join(labels.values()) or answer
    return answer


def _closest(answer: str, known: Iterable[str]) -> str:
    """The choice that an answer spells in capitals or with a slip of the pen."""
    found = get_close_matches(answer.strip().lower(), list(known), n=1, cutoff=0.7)
    return found[0] if found else answer


def _labels(answer: str) -> list[str]:
    """The labels that an answer may mean, whatever divides them."""
    return [label for name in re.split(r"[,;|/\n]+", answer) if (label := _label(name))]


def _label(name: str) -> str:
    """A label of the words that somebody gave: `CONTAINER ID` becomes `CONTAINER_ID`."""
    plain = unicodedata.normalize("NFKD", name).encode("ascii", "ignore").decode()
    label = re.sub(r"[^A-Za-z0-9_.-]+", "_", plain).strip("_.-")
    return re.sub(r"^[^A-Za-z]+", "", label)


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


def _pack_problems(pack: str, known: Sequence[str]) -> Iterator[str]:
    if pack in known:
        return
    if not re.search(r"[/\\~]", pack):
        offered = f"{', '.join(known)}; or give the path of a folder of your own"
        yield f"pack: {pack!r} is not known. Choose one of: {offered}{or_rather(pack, known)}"
    elif not os.path.isdir(pack):
        is_file = "is a file, and a pack is a folder" if os.path.exists(pack) else "does not exist"
        yield f"pack: the folder {pack!r} {is_file}. Choose one of: {', '.join(known)}; or give the path of your own"
    elif not os.path.isabs(pack):
        # A hook runs in another folder than cookiecutter.
        yield f"pack: cookiecutter needs the full path of {pack!r}; `domain-ner new` takes it as it is"


def _rules_problems(answer: str, known: Sequence[str]) -> Iterator[str]:
    for rule in filter(None, split_entity_types(answer)):
        if rule not in known:
            yield f"rules: {rule!r} is not known. Choose of: {', '.join(known)}{or_rather(rule, known)}"


def or_rather(answer: str, known: Iterable[str]) -> str:
    """The question whether a name that is not known was meant to be one that is; "" where none is like it."""
    meant = _closest(answer, known)
    return f". Did you mean {meant}?" if meant != answer else ""


def _encoder_problems(question: str, answer: str, known: Iterable[str]) -> Iterator[str]:
    # Any other model is looked up when the project is first run, since that needs transformers.
    is_on_hub, is_folder = re.fullmatch(r"\w[\w.-]*/\w[\w.-]*", answer, re.ASCII), os.path.isdir(answer)
    # A project runs in its own folder: a relative path would lead elsewhere from there.
    if answer not in known and not is_on_hub and not (is_folder and os.path.isabs(answer)):
        yield (
            f"{question}: {answer!r} is not known. Choose one of: {', '.join(known)}; or give a hub's owner/name, or "
            f"the full path of a folder that exists{or_rather(answer, known)}"
        )
    elif {*answer} & {'"', "'", "\\", "$", "{", "}"} or answer.split() != [answer]:
        yield f"{question}: the path {answer!r} has blanks or quotes in it, which weasel can't pass on. Rename it."


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
            instance = ", ".join(_labels(name)) or "PRODUCT, COMPONENT"
            yield (
                f"entity_types: {name!r} is not a label. Use letters, digits, '_', '-' and '.', starting with a "
                f"letter; separate types by single commas, for instance: {instance}"
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
