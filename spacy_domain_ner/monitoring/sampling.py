"""Choosing live passages for people to review: half of them at random, half where the model is likely to be wrong.

Whole passages are reviewed, since only that shows what a model has missed. Each passage carries in `meta.monitor` the
probability with which it was drawn, and all else that an estimate needs later.
"""

import json
import math
import time
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass, field
from hashlib import blake2b
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy

from spacy_domain_ner.corpus.passage import TRAINING_ONLY, Passage, Span
from spacy_domain_ner.errors import UserError
from spacy_domain_ner.files import replacing
from spacy_domain_ner.monitoring.candidates import (
    Candidate,
    Stream,
    count_weights,
    digest,
    expectations,
    read_stream,
    with_expected,
)
from spacy_domain_ner.monitoring.live import Found, Live, LiveRow, model_name, open_live
from spacy_domain_ner.monitoring.marks import BY_ERROR, MONITOR, UNIFORM, Mark, Totals, without_blanks
from spacy_domain_ner.monitoring.power import CLUSTERED, Detectable, passages_needed
from spacy_domain_ner.monitoring.probabilities import draw, inclusion_probabilities, whole_numbers
from spacy_domain_ner.monitoring.windows import ISO

if TYPE_CHECKING:
    from spacy_domain_ner.extraction.extractor import Extractor

# The share of the sample that is uniform, and the share that is reviewed without the model's entities.
UNIFORM_SHARE, BLIND_SHARE = 0.5, 0.2
# Where a model is sure of all, something may be wrong all the same: the error that is expected in any passage.
LEAST_ERROR = 0.02
# A key beside the text in a sample that nobody has reviewed yet.
SAMPLED = "sampled"


@dataclass
class Sample:
    """A sample for review.

    Attributes:
        name: What identifies it; in each mark.
        size: How many passages it has.
        blind: How many of them have no entities filled in.
        rows: How many live rows it was drawn from.
        passages: How many different texts these have, up to the number that is kept in memory.
        per_source: The most passages of a source.
        sources: How many sources the passages come from.
        model: The model that has read them.
        expected: How many entities of each type the sample is expected to have.
        detectable: For each drop of F1 that was asked for, how many passages are needed to see it.
        notes: What was left out or is not known, a sentence each.
    """

    name: str
    size: int
    blind: int
    rows: int
    passages: int
    per_source: int
    sources: int
    model: str
    expected: Mapping[str, float]
    detectable: list[Detectable] = field(default_factory=list)
    notes: list[str] = field(default_factory=list)


