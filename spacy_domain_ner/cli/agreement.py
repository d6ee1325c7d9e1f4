"""domain-ner agreement"""

import re
from collections import Counter
from collections.abc import Collection, Iterable, Iterator
from pathlib import Path

import srsly
import typer

from spacy_domain_ner.annotation.agreement import (
    FEW,
    UNKNOWN,
    Agreement,
    Disagreement,
    Kind,
    Said,
    TypeAgreement,
    annotator_of,
    measure_agreement,
)  # fmt: skip
from spacy_domain_ner.cli._app import verb
from spacy_domain_ner.cli._messages import msg
from spacy_domain_ner.cli.import_annotations import RENAME, find_schema, renamed
from spacy_domain_ner.errors import UserError
from spacy_domain_ner.exchange.account import ImportReport
from spacy_domain_ner.exchange.formats.recognise import FORMATS
from spacy_domain_ner.exchange.importing import annotated_versions
from spacy_domain_ner.exchange.policies import Annotators, CleanVersion, GroundTruth, Overlaps, Policies
from spacy_domain_ner.files import replacing

# Of every table and list so much is shown; the output file has all.
SHOWN = 20

ADVICE = {
    "reliable": "reliable",
    "tentative": "for tentative conclusions only; settle the disagreements in the guide",
    "unreliable": "unreliable; make the guide clearer where they differ, then annotate again",
    "unknown": "nothing to judge by",
}


@verb("agreement")
def agreement_cli(
    inputs: list[Path] = typer.Argument(..., help="One export with several annotators, or one file a person"),
    schema: Path = typer.Option(None, help="The entity types  [default: entity_types.yml where there is one]"),
    rename: list[str] = RENAME,
    annotator: list[str] = typer.Option([], "--annotator", help="Compare these people only (once for each)"),
    output: Path = typer.Option(None, "--output", "-o", help="Write everything to this JSON file"),
    form: str = typer.Option(None, "--format", help=f"Instead of recognising it: {', '.join(FORMATS)}"),
    encoding: str = typer.Option("utf-8", help="The files' encoding, such as latin-1"),
    text_key: str = typer.Option(None, help="The key of the text in the records, where it is not found"),
) -> None:
    """Measure how far people agree who annotated the same passages, and list where they differ, the worst first.

    F1 counts the mentions that two people have alike: the same start, end and type.
    Krippendorff's alpha is over words and corrected for chance.
    From 0.8 in both an annotation is reliable; under 0.667 nothing can be concluded from it.
    """
    result = agreement(
        inputs, schema=schema, rename=renamed(rename), annotators=annotator, form=form, encoding=encoding,
        text_key=text_key,
    )  # fmt: skip
    if output is not None:
        with replacing(output) as stream:
            stream.write(srsly.json_dumps(result.to_dict(), indent=2) + "\n")
    print_agreement(result)
    if output is not None:
        msg.info(f"Everything is in {output}")


def agreement(
    inputs: list[Path],
    *,
    schema: Path | None = None,
    rename: dict[str, str] | None = None,
    annotators: Collection[str] = (),
    form: str | None = None,
    encoding: str = "utf-8",
    text_key: str | None = None,
) -> Agreement:
    """Measure how far people agree.

    inputs: Files, folders and archives in any format that can be imported. Where several files don't say who
        annotated, each is taken for one person's.
    schema: The entity types; None takes those of the folder one is in, and every label where there are none.
    rename: Labels to replace; "" leaves the label's spans out.
    annotators: The people to compare; all where it is empty.
    form, encoding, text_key: As for an import.
    RAISES: UserError where a file can't be read, no passage has versions of two people, or no label is known.
    """
    entity_schema = find_schema(schema)
    policies = Policies(Annotators.each, GroundTruth.ignore, Overlaps.keep, rename=rename or {})
    read = ImportReport()
    groups = annotated_versions(
        inputs, policies, form=form, schema=entity_schema, text_key=text_key, report=read,
        encoding="utf8" if encoding.lower() in ("utf-8", "utf8") else encoding,
    )  # fmt: skip
    people: Counter[str] = Counter()
    labels = entity_schema.labels if entity_schema else ()
    result = measure_agreement(_counting(groups, people), labels, annotators)
    for entry in read.shown["unread"] + read.shown["refused"]:
        msg.warn(f"not compared: {entry}")
    _check(result, people, annotators)
    return result


def print_agreement(result: Agreement) -> None:
    """Show the tables, and the first disagreements in their context."""
    msg.info(
        f"{result.measured} of {result.passages} passages were annotated by two people or more, "
        f"{len(result.people)} in all; exact spans by character offsets"
    )
    _print_types(result)
    _print_people(result)
    _print_confusions(result)
    for number, disagreement in enumerate(result.disagreements[:SHOWN], 1):
        print(f"\n{number}. " + "\n   ".join(disagreement_lines(disagreement)))
    rest = len(result.disagreements) - SHOWN
    if rest > 0:
        print(f"\n... and {rest} more places; --output FILE.json writes all of them.")
    print()
    for label, count in result.unknown_labels.most_common(10):
        msg.warn(f"{count} span(s) of {label}, which is no entity type, left out: --rename {label}=... renames them")
    if other := result.refused - result.unknown_labels.total():
        msg.warn(f"{other} span(s) could not be taken: domain-ner import lists them with the reasons")
    show = msg.good if result.all.verdict == "reliable" else msg.warn
    show(f"All types: F1 {_figure(result.all.f1)}, alpha {_figure(result.all.alpha)}: {ADVICE[result.all.verdict]}.")


