"""What the verbs that import have in common: their options, and how they show what an import did."""

import functools
import inspect
from collections.abc import Callable, Sequence
from pathlib import Path
from shlex import join, quote
from typing import TYPE_CHECKING, Any

import typer

from spacy_domain_ner.cli._app import with_options
from spacy_domain_ner.cli._messages import msg
from spacy_domain_ner.errors import UserError
from spacy_domain_ner.exchange.formats import FORMATS
from spacy_domain_ner.exchange.policies import (
    UNITS,
    Annotators,
    GroundTruth,
    KeepOrDrop,
    Overlaps,
    Policies,
    UnknownLabels,
)  # fmt: skip

if TYPE_CHECKING:
    from spacy_domain_ner.exchange.import_report import ImportReport

SCHEMA = typer.Option(None, help="The entity types", show_default="entity_types.yml where there is one")
RELATION_TYPES = typer.Option(None, help="The relation types", show_default="relation_types.yml where there is one")
FILE_FORMAT = typer.Option(None, "--format", help=f"The format, to skip its recognition: {', '.join(FORMATS)}")
ENCODING = typer.Option("utf-8", help="The files' encoding, such as latin-1")
TEXT_KEY = typer.Option(None, help="The key of the text in the records, where it is not found or is one of several")
COLUMNS = typer.Option(
    None, help="Which columns of a table have what, by number or name: token=2,tag=4,sentence=1 (or _,token,_,tag)"
)
TAG_NAMES = typer.Option(
    None,
    help="Names of tags that are numbers: O,B-NAME,I-NAME in their order, or a file that has them (dataset_info.json "
    "or README.md of a data set, config.json of a model)",
)
TEXTS = typer.Option(
    None, help="Folder of the texts that Label Studio tasks refer to by URL or path; found by file name"
)
RENAME = typer.Option([], help="OLD=NEW renames a label, OLD= leaves its spans out (may be repeated)")
REPORT = typer.Option(
    None,
    help="JSON file for everything that is changed, refused or left out",
    show_default="OUTPUT with the ending .import.json",
)
STRICT = typer.Option(False, "--strict", help="Import nothing if anything is refused")

# What becomes of the spans of an unknown label, in words.
_FATES = {
    UnknownLabels.unknown: "training learns nothing from their places",
    UnknownLabels.span: "their places count as without an entity",
    UnknownLabels.passage: "their passages are refused",
    UnknownLabels.keep: "they are kept",
}

# The option of each policy, in the order of the help.
_POLICIES: dict[str, tuple[Any, Any]] = {
    "annotators": (
        Annotators,
        typer.Option(
            Policies.annotators,
            help="A passage with several annotators: the majority's spans, and places that it does not decide are "
            "unknown; or the version nearest to the others; or the passage only where all agree; or each version",
        ),
    ),
    "only_annotators": (
        list[str],
        typer.Option([], "--annotator", help="Take only this person's annotations (may be repeated)"),
    ),
    "ground_truth": (
        GroundTruth,
        typer.Option(
            Policies.ground_truth,
            help="Versions marked as ground truth: preferred, the only ones that count, or like the others",
        ),
    ),
    "overlaps": (
        Overlaps,
        typer.Option(
            Policies.overlaps,
            help="Overlapping spans: keep the longest, keep the first, refuse the passage, or keep all",
        ),
    ),
    "unknown_labels": (
        UnknownLabels,
        typer.Option(
            Policies.unknown_labels,
            help="A label that is not an entity type: its place is unknown, and training learns nothing from it; or "
            "it counts as without an entity (span); or leave out the passage; or keep the label",
        ),
    ),
    "rename": (list[str], RENAME),
    "skipped": (KeepOrDrop, typer.Option(Policies.skipped, help="Passages that the annotator skipped")),
    "predictions": (
        KeepOrDrop,
        typer.Option(Policies.predictions, help="A model's spans, where nobody annotated the passage"),
    ),
    "partial": (
        KeepOrDrop,
        typer.Option(
            Policies.partial,
            help="Binary answers and drafts: keep the accepted spans, learn that the rejected ones are wrong, and "
            "nothing from the rest of the text; or leave them out",
        ),
    ),
    "empty": (
        KeepOrDrop,
        typer.Option(Policies.empty, help="Passages without a span: keep them as having no entity, or drop them"),
    ),
    "offset_unit": (
        str,
        typer.Option(Policies.offset_unit, help=f"What the offsets count: auto, {', '.join(UNITS)}"),
    ),
}