def sample_for_review(
    live: Iterable[str | Path],
    output: str | Path,
    *,
    model: str | Path | None = None,
    size: int = 200,
    types: Iterable[str] | Mapping[str, int] = (),
    per_source: int = 1,
    blind: float = BLIND_SHARE,
    seed: int = 0,
    detect: Iterable[float] = (),
    model_version: str | None = None,
    text_key: str = "text",
    progress: Callable[[float], None] | None = None,
) -> Sample:
    """Choose live passages for people to review, and write them as passages to label, with the model's entities.

    A passage is drawn with a probability that is half the same for each live row, and half in proportion to the number
    of errors that the model expects in it. The same rows and seed give the same choice. `export_tasks` makes tasks for
    a labelling tool of the output, and `estimate_quality` reads what people made of it.

    Args:
        live: What `extract` has written (best with `expected`) or the server has logged: files, folders, archives.
        output: The file to write (JSON lines).
        model: The model that has read the rows: its folder or the name of its package. Rows that do not say how many
            entities it expects are read by it again. None believes the rows.
        size: How many passages to choose; fewer where there are not so many different ones.
        types: Types that get a share of the sample, with the number of passages: "TEAM=60". These are drawn in
            proportion to the number of such entities, and of such errors, that the model expects in them.
        per_source: The most passages with the same `meta.source`; more where there are too few sources.
        blind: The share of the passages in which the model's entities are not filled in, 0 to 1: they show how far
            reviewers follow the model.
        seed: The seed of the choice.
        detect: Drops of F1, such as 0.05, of which to say how many passages show them.
        model_version: Leave out the rows of other models, as for `open_live`. None leaves out those that say to be of
            another model than `model`, if that is given.
        text_key: The key of the text in the rows.
        progress: Called with the share of the rows that was read, from 0 to 1. They are read twice, and three times
            where there are more different passages than are kept in memory.

    Returns:
        What was chosen.

    Raises:
        UserError: The rows can't be read, are of two models or of another model than `model`, or an argument does not
            fit.
    """
    budgets = _checked(size, types, per_source, blind, detect)
    generator = numpy.random.default_rng(seed)
    extractor = _extractor(model)
    digest = extractor.identity["digest"] if extractor else ""
    with open_live(live, text_key=text_key, model_version=model_version, digest=digest, progress=progress) as rows:
        if any(Path(name).exists() and Path(output).exists() and Path(output).samefile(name) for name in rows.names):
            raise UserError(f"The output {output} is one of the inputs", "Name another file for `output`.")
        stream = read_stream(with_expected(rows, extractor), budgets, seed)
        identity = _checked_model(rows, extractor)
        notes = _notes(rows, extractor, model_version)
        if stream.threshold < math.inf:
            count_weights(rows, stream)
        chosen, limit = choose(stream, min(size, len(stream.passages)), budgets, per_source, generator)
        name = blake2b(f"{seed} {stream.rows} {identity} {sorted(chosen)}".encode(), digest_size=6).hexdigest()
        _fetch(rows, extractor, stream, chosen)
    size = len(chosen)
    totals = Totals(round(stream.weight, 4), size, stream.predicted, stream.right, stream.expected)
    blinded = set(generator.permutation(sorted(chosen))[: round(blind * size)].tolist())
    last = stream.last or time.strftime(ISO, time.gmtime())
    with replacing(Path(output)) as file:
        for number in sorted(chosen):
            record = _record(chosen[number], name, identity, number in blinded, totals, last)
            file.write(json.dumps(record, ensure_ascii=False) + "\n")
    expected: dict[str, float] = {}
    for one in chosen.values():
        for label, count in expectations(one.row).items():
            expected[label] = expected.get(label, 0.0) + count
    notes += [
        f"The model neither finds nor expects {label} in the rows: its passages are drawn uniformly (`types`)."
        for label in budgets
        if not stream.predicted[label] and not stream.expected[label]
    ]
    if limit > per_source:
        notes.append(f"The rows have too few sources: up to {limit} passages of one are in the sample (`per_source`).")
    return Sample(
        name, size, len(blinded), stream.rows, len(stream.passages), limit,
        len({one.candidate.source for one in chosen.values()}), identity, expected,
        [_detectable(drop, stream, _gain(stream)) for drop in detect], notes,
    )  # fmt: skip


@dataclass
class Chosen:
    """A passage that was drawn."""

    candidate: Candidate
    probability: float
    part: str
    row: LiveRow = field(default_factory=lambda: LiveRow("", ()))


def choose(
    stream: Stream, size: int, budgets: Mapping[str, int], per_source: int, generator: numpy.random.Generator
) -> tuple[dict[int, Chosen], int]:
    """Draw passages.

    Args:
        stream: The live rows.
        size: How many passages.
        budgets: How many of them are drawn for types of their own.
        per_source: The most passages of a source.
        generator: What is random.

    Returns:
        The passages by the number of their first row, and the most passages of a source.
    """
    candidates = list(stream.passages.values())
    weights = numpy.array([one.weight for one in candidates])
    kept = 1 - numpy.exp(-numpy.minimum(stream.threshold * weights, 700)) if stream.threshold < math.inf else 1.0
    masses = weights / kept
    shares = _shares(stream, candidates, masses, size, budgets)
    _, sources = numpy.unique([one.source for one in candidates], return_inverse=True)
    found, limit = inclusion_probabilities(shares, sources, per_source)
    drawn = draw(found, sources, generator)
    # Of what was drawn, so many are thinned out that the rest is a uniform sample by itself.
    even = shares[0][0] * masses / masses.sum() / numpy.maximum(found, 1e-300)
    is_uniform = generator.random(len(candidates)) < even
    both = found * kept
    return {
        candidates[number].row: Chosen(
            candidates[number], float(both[number]), UNIFORM if is_uniform[number] else BY_ERROR
        )
        for number in drawn
    }, limit


