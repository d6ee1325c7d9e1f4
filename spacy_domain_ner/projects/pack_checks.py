"""Whether a user's own folder can be used as a pack: everything that is wrong in it, with its place."""

from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

from spacy_domain_ner.errors import UserError
from spacy_domain_ner.projects.answers import or_rather, problems_of
from spacy_domain_ner.projects.pack import FILE, TYPES, read_pack

SHOWN = 20


def check_pack(folder: Path, known: Mapping[str, Any]) -> None:
    """Check a pack before a project is made of it.

    Args:
        folder: The pack's folder.
        known: What cookiecutter.json knows: `_rules`, `_base_models` and `_words`.

    Raises:
        UserError: Something in the folder can't be used; all of it is listed.
    """
    problems = list(_problems(folder, known))
    if problems:
        more = [f"and {len(problems) - SHOWN} more"] if len(problems) > SHOWN else []
        listed = "".join(f"\n  - {problem}" for problem in [*problems[:SHOWN], *more])
        raise UserError(f"No project was made. {folder} can't be used as a pack:{listed}", "Fix these, then try again.")


def _problems(folder: Path, known: Mapping[str, Any]) -> Iterator[str]:
    yield from _settings_problems(folder, known)
    try:
        from spacy_domain_ner.schema import read_schema

        labels = read_schema(folder / TYPES).labels
    except UserError as error:
        yield _in_words(error)
        return
    yield from _starter_problems(folder / "starter.jsonl", labels)
    yield from _sentence_problems(folder / "sentences.yml", labels)


def _settings_problems(folder: Path, known: Mapping[str, Any]) -> Iterator[str]:
    try:
        pack = read_pack(folder)
    except UserError as error:
        yield _in_words(error)
        return
    for rule in pack.rules:
        if rule not in known["_rules"]:
            place = f"{folder / FILE}:{pack.lines['rules']}"
            yield (
                f"{place}: there are no tokenizer rules {rule!r}. Choose of: "
                + ", ".join(known["_rules"])
                + or_rather(rule, known["_rules"])
            )
    for key in ("base_model", "words"):
        for problem in problems_of(key, {**known, key: getattr(pack, key)}):
            yield f"{folder / FILE}:{pack.lines[key]}: {problem}"


def _starter_problems(path: Path, labels: list[str]) -> Iterator[str]:
    if not path.exists():
        return
    from spacy_domain_ner.corpus import read_passages

    try:
        read = read_passages(path)
    except UserError as error:
        yield _in_words(error)
        return
    yield from (str(refusal) for refusal in read.refusals)
    if not read.passages and not read.refusals:
        yield f"{path}: there is no passage in it. Leave the file out, or write annotated passages into it"
    for passage in read.passages:
        for span in passage.spans:
            if not 0 <= span.start < span.end <= len(passage.text):
                yield f"{path}:{passage.line}: a span from {span.start} to {span.end} is not within the text"
        for label in sorted({span.label for span in passage.spans} - {*labels}):
            yield f"{path}:{passage.line}: the label {label!r} is not in {TYPES}{or_rather(label, labels)}"


def _sentence_problems(path: Path, labels: list[str]) -> Iterator[str]:
    if not path.exists():
        return
    from spacy_domain_ner.deployment.try_package import read_sentences

    try:
        sentences = read_sentences(path)
    except UserError as error:
        yield _in_words(error)
        return
    for number, sentence in enumerate(sentences, 1):
        for label in sentence.entities.values():
            if label not in labels:
                yield f"{path}, sentence {number}: the type {label!r} is not in {TYPES}{or_rather(label, labels)}"


def _in_words(error: UserError) -> str:
    what = str(error.what).replace("\n", "\n    ")
    return f"{what}. {error.hint}" if error.hint else what
