"""Suspect annotations found by cross-validation: each fold is read by a model that was trained on the others."""

import gc
import hashlib
from collections import defaultdict
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace
from functools import partial
from pathlib import Path
from typing import Any

import srsly
from spacy.language import Language

from spacy_domain_ner.annotation.suspects import rank_suspects
from spacy_domain_ner.confidence import Prediction, predict_with_probabilities
from spacy_domain_ner.corpus.jsonl import read_valid_passages, to_record
from spacy_domain_ner.corpus.passage import MODEL_ERRORS, SUSPECTS, Passage, Span
from spacy_domain_ner.corpus.spacy_docs import load_tokenizing_pipeline
from spacy_domain_ner.corpus.split import group_of
from spacy_domain_ner.errors import UserError
from spacy_domain_ner.evaluation.label_issues import Suspect
from spacy_domain_ner.experiments.runs import (
    RunFolder,
    TrainingRun,
    bare,
    check_file,
    identity_of,
    run_once,
    run_record,
    train_on,
)
from spacy_domain_ner.files import at_work, replacing
from spacy_domain_ner.training.recipe import JSONL, Recipe, RunInputs

FOLDS, FEWEST_FOLDS = 4, 3
# More than anybody looks through at a time.
LIMIT = 200
# Suspects below this line are seldom errors: where errors were planted in fin_sec and bc5cdr, a third or more of the
# suspects above it were planted ones, and a tenth of those below it (benchmarks/suspects.py).
WORTH_A_LOOK = 0.65

# Start, end, label and probability.
Scored = tuple[int, int, str, float | None]


class FoldRun(TrainingRun):
    """A training, and what its model finds in the passages that it was not trained on.

    Attributes:
        found: The predicted spans of each passage.
        annotated: The annotated spans of each passage.
    """

    found: list[list[Scored]]
    annotated: list[list[Scored]]


@dataclass(frozen=True)
class Fold:
    """The passages that a model reads, and those that it is trained on and stopped by."""

    held_out: list[Passage]
    train: list[Passage]
    dev: list[Passage]


def find_suspects(
    recipe: Recipe = Recipe(),
    *,
    output: str | Path = Path("metrics/suspects.jsonl"),
    folds: int = FOLDS,
    limit: int = LIMIT,
    min_confidence: float = WORTH_A_LOOK,
    say: Callable[[str], None] = print,
) -> list[Suspect]:
    """Find annotations that are likely to be wrong: models that were not trained on them contradict them.

    The passages of the training and early-stopping sets are divided into folds, and each fold is read by a model that
    was trained on the others. The file has the passages with their annotation, the most doubtful first, as labelling
    tools open it; `meta` says what the models find. What was measured is kept in a folder beside it, so that an
    interrupted search continues where it was.

    Args:
        recipe: What is trained on, and how. Its seed also decides the folds.
        output: The file of the suspects.
        folds: How many models are trained. Each reads its share of the passages.
        limit: The most suspects that are written.
        min_confidence: How much a contradiction must weigh to be written, from 0 to 1.
        say: Gets a line for each run.

    Returns:
        The suspects that were written, the most doubtful first.

    Raises:
        UserError: If a file is missing, a number is out of range, or there are too few passages to divide.
    """
    output = Path(output)
    if limit < 1:
        raise UserError(f"`limit` is {limit}", f"Give 1 or more, for instance {LIMIT}.")
    if not 0 <= min_confidence <= 1:
        raise UserError(f"`min_confidence` is {min_confidence}", f"Give a number from 0 to 1; {WORTH_A_LOOK} is usual.")
    check_file(recipe.config, "configure")
    for path in recipe.sets(JSONL):
        check_file(path, "split")
    passages = [passage for path in recipe.sets(JSONL) for passage in read_valid_passages(path)]
    divided = make_folds(divide(passages, folds, recipe.seed))
    nlp = load_tokenizing_pipeline(recipe.config)
    readings = []
    with at_work(output):
        for number, fold in enumerate(divided, 1):
            inputs = recipe.inputs(
                train=identity_of(fold.train), dev=identity_of(fold.dev), read=identity_of(fold.held_out)
            )
            kept_in = RunFolder(output.with_name(f"{output.stem}_runs"), f"fold-{number}")
            title = f"Run {number} of {folds}: {len(fold.held_out)} of {len(passages)} passages are read"
            measure = partial(_measure, recipe, nlp, inputs, fold)
            run = run_once(FoldRun, inputs, measure, kept_in, title, say, left=folds - number)
            predictions = [_prediction(*rows) for rows in zip(run.found, run.annotated, strict=True)]
            readings.append((fold.held_out, predictions, fold.train))
        found = rank_suspects(readings)
        suspects = [suspect for suspect in found if suspect.confidence >= min_confidence][:limit]
        say(f"{len(found)} annotations are contradicted, {len(suspects)} of them so that they are worth a look")
        with replacing(output) as stream:
            stream.writelines(srsly.json_dumps(record) + "\n" for record in _records(suspects))
    return suspects