def disagreement_lines(disagreement: Disagreement) -> list[str]:
    """A disagreement in words: where it is and of what kind, the text with the place marked, who said what."""
    first = _location(disagreement.said[0])
    what = ", ".join(f"{kind.value} {_against(types)}" for types, kind in disagreement.differences)
    context = f"{disagreement.before}[[{disagreement.mention}]]{disagreement.after}"
    spoken: dict[str, list[str]] = {}
    for said in disagreement.said:
        place = _location(said)
        marked = ", ".join(f"{span.label} {disagreement.surface(span)!r}" for span in said.spans) or "nothing"
        name = place if said.annotator == said.file else said.annotator + ("" if place == first else f" ({place})")
        spoken.setdefault(marked, []).append(name)
    lines = [f"{', '.join(names)}: {marked}" for marked, names in spoken.items()]
    return [f"{first}: {what}", re.sub(r"\s+", " ", context).strip(), *lines]


def _counting(groups: Iterable[list[CleanVersion]], people: Counter[str]) -> Iterator[list[CleanVersion]]:
    for sounds in groups:
        people.update({annotator_of(sound) for sound in sounds})
        yield sounds


def _check(result: Agreement, people: Counter[str], annotators: Collection[str]) -> None:
    names = ", ".join(f"{name} ({count})" for name, count in people.most_common(12))
    if not people:
        raise UserError(
            "No annotated passage was found",
            "Skipped passages, predictions and binary answers don't count. domain-ner import says what a file holds.",
        )
    if strangers := [name for name in annotators if name not in people]:
        raise UserError(f"--annotator is {strangers[0]!r}, who annotated nothing", f"There are: {names}.")
    if not result.measured:
        hint = "Passages are the same where their text and meta.source are: let people annotate the same ones."
        if len(annotators) == 1:
            hint = "Give --annotator for each person to compare, or leave it out."
        elif set(people) == {UNKNOWN}:
            hint = "The file does not say who annotated what: export one file a person, and name all of them."
        elif len(people) == 1:
            hint = "Name the files of two people or more, or an export that has all annotators' versions."
        raise UserError(f"No passage was annotated by two people. Passages read, by person: {names}", hint)
    if result.unknown_labels and not result.all.mentions:
        labels = ", ".join(f"{label} ({count})" for label, count in result.unknown_labels.most_common(8))
        raise UserError(
            f"None of the labels is an entity type: {labels}",
            f"They are {', '.join(result.types)}. Say what is what with --rename OLD=NEW, or name another --schema.",
        )


def _print_types(result: Agreement) -> None:
    rows = [
        (label, one.mentions, _figure(one.f1), _figure(one.alpha), _judgement(one))
        for label, one in (*result.types.items(), ("all", result.all))
    ]
    msg.table(
        rows[:-1], header=("type", "mentions", "F1", "alpha", "judgement"), footer=rows[-1], divider=True,
        aligns=("l", "r", "r", "r", "l"), max_col=60,
    )  # fmt: skip


def _print_people(result: Agreement) -> None:
    pairs = [(*names, shared.passages, _figure(shared.f1)) for names, shared in result.pairs.items()]
    header: tuple[str, ...] = ("person", "person", "passages", "F1")
    msg.table(pairs[:SHOWN], header=header, divider=True, aligns=("l", "l", "r", "r"), max_col=60)
    if len(pairs) > SHOWN:
        print(f"... and {len(pairs) - SHOWN} more pairs, who agree better")
    if len(result.people) > 2:
        rows = [
            (name, person.passages, person.shared_passages, _figure(person.against_others.f1))
            for name, person in result.people.items()
        ]
        header = ("person", "passages", "of them shared", "F1 against all others")
        msg.table(rows[:SHOWN], header=header, divider=True, aligns=("l", "r", "r", "r"), max_col=60)


def _print_confusions(result: Agreement) -> None:
    if not result.confusions:
        msg.good("They differ nowhere.")
        return
    rows = [
        (_against(one.types), one.times, *(one.kinds[kind] or "" for kind in Kind))
        for one in result.confusions[:SHOWN]
    ]  # fmt: skip
    header = ("types", "times", *(kind.value for kind in Kind))
    msg.table(rows, header=header, divider=True, aligns=("l", *"r" * (1 + len(Kind))), max_col=60)
    if len(result.confusions) > SHOWN:
        print(f"... and {len(result.confusions) - SHOWN} more pairs of types")


def _judgement(one: TypeAgreement) -> str:
    return one.verdict + (" (few mentions)" if 0 < one.mentions < FEW else "")


def _against(types: tuple[str, str]) -> str:
    return " / ".join(types)


def _location(said: Said) -> str:
    place = f"{said.file}:{said.line}" if said.line else said.file
    record = said.id if said.id.startswith("record ") else f"id {said.id}"
    return f"{place} ({record})" if said.id else place


def _figure(value: float | None) -> str:
    return "–" if value is None else f"{value:.3f}"
