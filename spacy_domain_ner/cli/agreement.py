"""domain-ner agreement"""

import re
from pathlib import Path
from typing import TYPE_CHECKING

import typer

import spacy_domain_ner as ner
from spacy_domain_ner.cli import _importing as importing
from spacy_domain_ner.cli._app import verb
from spacy_domain_ner.cli._messages import msg

if TYPE_CHECKING:
    from spacy_domain_ner.annotation.agreement import Agreement, TypeAgreement
    from spacy_domain_ner.annotation.disagreements import Disagreement, Said

# How much of every table and list is shown. The output file has all.
SHOWN = 20

ADVICE = {
    "reliable": "reliable",
    "tentative": "for tentative conclusions only; settle the disagreements in the guide",
    "unreliable": "unreliable; make the guide clearer where they differ, then annotate again",
    "unknown": "nothing to judge by",
}


@verb("agreement")
def agreement_cli(
    inputs: list[Path] = typer.Argument(..., help="One export with several annotators, or one file per annotator"),
    schema: Path = importing.SCHEMA,
    rename: list[str] = importing.RENAME,
    annotators: list[str] = typer.Option([], "--annotator", help="Compare only this person (once for each of them)"),
    output: Path = typer.Option(None, "--output", "-o", help="Write everything to this JSON file"),
    file_format: str = importing.FILE_FORMAT,
    encoding: str = importing.ENCODING,
    text_key: str = importing.TEXT_KEY,
    columns: str = importing.COLUMNS,
    tag_names: str = importing.TAG_NAMES,
    texts: Path = importing.TEXTS,
) -> None:
    """Measure how far people agree who annotated the same passages, and list where they differ, the worst first.

    F1 counts the mentions that two people have alike: the same start, end and type.
    Krippendorff's alpha is over words and corrected for chance.
    From 0.8 in both an annotation is reliable; under 0.667 nothing can be concluded from it.
    """
    result = ner.measure_agreement(
        inputs, schema=importing.default_schema(schema), rename=importing.renamed(rename), annotators=annotators,
        file_format=file_format, encoding=encoding, text_key=text_key, columns=columns, tag_names=tag_names,
        texts=texts,
    )  # fmt: skip
    if output is not None:
        import srsly

        from spacy_domain_ner.files import replacing

        with replacing(output) as stream:
            stream.write(srsly.json_dumps(result.to_dict(), indent=2) + "\n")
    print_agreement(result)
    if output is not None:
        msg.info(f"Everything is in {output}")


def print_agreement(result: "Agreement") -> None:
    """Show the tables, and the first disagreements in their context.

    Args:
        result: How far people agree.
    """
    for entry in result.not_compared:
        msg.warn(f"not compared: {entry}")
    msg.info(
        f"{result.measured} of {result.passages} passages were annotated by two people or more, "
        f"{len(result.people)} in all; exact spans by character offsets"
    )
    _print_types(result)
    _print_people(result)
    _print_confusions(result)
    for number, disagreement in enumerate(result.disagreements[:SHOWN], 1):
        msg.plain(f"\n{number}. " + "\n   ".join(disagreement_lines(disagreement)))
    rest = len(result.disagreements) - SHOWN
    if rest > 0:
        msg.plain(f"\n... and {rest} more places; --output FILE.json writes all of them.")
    msg.plain()
    for label, count in result.unknown_labels.most_common(10):
        msg.warn(
            f"{count} span(s) of {label}, which is not an entity type, left out: --rename {label}=TYPE takes them as "
            "TYPE"
        )
    if other := result.refused - result.unknown_labels.total():
        msg.warn(f"{other} span(s) could not be taken: `domain-ner import` lists them with the reasons")
    show = msg.good if result.all.verdict == "reliable" else msg.warn
    show(f"All types: F1 {_figure(result.all.f1)}, alpha {_figure(result.all.alpha)}: {ADVICE[result.all.verdict]}.")


def disagreement_lines(disagreement: "Disagreement") -> list[str]:
    """Put a disagreement in words: where it is and of what kind, the text with the place marked, who said what.

    Args:
        disagreement: The disagreement.
    """
    first = _location(disagreement.said[0])
    what = ", ".join(f"{kind} {_against(types)}" for types, kind in disagreement.differences)
    context = f"{disagreement.before}[[{disagreement.mention}]]{disagreement.after}"
    spoken: dict[str, list[str]] = {}
    for said in disagreement.said:
        place = _location(said)
        marked = ", ".join(f"{span.label} {disagreement.surface(span)!r}" for span in said.spans) or "nothing"
        name = place if said.annotator == said.file else said.annotator + ("" if place == first else f" ({place})")
        spoken.setdefault(marked, []).append(name)
    lines = [f"{', '.join(names)}: {marked}" for marked, names in spoken.items()]
    return [f"{first}: {what}", re.sub(r"\s+", " ", context).strip(), *lines]


def _print_types(result: "Agreement") -> None:
    rows = [
        (label, one.mentions, _figure(one.f1), _figure(one.alpha), _judgement(one))
        for label, one in (*result.types.items(), ("all", result.all))
    ]
    msg.table(
        rows[:-1], header=("type", "mentions", "F1", "alpha", "judgement"), footer=rows[-1], divider=True,
        aligns=("l", "r", "r", "r", "l"), max_col=60,
    )  # fmt: skip


def _print_people(result: "Agreement") -> None:
    pairs = [(*names, shared.passages, _figure(shared.f1)) for names, shared in result.pairs.items()]
    header: tuple[str, ...] = ("person", "person", "passages", "F1")
    msg.table(pairs[:SHOWN], header=header, divider=True, aligns=("l", "l", "r", "r"), max_col=60)
    if len(pairs) > SHOWN:
        msg.plain(f"... and {len(pairs) - SHOWN} more pairs, who agree better")
    if len(result.people) > 2:
        rows = [
            (name, person.passages, person.shared_passages, _figure(person.against_others.f1))
            for name, person in result.people.items()
        ]
        header = ("person", "passages", "shared passages", "F1 against all others")
        msg.table(rows[:SHOWN], header=header, divider=True, aligns=("l", "r", "r", "r"), max_col=60)


def _print_confusions(result: "Agreement") -> None:
    from spacy_domain_ner.annotation.disagreements import KINDS

    if not result.confusions:
        msg.good("They differ nowhere.")
        return
    rows = [
        (_against(one.types), one.times, *(one.kinds[kind] or "" for kind in KINDS))
        for one in result.confusions[:SHOWN]
    ]  # fmt: skip
    aligns = ("l", *"r" * (1 + len(KINDS)))
    msg.table(rows, header=("types", "times", *KINDS), divider=True, aligns=aligns, max_col=60)
    if len(result.confusions) > SHOWN:
        msg.plain(f"... and {len(result.confusions) - SHOWN} more pairs of types")


def _judgement(one: "TypeAgreement") -> str:
    from spacy_domain_ner.annotation.agreement import FEW

    return one.verdict + (" (few mentions)" if 0 < one.mentions < FEW else "")


def _against(types: tuple[str, str]) -> str:
    return " / ".join(types)


def _location(said: "Said") -> str:
    from spacy_domain_ner.exchange.import_report import place_of_record

    return place_of_record(said.file, said.line, said.id)


def _figure(value: float | None) -> str:
    return "–" if value is None else f"{value:.3f}"
