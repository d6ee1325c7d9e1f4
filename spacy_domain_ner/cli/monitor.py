"""domain-ner monitor sample, domain-ner monitor estimate; the other verbs of the group are in `_drift.py`."""

from json import dumps
from pathlib import Path
from typing import TYPE_CHECKING

import typer

import spacy_domain_ner as ner
from spacy_domain_ner.cli import _drift  # noqa: F401  registers its verbs
from spacy_domain_ner.cli import _importing as importing
from spacy_domain_ner.cli._app import verb
from spacy_domain_ner.cli._messages import msg
from spacy_domain_ner.cli._monitor import LIVE, MODEL_VERSION, TEXT_KEY, monitor
from spacy_domain_ner.cli._progress import progress_bar
from spacy_domain_ner.files import replacing

if TYPE_CHECKING:
    from spacy_domain_ner.monitoring.quality import Anchoring, LiveFigures, LiveQuality
    from spacy_domain_ner.monitoring.sampling import Sample

SHOWN = 20


@verb("sample", monitor)
def sample_cli(
    live: list[str] = LIVE,
    output: Path = typer.Option(..., "--output", "-o", help="File to write: passages to label (JSON lines)"),
    model: str = typer.Option(
        None, "--model", "-m", help="The model that has read the rows; it reads those again that lack what it expects"
    ),
    size: int = typer.Option(200, help="How many passages to choose"),
    types: list[str] = typer.Option(
        [], help="A type that gets a share of its own, with the number of passages: TEAM=60 (may be repeated)"
    ),
    per_source: int = typer.Option(1, help="Most passages with the same meta.source"),
    blind: float = typer.Option(0.2, help="Share of the passages in which the model's entities are not filled in"),
    seed: int = typer.Option(0, help="Seed of the choice"),
    detect: list[float] = typer.Option(
        [], help="Say how many passages show a drop of F1 of this size, such as 0.05 (may be repeated)"
    ),
    model_version: str = MODEL_VERSION,
    text_key: str = TEXT_KEY,
) -> None:
    """Choose live passages for people to review: half at random, half where the model is likely to be wrong.

    `domain-ner export` makes tasks for Label Studio, doccano or Prodigy of them; `monitor estimate` reads the answers.
    """
    with progress_bar("Reading the live rows") as progress:
        sample = ner.sample_for_review(
            live, output, model=model, size=size, types=types, per_source=per_source, blind=blind, seed=seed,
            detect=detect, model_version=model_version, text_key=text_key, progress=progress,
        )  # fmt: skip
    for note in sample.notes[:SHOWN]:
        msg.warn(note)
    if len(sample.notes) > SHOWN:
        msg.warn(f"... {len(sample.notes)} notes in all")
    _print_detectable(sample)
    mentions = ", ".join(f"{label} {count:.0f}" for label, count in sorted(sample.expected.items()) if count >= 0.5)
    msg.plain(f"Mentions that the model expects in the sample: {mentions or 'none'}")
    msg.good(
        f"{sample.size} passages of {sample.rows:,} live rows in {output}, {sample.blind} of them blind "
        f"(sample {sample.name})"
    )
    msg.info(f"Now make tasks of them: domain-ner export label-studio {output} --output tasks.json")


@verb("estimate", monitor)
def estimate_cli(
    reviewed: list[str] = typer.Argument(
        ..., help="What the labelling tool exports, or annotation files; and, to compare, the live rows"
    ),
    metrics: Path = typer.Option(
        None,
        help="Figures on the evaluation set: metrics.json, or a packaged model's folder",
        show_default="metrics/metrics.json where there is one",
    ),
    drop: float = typer.Option(0.05, help="Drop of F1 whose probability is told"),
    schema: Path = importing.SCHEMA,
    output: Path = typer.Option(None, "--output", "-o", help="JSON file to write"),
    json: bool = typer.Option(False, "--json", help="Print JSON in place of a table"),
    file_format: str = importing.FILE_FORMAT,
    model_version: str = MODEL_VERSION,
    text_key: str = TEXT_KEY,
) -> None:
    """Estimate precision, recall and F1 on live text from reviewed passages, with 95 % intervals.

    The passages are those that `monitor sample` chose. A type with fewer than 30 verified mentions is unknown.
    """
    from spacy_domain_ner.monitoring.live import are_live_rows

    live = [path for path in reviewed if are_live_rows(path, text_key)]
    own = Path("metrics/metrics.json")
    with progress_bar("Reading the live rows") as progress:
        quality = ner.estimate_quality(
            [path for path in reviewed if path not in live], live, metrics=metrics or (own if own.is_file() else None),
            drop=drop, schema=importing.default_schema(schema), file_format=file_format, model_version=model_version,
            text_key=text_key, progress=progress,
        )  # fmt: skip
    text = dumps(quality.to_dict(), indent=2, ensure_ascii=False) + "\n"
    if output is not None:
        with replacing(output) as stream:
            stream.write(text)
    if json:
        msg.data(text)
        return
    for note in quality.notes:
        msg.warn(note)
    _print_quality(quality)


