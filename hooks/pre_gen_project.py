"""Checks the answers before anything is generated. Needs nothing beyond Python itself.

The answers come in as JSON data, never as code: quotes and backslashes in them are theirs to have.
"""

import json
import keyword
import os
import re
import shlex
import sys

ANSWERS = json.loads(r"""{{ cookiecutter | tojson }}""")
FREE_TEXT = ("title", "author", "license")


def problems(answers):
    domain, pack = answers["domain"], answers["pack"]
    if not re.fullmatch(r"[a-z][a-z0-9]*([-_][a-z0-9]+)*", domain) or keyword.iskeyword(domain):
        yield (
            f"domain: {domain!r} can't be a folder and a package's name. Use lower-case letters and digits, parts "
            "joined by - or _, starting with a letter, for instance: billing or site-search"
        )
    elif len(domain) > 60:
        yield f"domain: {len(domain)} characters are too long for a package's name. Use at most 60."
    if pack not in answers["_packs"]:
        yield f"pack: {pack!r} is not known. Choose one of: {', '.join(answers['_packs'])}"
    yield from base_model_problems(answers["base_model"], answers["_base_models"])
    if answers["language"] not in answers["_languages"]:
        yield (
            f"language: {answers['language']!r} is none of spaCy's languages with a rule-based tokenizer. Choose one "
            f"of: {', '.join(answers['_languages'])}"
        )
    if pack in answers["_packs"]:
        yield from entity_type_problems(answers["entity_types"])
    for question in FREE_TEXT:
        yield from free_text_problems(question, answers[question])


def base_model_problems(answer, known):
    # Any other model is looked up when the project is first run: that needs transformers, which this hook does without.
    if answer not in known and not re.fullmatch(r"[\w.-]+/[\w.-]+", answer, re.ASCII) and not os.path.isdir(answer):
        yield (
            f"base_model: {answer!r} is not known. Choose one of: {', '.join(known)}; or give a hub's owner/name, or "
            "the full path of a folder that is there"
        )
    elif {*answer} & {'"', "'", "\\", "$", "{", "}"} or answer.split() != [answer]:
        yield f"base_model: the path {answer!r} has blanks or quotes in it, which weasel can't pass on. Rename it."


def entity_type_problems(answer):
    names = [name.strip() for name in answer.split(",")]
    if not any(names):
        yield "entity_types: none given. Name at least one, for instance: PRODUCT, COMPONENT"
        return
    seen = {}
    for name in names:
        if not re.fullmatch(r"[A-Za-z][A-Za-z0-9_]*", name):
            yield (
                f"entity_types: {name!r} is no label. Use letters, digits and _, starting with a letter; separate "
                "types by single commas, for instance: PRODUCT, COMPONENT"
            )
        elif name.lower() in seen:
            yield f"entity_types: {seen[name.lower()]!r} and {name!r} are the same type. Keep one of them."
        seen[name.lower()] = name


def free_text_problems(question, text):
    if question == "title" and not text.strip():
        yield "title: it is empty. Give the project a name in your own words."
    if "$" + "{" in text:
        yield f"{question}: it has '$' before a brace, which weasel would replace by a variable. Write it otherwise."
    for character in sorted({c for c in text if (ord(c) < 32 and c not in "\n\t\r") or ord(c) == 127}):
        yield f"{question}: it has the control character {character!r}. Leave it out."
    if any(0xD800 <= ord(c) <= 0xDFFF for c in text):
        yield f"{question}: it is no valid Unicode text. Type it again."


def again(answers):
    given = [f"{key}={value}" for key, value in answers.items() if not key.startswith("_")]
    return shlex.join(["cookiecutter", str(answers.get("_template") or "TEMPLATE"), "--no-input", *given])


found = list(problems(ANSWERS))
if found:
    print("\nNo project was made. These answers can't be used:\n", file=sys.stderr)
    for problem in found:
        print(f"  - {problem}", file=sys.stderr)
    print(f"\nYour answers are not lost: correct them in this command.\n\n  {again(ANSWERS)}\n", file=sys.stderr)
    sys.exit(1)