def takes_policies(*without: str) -> Callable[[Callable[..., None]], Callable[..., None]]:
    """Give a verb the options of an import's policies in place of its parameter `policies`.

    Args:
        without: The policies that the verb has no option for.
    """

    def take(function: Callable[..., None]) -> Callable[..., None]:
        own = inspect.signature(function).parameters
        options = [
            inspect.Parameter(name, inspect.Parameter.POSITIONAL_OR_KEYWORD, default=option, annotation=kind)
            for name, (kind, option) in _POLICIES.items()
            if name not in without
        ]

        @functools.wraps(function)
        def parsed(**given: Any) -> None:
            chosen = {option.name: given.pop(option.name) for option in options}
            function(policies=Policies(**{**chosen, "rename": renamed(chosen["rename"])}), **given)

        parameters: list[inspect.Parameter] = []
        for parameter in own.values():
            parameters += options if parameter.name == "policies" else [parameter]
        # typer reads a verb's options from these two.
        parsed.__signature__ = inspect.Signature(parameters)  # type: ignore[attr-defined]
        parsed.__annotations__ = {parameter.name: parameter.annotation for parameter in parameters}
        return parsed

    return take


def renamed(pairs: list[str]) -> dict[str, str]:
    """Make a dictionary of what `--rename` says.

    Args:
        pairs: Each OLD=NEW, or OLD= to leave the label's spans out.

    Raises:
        UserError: If one is not a pair.
    """
    names = {}
    for pair in pairs:
        old, equals, new = pair.partition("=")
        if not (equals and old.strip()):
            raise UserError(f"`rename` is {pair!r}", "Write OLD=NEW, or OLD= to leave the label's spans out.")
        names[old.strip()] = new.strip()
    return names


def default_schema(schema: Path | None) -> Path | None:
    """Return the file of the entity types: the one that was named, else that of the folder, if there is one."""
    own = Path("entity_types.yml")
    return schema or (own if own.is_file() else None)


def default_relation_types(relation_types: Path | None) -> Path | None:
    """Return the file of the relation types: the one that was named, else that of the folder, if there is one."""
    own = Path("relation_types.yml")
    return relation_types or (own if own.is_file() else None)


def default_report(output: Path) -> Path:
    """Return where an import's report goes by default; annotation files never have this ending."""
    return output.with_suffix(".import.json")


def print_report(
    result: "ImportReport", policies: Policies, output: Path, report: Path, inputs: Sequence[Path]
) -> None:
    """Show what an import did: the formats, the first entries of each kind, the counts, and the next step.

    Args:
        result: What it did.
        policies: How it decided.
        output: The annotation file.
        report: The report's file.
        inputs: What was imported.
    """
    _print_files(result)
    _print_entries(result)
    _print_counts(result)
    _print_advice(result, policies.unknown_labels)
    passages = result.passages
    done = ", ".join(
        f"{passages[key]} {key}" for key in ("added", "updated", "unchanged", "untouched") if passages[key]
    )
    labels = ", ".join(f"{label} {count}" for label, count in result.labels.most_common(12))
    if passages["kept"]:
        related = ", ".join(f"{name} {count}" for name, count in result.relation_types.most_common(12))
        shown = f". Relations: {related or 'none'}" if result.relations["read"] else ""
        msg.good(f"{output}: {done}. Spans: {labels or 'none'}{shown}")
    else:
        msg.warn(f"Nothing was imported into {output}.", _why_nothing(result))
    msg.info(f"Everything that was changed, refused or left out is in {report}")
    if result.undecided:
        compare = join(["domain-ner", "agreement", *map(str, inputs)])
        msg.warn(
            f"In {result.undecided} passage(s) the annotators differ and no majority decides: training learns nothing "
            "from those places until somebody has decided. Correct them in the labelling tool, or mark one version as "
            f"ground truth, and import again. See them: {compare}"
        )