def _shares(
    stream: Stream, candidates: list[Candidate], masses: Any, size: int, budgets: Mapping[str, int]
) -> list[tuple[float, Any]]:
    """What the parts of a sample are drawn in proportion to: uniform first, then by error, then for the types."""
    wanted = min(size, sum(budgets.values()))
    of_types = whole_numbers(wanted, list(budgets.values())) if wanted else []
    right, predicted = sum(stream.right.values()), sum(stream.predicted.values())
    errors = numpy.array([(one.unsure, one.missed) for one in candidates])
    f1 = _said_f1(right, predicted, sum(stream.expected.values()))
    rest = size - wanted
    shares = [
        (UNIFORM_SHARE * rest, masses),
        ((1 - UNIFORM_SHARE) * rest, masses * expected_error(errors[:, 0], errors[:, 1], f1)),
    ]
    for index, (label, number) in enumerate(zip(budgets, of_types, strict=True)):
        values = numpy.array([one.of_types[index] for one in candidates])
        # Of a type that was never found, all errors are misses.
        f1 = max(0.5, _said_f1(stream.right[label], stream.predicted[label], stream.expected[label]))
        by_error = numpy.sqrt((2 - f1) ** 2 * values[:, 0] + f1**2 * values[:, 1])
        shares += [(number / 2, masses * values[:, 2]), (number / 2, masses * by_error)]
    # What has no weight at all, such as a type that nothing expects, is drawn uniformly.
    lost = sum(number for number, weights in shares if weights.sum() == 0)
    shares[0] = shares[0][0] + lost, shares[0][1]
    return [shares[0], *((number, weights) for number, weights in shares[1:] if weights.sum() > 0)]


def expected_error(unsure: Any, missed: Any, f1: float) -> Any:
    """How far a passage's counts are expected to be from what the model says: a standard deviation.

    F1 is 2 TP / (P + G), and its linearised error in a passage is 2 dTP - F1 dG. The found entities that are right
    count in both TP and G, the missed ones in G alone.

    Args:
        unsure: The variance of the number of found entities that are right.
        missed: The expected number of entities that were missed, which is also its variance (Poisson).
        f1: The F1 that the model expects.
    """
    return numpy.sqrt((2 - f1) ** 2 * unsure + f1**2 * missed + LEAST_ERROR)


def _said_f1(right: float, predicted: float, expected: float) -> float:
    return 2 * right / (predicted + expected) if predicted + expected > 0 else 1.0


def _gain(stream: Stream) -> float:
    """The variance of a sample, as a share of that of a uniform sample of the same size: by what the model says."""
    found = [(one.weight, one.unsure, one.missed) for one in stream.passages.values()]
    weights, unsure, missed = numpy.array(found, float).T
    f1 = _said_f1(sum(stream.right.values()), sum(stream.predicted.values()), sum(stream.expected.values()))
    by_error = weights * expected_error(unsure, missed, f1)
    uniform = weights / weights.sum()
    drawn = UNIFORM_SHARE * uniform + (1 - UNIFORM_SHARE) * by_error / by_error.sum()
    squares = weights**2 * ((2 - f1) ** 2 * unsure + f1**2 * missed)
    return float((squares / drawn).sum() / (squares / uniform).sum()) if squares.any() else 1.0


def _detectable(drop: float, stream: Stream, gain: float) -> Detectable:
    labels = sorted({*stream.predicted, *stream.expected})
    of_types = {label: _needed(drop, stream, [label], gain) for label in labels}
    found = {label: number for label, number in of_types.items() if number is not None}
    return Detectable(drop, _needed(drop, stream, labels, gain), found)


def _needed(drop: float, stream: Stream, labels: list[str], gain: float) -> int | None:
    right, predicted, expected, unsure, missed = (
        sum(counts[label] for label in labels)
        for counts in (stream.right, stream.predicted, stream.expected, stream.unsure, stream.missed)
    )
    f1 = _said_f1(right, predicted, expected)
    squared = CLUSTERED * ((2 - f1) ** 2 * unsure + f1**2 * missed) / stream.weight
    return passages_needed(drop, squared, stream.weight, predicted + expected, gain)


def _fetch(rows: Live, extractor: "Extractor | None", stream: Stream, chosen: Mapping[int, Chosen]) -> None:
    """Read the chosen rows."""
    numbered = ((number, row) for number, row in zip(range(stream.rows), rows, strict=False) if number in chosen)
    numbers, found = [], []
    for number, row in numbered:
        numbers.append(number)
        found.append(row)
    for number, row in zip(numbers, with_expected(found, extractor), strict=True):
        if digest(row.text) not in stream.passages:
            raise UserError(f"{row.place} has changed while it was read", "Run the same command again.")
        chosen[number].row = row


