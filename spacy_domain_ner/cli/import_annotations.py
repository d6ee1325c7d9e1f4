"""domain-ner import"""

from pathlib import Path

import typer
from rich.console import Console
from rich.progress import BarColumn, Progress, TaskProgressColumn, TextColumn, TimeElapsedColumn, TimeRemainingColumn

from spacy_domain_ner.cli._app import verb
from spacy_domain_ner.cli._messages import msg
from spacy_domain_ner.errors import UserError
from spacy_domain_ner.exchange.account import ImportReport
from spacy_domain_ner.exchange.formats.recognise import FORMATS
from spacy_domain_ner.exchange.importing import import_annotations as import_files
from spacy_domain_ner.exchange.offsets import UNITS
from spacy_domain_ner.exchange.policies import (
    Annotators,
    GroundTruth,
    KeepOrDrop,
    Overlaps,
    Policies,
    UnknownLabels,
)  # fmt: skip
from spacy_domain_ner.schema import EntitySchema, read_schema

SCHEMA = Path("entity_types.yml")

# The options of every verb that imports.
ANNOTATORS = typer.Option(
    Annotators.one,
    help="A passage with several annotators: the version nearest to the others, the majority's spans, the passage only "
    "where all agree, or each version by itself",
)
ONLY_ANNOTATOR = typer.Option([], "--annotator", help="Take this person's annotations only (may be repeated)")
GROUND_TRUTH = typer.Option(
    GroundTruth.prefer, help="Versions marked as ground truth: preferred, the only ones that count, or like the others"
)
OVERLAPS = typer.Option(
    Overlaps.longest, help="Overlapping spans: keep the longest, keep the first, refuse the passage, or keep all"
)
UNKNOWN_LABELS = typer.Option(
    UnknownLabels.span, help="A label that is no entity type: leave out the span, leave out the passage, or keep it"
)
RENAME = typer.Option([], help="OLD=NEW renames a label, OLD= leaves its spans out (may be repeated)")
SKIPPED = typer.Option(KeepOrDrop.drop, help="Passages that the annotator skipped")
PREDICTIONS = typer.Option(KeepOrDrop.drop, help="A model's spans, where nobody annotated the passage")
EMPTY = typer.Option(KeepOrDrop.keep, help="Passages without a span; kept, they say that there is no entity")
STRICT = typer.Option(False, "--strict", help="Import nothing if anything is refused")
REPORT = typer.Option(None, help="The whole account, as JSON  [default: OUTPUT with the ending .import.json]")


@verb("import")
def import_cli(
    inputs: list[Path] = typer.Argument(..., help="Exports of labelling tools: files, folders, zip archives"),
    output: Path = typer.Option("assets/annotations.jsonl", "--output", "-o", help="Annotation file to add them to"),
    schema: Path = typer.Option(None, help="The entity types  [default: entity_types.yml where there is one]"),
    form: str = typer.Option(None, "--format", help=f"Instead of recognising it: {', '.join(FORMATS)}"),
    annotators: Annotators = ANNOTATORS,
    annotator: list[str] = ONLY_ANNOTATOR,
    ground_truth: GroundTruth = GROUND_TRUTH,
    overlaps: Overlaps = OVERLAPS,
    unknown_labels: UnknownLabels = UNKNOWN_LABELS,
    rename: list[str] = RENAME,
    skipped: KeepOrDrop = SKIPPED,
    predictions: KeepOrDrop = PREDICTIONS,
    empty: KeepOrDrop = EMPTY,
    offset_unit: str = typer.Option("auto", help=f"What the offsets count: auto, {', '.join(UNITS)}"),
    encoding: str = typer.Option("utf-8", help="The files' encoding, such as latin-1"),
    text_key: str = typer.Option(None, help="The key of the text in the records, where it is not found"),
    tag_column: int = typer.Option(None, help="The column of the tags in CoNLL files, counted from 1"),
    to_label: Path = typer.Option(None, help="Write passages annotated in part (binary answers) here, to be completed"),
    report: Path = REPORT,
    strict: bool = STRICT,
) -> None:
    """Import annotations of Label Studio, doccano, Prodigy, CoNLL/BIO, brat and spaCy's own forms.

    The format is told by the content. Passages that the annotation file has stay; one with the same text and source
    gets the imported annotation. Everything that is changed or refused is listed with its place.
    """
    policies = Policies(
        annotators, ground_truth, overlaps, unknown_labels, skipped, predictions, empty,
        renamed(rename), tuple(annotator), offset_unit,
    )  # fmt: skip
    result = import_annotations(
        inputs, output, policies, schema=schema, form=form, encoding=encoding, text_key=text_key,
        tag_column=tag_column, to_label=to_label, report=report, strict=strict,
    )  # fmt: skip
    print_report(result, output, report or default_report(output))