def read_suspects(path: Path, today: Sequence[Passage] = ()) -> list[Suspect]:
    """Read what `find_suspects` has written.

    Args:
        path: The file of the suspects.
        today: The training set. A passage whose annotation has changed in it is left out: someone has looked at it.

    Returns:
        The suspects, the most doubtful first.

    Raises:
        UserError: If the file can't be read or has other content.
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
                f"{passage.place} is not a line of a file of suspects",
                f"Delete {path}, and find them again: weasel run suspects",
            ) from None
        if spans_of.get(passage.identity, set(passage.spans)) == set(passage.spans):
            suspects += [Suspect(passage, *row) for row in rows]
    return sorted(suspects, key=lambda suspect: -suspect.confidence)


def divide(passages: Sequence[Passage], count: int, seed: int = 0) -> list[list[Passage]]:
    """Divide passages into parts of about the same size; what belongs together (`meta.source`) is in one.

    Args:
        passages: What is divided.
        count: The number of parts.
        seed: Decides between groups of the same size.

    Raises:
        UserError: If there are too few groups, or a part would have no annotated mention.
    """
    if count < FEWEST_FOLDS:
        raise UserError(f"`folds` is {count}", f"Give {FEWEST_FOLDS} or more; {FOLDS} are usual.")
    groups: dict[str, list[int]] = defaultdict(list)
    for index, passage in enumerate(passages):
        groups[group_of(passage)].append(index)
    # The largest first, each into the smallest part; a hash decides between groups of the same size.
    drawn = sorted(
        groups, key=lambda group: (-len(groups[group]), hashlib.blake2b(f"{seed} {group}".encode()).digest())
    )
    parts: list[list[int]] = [[] for _ in range(count)]
    for group in drawn:
        min(parts, key=len).extend(groups[group])
    divided = [[passages[index] for index in sorted(part)] for part in parts]
    if not all(any(passage.spans for passage in part) for part in divided):
        raise UserError(
            f"{len(passages)} passages of {len(groups)} sources can't be divided into {count} parts with mentions",
            "Annotate more passages, or give fewer `folds`.",
        )
    return divided


def make_folds(parts: Sequence[list[Passage]]) -> list[Fold]:
    """Make a fold of each part: the next part is for early stopping, the others are for training."""
    folds = []
    for index, held_out in enumerate(parts):
        dev_index = (index + 1) % len(parts)
        others = [part for other, part in enumerate(parts) if other not in (index, dev_index)]
        folds.append(Fold(held_out, [passage for part in others for passage in part], parts[dev_index]))
    return folds


def _measure(recipe: Recipe, nlp: Language, inputs: RunInputs, fold: Fold, folder: Path) -> FoldRun:
    """Train on a fold in a folder, and read what was held out."""
    model, seconds = train_on(recipe, nlp, folder, bare(fold.train), bare(fold.dev))
    predictions = list(predict_with_probabilities(model, fold.held_out))
    del model
    gc.collect()
    return FoldRun(
        found=[_scored(found.spans, found) for found in predictions],
        annotated=[_scored(passage.spans, found) for passage, found in zip(fold.held_out, predictions, strict=True)],
        **run_record(inputs, recipe.seed, seconds, fold.held_out, [found.spans for found in predictions]),
    )


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
        records.append(to_record(replace(passage, meta=meta, extra={**passage.extra, SUSPECTS: rows})))
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