def mark_of(one: Chosen, name: str, model: str, blind: bool, totals: Totals, last: str = "") -> Mark:
    """Make the mark of a drawn passage."""
    row = one.row
    places = without_blanks(row.text)
    found = tuple(Found(places[f.start], places[f.end], f.label, f.confidence) for f in row.found)
    return Mark(
        name, one.part, blind, one.probability, round(one.candidate.weight, 4), row.probability, model,
        row.fingerprint, found, expectations(row), totals, last,
    )  # fmt: skip


def _record(one: Chosen, name: str, model: str, blind: bool, totals: Totals, last: str) -> dict[str, Any]:
    row = one.row
    mark = mark_of(one, name, model, blind, totals, last)
    spans = [] if blind else sorted(Span(f.start, f.end, f.label) for f in row.found)
    # What was drawn since the model is likely to be wrong in it may be trained on, and measures nothing.
    only = {TRAINING_ONLY: True} if mark.part == BY_ERROR else {}
    passage = Passage(row.text, spans, {**row.meta, **only, MONITOR: mark.to_meta()})
    return {
        "text": passage.text,
        "spans": [{"start": span.start, "end": span.end, "label": span.label} for span in passage.spans],
        "meta": passage.meta,
        **({} if row.id is None else {"id": row.id}),
        SAMPLED: True,
    }


def _checked(
    size: int, types: Iterable[str] | Mapping[str, int], per_source: int, blind: float, detect: Iterable[float]
) -> dict[str, int]:
    """Check the arguments, and give the number of passages for each type that has one."""
    if size < 10:
        raise UserError(f"`size` is {size}", "It must be 10 or more: fewer passages tell nothing.")
    if per_source < 1:
        raise UserError(f"`per_source` is {per_source}", "It must be 1 or more.")
    if not 0 <= blind <= 1:
        raise UserError(f"`blind` is {blind}", "It must be between 0 and 1.")
    for drop in detect:
        if not 0 < drop < 1:
            raise UserError(f"`detect` is {drop}", "It must be between 0 and 1, for instance 0.05 for 5 points.")
    given = [f"{label}={number}" for label, number in types.items()] if isinstance(types, Mapping) else list(types)
    budgets: dict[str, int] = {}
    for one in given:
        label, _, number = one.rpartition("=")
        if not label or not number.isdecimal() or not int(number):
            raise UserError(f"`types` is {one!r}", "Give a type and a number of passages: `types=TEAM=60`")
        budgets[label] = int(number)
    if sum(budgets.values()) > size:
        what = f"`types` asks for {sum(budgets.values())} passages, and `size` is {size}"
        raise UserError(what, "Ask for fewer, or choose more passages in all.")
    return budgets


def _extractor(model: str | Path | None) -> "Extractor | None":
    if model is None:
        return None
    from spacy_domain_ner.extraction.extractor import Extractor

    extractor = Extractor(model)
    # A model that can't tell what it expects is refused before anything is read.
    extractor.expected(())
    return extractor


def _checked_model(rows: Live, extractor: "Extractor | None") -> str:
    own = "" if extractor is None else model_name(extractor.identity)
    if own and rows.model and own != rows.model:
        raise UserError(
            f"The live rows are of the model {rows.model}, and `model` is {own}",
            "Name the model that has read them; what it misses can't be told by another.",
        )
    return rows.model or own


def _notes(rows: Live, extractor: "Extractor | None", model_version: str | None) -> list[str]:
    notes = list(rows.refusals)
    if rows.refused > len(rows.refusals):
        notes.append(f"{rows.refused} lines were left out in all.")
    for name, count in rows.of_other_models.items():
        notes.append(f"{count} row(s) of {name or 'a model that is not named'} were left out.")
    if rows.unsure:
        notes.append(
            f"{rows.unsure} entities have no confidence: rules of the pipeline have set them; they count as sure."
        )
    if rows.without_expected and extractor is None:
        notes.append(
            f"{rows.without_expected} of {rows.rows} rows do not say how many entities the model expects, so what it "
            "misses is not looked for. Let `extract` write them (--expected), or name the `model`."
        )
    return notes