def import_annotations(
    inputs: list[Path],
    output: Path,
    policies: Policies = Policies(),
    *,
    schema: Path | None = None,
    form: str | None = None,
    encoding: str = "utf-8",
    text_key: str | None = None,
    tag_column: int | None = None,
    to_label: Path | None = None,
    report: Path | None = None,
    strict: bool = False,
) -> ImportReport:
    """Import annotations into a canonical annotation file, with a progress bar where there is a terminal.

    schema: The entity types; None takes those of the folder one is in, and every label where there are none.
    report: Where to write the whole account; None: beside the output.
    Everything else: see `spacy_domain_ner.exchange.importing.import_annotations`.
    RAISES: UserError.
    """
    if policies.offset_unit not in ("auto", *UNITS):
        raise UserError(f"--offset-unit is {policies.offset_unit!r}", f"It is one of: auto, {', '.join(UNITS)}")
    console = Console(stderr=True)
    with Progress(
        TextColumn("Importing"), BarColumn(), TaskProgressColumn(), TimeElapsedColumn(), TimeRemainingColumn(),
        console=console, transient=True, disable=not console.is_terminal,
    ) as progress:  # fmt: skip
        # What is read is combined and written afterwards, which takes about as long.
        row = progress.add_task("", total=2 * _size(inputs) or None)
        result = import_files(
            inputs, output, policies, form=form, schema=find_schema(schema), report=report or default_report(output),
            to_label=to_label, encoding="utf8" if encoding.lower() in ("utf-8", "utf8") else encoding,
            text_key=text_key, tag_column=tag_column, strict=strict,
            advance=lambda size: progress.advance(row, size),
        )  # fmt: skip
    return result


def find_schema(path: Path | None) -> EntitySchema | None:
    """The entity types of a file, or of the folder one is in; None where it has none."""
    if path is None and not SCHEMA.is_file():
        return None
    return read_schema(path or SCHEMA)


def default_report(output: Path) -> Path:
    """Where an import's account goes: no annotation file is ever called so."""
    return output.with_suffix(".import.json")


def renamed(pairs: list[str]) -> dict[str, str]:
    """What `--rename` says, as a dictionary.

    RAISES: UserError where a pair is none.
    """
    names = {}
    for pair in pairs:
        old, equals, new = pair.partition("=")
        if not (equals and old.strip()):
            raise UserError(f"--rename is {pair!r}", "Write OLD=NEW, or OLD= to leave the label's spans out.")
        names[old.strip()] = new.strip()
    return names


def print_report(result: ImportReport, output: Path, report: Path) -> None:
    """Show what an import did: the formats, the first entries of each kind, the counts."""
    for name, form in result.files[:10]:
        msg.info(f"{name}: {form or 'not recognised, left out'}")
    if len(result.files) > 10:
        msg.info(f"... and {len(result.files) - 10} more files")
    for kind, show in (("unread", msg.warn), ("updated", msg.info), ("changed", msg.info), ("refused", msg.warn)):
        entries = result.shown[kind]
        for entry in entries[:5]:
            show(f"{kind}: {entry}")
        total = {"updated": result.passages[kind]}.get(kind, result.passages[kind] + result.spans[kind])
        if total > 5:
            show(f"... {total} {kind} in all")
    passages, spans = result.passages, result.spans
    rows = [
        ("read", passages["read"], spans["read"]), ("kept", passages["kept"], spans["kept"]),
        ("left out", passages["left out"], spans["left out"]), ("refused", passages["refused"], spans["refused"]),
        ("merged (there twice)", "", spans["merged"]), ("changed", passages["changed"], spans["changed"]),
    ]  # fmt: skip
    msg.table(rows, header=("", "annotated passages", "spans"), divider=True, aligns=("l", "r", "r"))
    for reason, count in result.reasons.most_common():
        msg.info(f"{count} left out: {reason}")
    for kind, count in result.ignored.most_common():
        msg.info(f"{count} of another kind than spans: {kind}")
    for label, count in result.unknown_labels.most_common(10):
        msg.warn(f"{count} span(s) of {label}, which is no entity type: --rename {label}=... or --unknown-labels keep")
    for name, counts in result.offset_units.items():
        found = ", ".join(f"{count} in {unit}" for unit, count in counts.items())
        msg.warn(f"{name}: offsets were told by the text: {found}. --offset-unit UNIT forces one.")
    if 2 * result.without_spans > max(passages["kept"], 1):
        msg.warn(
            f"{result.without_spans} passages have no span and count as without entities: --empty drop leaves them out"
        )
    labels = ", ".join(f"{label} {count}" for label, count in result.labels.most_common(12))
    done = ", ".join(
        f"{passages[key]} {key}" for key in ("added", "updated", "unchanged", "untouched") if passages[key]
    )
    if passages["kept"]:
        msg.good(f"{output}: {done}. Spans: {labels or 'none'}")
    else:
        msg.warn(f"Nothing was imported into {output}.", _nothing(result))
    msg.info(f"Everything that was changed, refused or left out is in {report}")


def _nothing(result: ImportReport) -> str:
    if any("prediction" in reason for reason in result.reasons):
        return "The file has predictions only: --predictions keep takes them."
    if any("part" in reason for reason in result.reasons):
        return "Binary answers don't say what else is in a text: --to-label FILE writes the passages to be completed."
    return "See above why."


def _size(inputs: list[Path]) -> int:
    files = [file for path in inputs for file in (path.rglob("*") if path.is_dir() else [path])]
    return sum(file.stat().st_size for file in files if file.is_file())