def _print_quality(quality: "LiveQuality") -> None:
    from spacy_domain_ner.evaluation.bootstrap import with_interval

    rows = [_row("all types", quality.micro), *(_row(label, found) for label, found in quality.types.items())]
    header = ["live", "precision", "recall", "F1", "mentions"]
    if quality.evaluated:
        header += ["evaluated F1", f"P(drop ≥ {100 * quality.drop:g} points)"]
    msg.table([row[: len(header)] for row in rows], header=header, divider=True, aligns=("l", *"r" * (len(header) - 1)))
    unknown = [(label, found) for label, found in quality.types.items() if not found.is_known and found.more_passages]
    if quality.micro.more_passages:
        unknown = [("All types", quality.micro), *unknown]
    for label, found in unknown:
        msg.plain(
            f"{label}: unknown, {found.mentions} mention(s) verified; about {found.more_passages:,} more passages"
        )
    if calibration := quality.calibration:
        msg.plain(
            f"The model says a precision of {calibration.said:.3f}, and it is {with_interval(calibration.precision)}; "
            f"calibration error {calibration.error:.3f} ({calibration.by_chance:.3f} by chance)"
        )
    if anchoring := quality.anchoring:
        msg.plain(_in_words(anchoring))
    msg.good(
        f"{quality.reviewed} of {quality.sampled} sampled passages, for {quality.rows:,.0f} live rows of "
        f"{quality.model or 'a model that is not named'}"
    )


def _in_words(anchoring: "Anchoring") -> str:
    from spacy_domain_ner.evaluation.bootstrap import with_interval

    if anchoring.is_certain and anchoring.confirmed:
        low, high = (max(0.0, 100 * end) for end in (anchoring.confirmed.low, anchoring.confirmed.high))
        return (
            "Errors of the model that reviewers confirmed where they saw them: "
            f"{100 * anchoring.confirmed.value:.0f} % ({low:.0f} to {high:.0f} %), against {anchoring.blind} blind "
            f"passages, whose F1 is {with_interval(anchoring.f1_blind)}"
        )
    said = f"No sign that reviewers follow the model, from {anchoring.blind} blind passages"
    if anchoring.blind_needed and anchoring.blind_needed > anchoring.blind:
        return f"{said}; about {anchoring.blind_needed} would show it if they confirmed 30 % of its errors"
    return said


def _row(label: str, found: "LiveFigures") -> list[str]:
    from spacy_domain_ner.evaluation.bootstrap import with_interval

    live = [with_interval(found.precision), with_interval(found.recall), with_interval(found.f1)]
    drop = "–" if found.drop_probability is None else f"{found.drop_probability:.2f}"
    cells = live if found.is_known else ["unknown"] * 3
    return [label, *cells, f"{found.mentions:,}", with_interval(found.evaluated.get("f1")), drop]


def _print_detectable(sample: "Sample") -> None:
    for one in sample.detectable:
        points = f"{100 * one.drop:g} points of F1"
        if one.passages is None:
            msg.warn(f"The model expects no entity: no number of passages shows a drop of {points}")
            continue
        msg.plain(f"To see a drop of {points} (4 times in 5), about so many passages must be reviewed:")
        rows = [("all types", f"{one.passages:,}"), *((label, f"{count:,}") for label, count in one.of_types.items())]
        msg.table(rows, header=("type", "passages"), divider=True, aligns=("l", "r"))
