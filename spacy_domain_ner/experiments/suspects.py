"""Suspect annotations found by cross-validation: a config trained on all folds but one, which the model then reads."""

import gc
import hashlib
from collections import defaultdict
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import srsly

from spacy_domain_ner.annotation.suspects import Suspect, find_suspects
from spacy_domain_ner.confidence import Prediction, predict_with_probabilities
from spacy_domain_ner.corpus.jsonl import read_valid_passages, to_record
from spacy_domain_ner.corpus.passage import MODEL_ERRORS, SUSPECTS, Passage, Span
from spacy_domain_ner.corpus.spacy_docs import load_tokenizing_pipeline
from spacy_domain_ner.corpus.split import group_of
from spacy_domain_ner.errors import UserError
from spacy_domain_ner.experiments.runs import (
    Inputs,
    Place,
    TrainingRun,
    bare,
    check_file,
    check_seed,
    identity_of,
    md5,
    measured,
    run_once,
    train_on,
)
from spacy_domain_ner.files import replacing
from spacy_domain_ner.training.gpu import AUTO

FOLDS, FEWEST_FOLDS = 4, 3
# Nobody looks through more at a time.
LIMIT = 200

# Start, end, label and probability.
Scored = tuple[int, int, str, float | None]


@dataclass(frozen=True)
class Settings:
    """What is looked through, and how.

    train, dev: The training and early-stopping sets (.jsonl). Both are looked through.
    output: The file of the suspects. What is kept of each run lies in a folder beside it.
    folds: How many models are trained, each of which reads its share of the passages.
    limit: The most suspects that are written.
    seed: Of the folds, and of the trainings.
    max_epochs, patience_epochs, gpu_id: As for `train`.
    """

    train: Path = Path("corpus/train.jsonl")
    dev: Path = Path("corpus/dev.jsonl")
    output: Path = Path("metrics/suspects.jsonl")
    folds: int = FOLDS
    limit: int = LIMIT
    seed: int = 0
    max_epochs: int = 30
    patience_epochs: int = 5
    gpu_id: str | int = AUTO


class FoldRun(TrainingRun):
    """A training, and what its model makes of the passages that it was not trained on.

    found: The predicted spans of each; annotated: The annotated ones.
    """

    found: list[list[Scored]]
    annotated: list[list[Scored]]


def measure_suspects(
    config: Path, settings: Settings = Settings(), say: Callable[[str], None] = print
) -> list[Suspect]:
    """Train a config on all folds but one, each in turn, and write the annotations that the models contradict.

    The file has the passages with their annotation, the most doubtful first, as labelling tools open it: `meta` says
    what the models find. What was measured is kept beside it, so that an interrupted command goes on where it was.

    config: A spaCy training config, or one with a section `[huggingface]`.
    say: Gets a line for each run.
    RETURNS: The suspects that were written, the most doubtful first.
    RAISES: UserError where a file is missing, or there are too few passages to divide.
    """
    check_seed(settings.seed)
    check_file(config, "configure")
    check_file(settings.train, "split")
    check_file(settings.dev, "split")
    passages = [*read_valid_passages(settings.train), *read_valid_passages(settings.dev)]
    folds = divide(passages, settings.folds, settings.seed)
    numbers = {id(fold): number for number, fold in enumerate(folds, 1)}
    nlp = load_tokenizing_pipeline(config)

    def read(rest: list[Passage], dev: list[Passage], held_out: list[Passage]) -> list[Prediction]:
        inputs: Inputs = {
            "config": md5(config.read_bytes()),
            "train": identity_of(rest),
            "dev": identity_of(dev),
            "read": identity_of(held_out),
            "seed": settings.seed,
            "max_epochs": settings.max_epochs,
            "patience": settings.patience_epochs,
        }

        def measure(folder: Path) -> FoldRun:
            model, seconds = train_on(
                config,
                nlp,
                folder,
                bare(rest),
                bare(dev),
                max_epochs=settings.max_epochs,
                patience_epochs=settings.patience_epochs,
                seed=settings.seed,
                gpu_id=settings.gpu_id,
            )
            predictions = list(predict_with_probabilities(model, held_out))
            del model
            gc.collect()
            return FoldRun(
                found=[_scored(found.spans, found) for found in predictions],
                annotated=[_scored(passage.spans, found) for passage, found in zip(held_out, predictions, strict=True)],
                **measured(inputs, seconds, held_out, [found.spans for found in predictions]),
            )

        number = numbers[id(held_out)]
        place = Place(settings.output.with_name(f"{settings.output.stem}_runs"), f"fold-{number}")
        title = f"Run {number} of {len(folds)}: {len(held_out)} of {len(passages)} passages are read"
        run = run_once(FoldRun, inputs, measure, place, title, say)
        return [_prediction(*rows) for rows in zip(run.found, run.annotated, strict=True)]

    suspects = find_suspects(folds, read)[: settings.limit]
    with replacing(settings.output) as stream:
        stream.writelines(srsly.json_dumps(record) + "\n" for record in _records(suspects))
    return suspects