def _print_files(result: "ImportReport") -> None:
    for name, file_format in result.files[:10]:
        msg.info(f"{name}: {file_format or 'not recognised, left out'}")
    if len(result.files) > 10:
        msg.info(f"... and {len(result.files) - 10} more files")


def _print_entries(result: "ImportReport") -> None:
    unread = sum(not file_format for _, file_format in result.files)
    for kind, total, show in (
        ("unread", unread, msg.warn),
        ("updated", result.passages["updated"], msg.info),
        ("changed", _total(result, "changed"), msg.info),
        ("refused", _total(result, "refused"), msg.warn),
    ):
        for entry in result.shown[kind][:5]:  # type: ignore[index]
            # The reasons name the parameters of the library.
            show(f"{kind}: {with_options(str(entry))}")
        if total > 5:
            show(f"... {total} {kind} in all")


def _total(result: "ImportReport", kind: str) -> int:
    return result.passages[kind] + result.spans[kind] + result.relations[kind]


def _print_counts(result: "ImportReport") -> None:
    columns = {"annotated passages": result.passages, "spans": result.spans}
    if result.relations["read"]:
        columns["relations"] = result.relations
    rows = [
        (kind, *(counter[kind] for counter in columns.values())) for kind in ("read", "kept", "left out", "refused")
    ]
    merged = [counter["merged"] for name, counter in columns.items() if name != "annotated passages"]
    rows += [("merged (there twice)", "", *merged), ("changed", *(counter["changed"] for counter in columns.values()))]
    msg.table(rows, header=("", *columns), divider=True, aligns=("l", *"r" * len(columns)))


def _print_advice(result: "ImportReport", unknown_labels: UnknownLabels) -> None:
    for reason, count in result.reasons.most_common():
        msg.info(f"{count} left out: {reason.value}")
    if result.incorrect:
        msg.info(f"{result.incorrect} rejected suggestion(s) are known to be wrong: training learns that, and no more")
    for kind, count in result.ignored.most_common():
        msg.info(f"{count} result(s) not read as spans: {kind}")
    for (label, known), count in result.spellings.most_common(10):
        msg.info(f"{count} of {label!r} taken as {known}, which is the same name in another spelling")
    for label, count in result.unknown_labels.most_common(10):
        old = quote(f"{label}=")
        msg.warn(
            f"{count} span(s) of {label}, which is not an entity type: {_FATES[unknown_labels]}. Import again with "
            f"--rename {old}TYPE if it is another name of a type, with --rename {old} if it is not an entity."
        )
    for name, count in result.unknown_relations.most_common(10):
        old = quote(f"{name}=")
        msg.warn(
            f"{count} relation(s) of the type {name}, which is not a relation type. Import again with --rename "
            f"{old}TYPE if it is another name of one, with --rename {old} to leave them out."
        )
    for name, counts in result.offset_units.items():
        found = ", ".join(f"{count} in {unit}" for unit, count in counts.items())
        msg.warn(f"{name}: what the offsets count was found by the text: {found}. --offset-unit UNIT forces one.")
    if 2 * result.without_spans > max(result.passages["kept"], 1):
        msg.warn(
            f"{result.without_spans} passages have no span and count as without entities: --empty drop leaves them out"
        )


def _why_nothing(result: "ImportReport") -> str:
    from spacy_domain_ner.exchange.reasons import Reason

    if result.reasons[Reason.PREDICTED]:
        return "The file has only predictions: --predictions keep takes them."
    if result.reasons[Reason.PARTIAL]:
        return (
            "Binary answers don't say what else is in a text: --partial keep learns what they say, and --to-label FILE "
            "writes the passages to be completed."
        )
    return "See above why."