def read_suspects(path: Path, today: Sequence[Passage] = ()) -> list[Suspect]:
    """Read what `measure_suspects` has written.

    today: The training set. A passage whose annotation has changed in it is passed over: someone has looked at it.
    RETURNS: The most doubtful first.
    RAISES: UserError where the file can't be read or is no such file.
    """
    spans_of = {passage.identity: set(passage.spans) for passage in today}
    suspects = []
    for passage in read_valid_passages(path):
        try:
            rows = [
                (_span(row["annotated"]), _span(row["predicted"]), float(row["confidence"]))
                for row in passage.extra[SUSPECTS]
            ]
        except (KeyError, TypeError, ValueError):
            raise UserError(
                f"{passage.place} is not of a file of suspects",
                f"Delete {path}, and find them again: weasel run suspects",
            ) from None
        if spans_of.get(passage.identity, set(passage.spans)) == set(passage.spans):
            suspects += [Suspect(passage, *row) for row in rows]
    return sorted(suspects, key=lambda suspect: -suspect.confidence)


def divide(passages: Sequence[Passage], count: int, seed: int = 0) -> list[list[Passage]]:
    """Divide passages into folds of about the same size; what belongs together (`meta.source`) is in one.

    RAISES: UserError where there are too few groups, or a fold would have no annotated mention.
    """
    if count < FEWEST_FOLDS:
        raise UserError(f"{count} fold(s) are too few", f"Give {FEWEST_FOLDS} or more; {FOLDS} are usual.")
    groups: dict[str, list[int]] = defaultdict(list)
    for number, passage in enumerate(passages):
        groups[group_of(passage)].append(number)
    # The largest first, each into the smallest fold; of equal ones a hash decides.
    drawn = sorted(
        groups, key=lambda group: (-len(groups[group]), hashlib.blake2b(f"{seed} {group}".encode()).digest())
    )
    folds: list[list[int]] = [[] for _ in range(count)]
    for group in drawn:
        min(folds, key=len).extend(groups[group])
    divided = [[passages[number] for number in sorted(fold)] for fold in folds]
    if not all(any(passage.spans for passage in fold) for fold in divided):
        raise UserError(
            f"{len(passages)} passages of {len(groups)} sources can't be divided into {count} parts with mentions",
            "Annotate more passages, or give fewer folds.",
        )
    return divided


def _records(suspects: Sequence[Suspect]) -> list[dict[str, Any]]:
    of_passage: dict[int, list[Suspect]] = defaultdict(list)
    for suspect in suspects:
        of_passage[id(suspect.passage)].append(suspect)
    records = []
    for found in of_passage.values():
        passage = found[0].passage
        meta = {**passage.meta, MODEL_ERRORS: [suspect.in_words for suspect in found]}
        rows = [
            {
                "annotated": _row(suspect.annotated),
                "predicted": _row(suspect.predicted),
                "confidence": round(suspect.confidence, 4),
            }
            for suspect in found
        ]
        records.append(to_record(Passage(passage.text, passage.spans, meta, {**passage.extra, SUSPECTS: rows})))
    return records


def _row(span: Span | None) -> list[Any] | None:
    return [span.start, span.end, span.label] if span else None


def _span(row: Any) -> Span | None:
    if row is None:
        return None
    start, end, label = row
    return Span(int(start), int(end), str(label))


def _scored(spans: Sequence[Span], found: Prediction) -> list[Scored]:
    shares: Mapping[Span, float] = found.probabilities or {}
    unknown = None if found.probabilities is None else 0.0
    return [(span.start, span.end, span.label, shares.get(span, unknown)) for span in spans]


def _prediction(found: Sequence[Scored], annotated: Sequence[Scored]) -> Prediction:
    shares = {Span(start, end, label): share for start, end, label, share in (*annotated, *found) if share is not None}
    known = all(share is not None for *_, share in (*found, *annotated))
    return Prediction([Span(start, end, label) for start, end, label, _ in found], shares if known else None)
