"""How good a model is on live text, estimated from reviewed passages of a sample.

What the model says of all live rows (how many of its entities are right, how many there are) is corrected by what the
reviewed passages show: the difference between both, each passage divided by the probability with which it was drawn
(the difference estimator; C.-E. Saerndal et al., Model Assisted Survey Sampling, 1992, chapter 6). It has no bias,
however wrong the model is about itself; the better it knows itself, the narrower are the intervals.
"""

import math
from collections.abc import Callable, Iterable, Mapping, Sequence
from pathlib import Path
from types import MappingProxyType
from typing import TYPE_CHECKING

import numpy

from spacy_domain_ner.errors import UserError
from spacy_domain_ner.evaluation.bootstrap import Estimate
from spacy_domain_ner.monitoring.anchoring import measure_anchoring
from spacy_domain_ner.monitoring.counts import CLUSTERED, Counts, Totals, clustering
from spacy_domain_ner.monitoring.evaluated import FIGURES, Evaluated, read_evaluated
from spacy_domain_ner.monitoring.intervals import NORMAL, normal_share, student
from spacy_domain_ner.monitoring.live import open_live
from spacy_domain_ner.monitoring.quality import FEWEST_MENTIONS, LiveCalibration, LiveFigures, LiveQuality
from spacy_domain_ner.monitoring.reviews import Review, known_labels, read_reviews

if TYPE_CHECKING:
    from spacy_domain_ner.schema import EntitySchema

BINS = 10


def estimate_quality(
    reviewed: Iterable[str | Path],
    live: Iterable[str | Path] = (),
    *,
    metrics: str | Path | None = None,
    drop: float = 0.05,
    schema: "EntitySchema | str | Path | None" = None,
    file_format: str | None = None,
    text_key: str = "text",
    model_version: str | None = None,
    progress: Callable[[float], None] | None = None,
) -> LiveQuality:
    """Estimate how good a model is on live text, from reviewed passages of a sample.

    Args:
        reviewed: What people made of the passages that `sample_for_review` chose: exports of labelling tools or
            annotation files. Several samples of one model are estimated together.
        live: The live rows that the sample was drawn from. The sample carries what they add up to, so they are not
            needed; given, they are compared with it.
        metrics: The figures on the evaluation set: `evaluate`'s metrics.json, or a packaged model's folder. None
            compares with nothing.
        drop: The drop of F1, between 0 and 1, whose probability is given.
        schema: The entity types; None takes every label that reviewers used.
        file_format: The form of the exports, as for `import_annotations`; None recognises it.
        text_key: The key of the text in the live rows.
        model_version: As for `open_live`.
        progress: Called with the share of the live rows that was read, from 0 to 1.

    Returns:
        The figures.

    Raises:
        UserError: A file can't be read, nothing in it was sampled, the sample is of two models or of another one than
            the live rows, or an argument does not fit.
    """
    if not 0 < drop < 1:
        raise UserError(f"`drop` is {drop}", "It must be between 0 and 1, for instance 0.05 for 5 points.")
    reviewed = [str(path) for path in reviewed]
    if not reviewed:
        raise UserError(
            "No reviewed passages are named", "Give what the labelling tool exports of the passages that were sampled."
        )
    evaluated = None if metrics is None else read_evaluated(metrics)
    read = read_reviews(reviewed, schema=schema, file_format=file_format)
    notes = list(read.notes)
    model = _one_model(read.reviews)
    if places := [str(path) for path in live]:
        notes += _compare_with_live(places, read.reviews, model, text_key, model_version, progress)
    return estimate_reviews(read.reviews, evaluated, drop, notes)


def estimate_reviews(
    reviews: Sequence[Review], evaluated: Evaluated | None = None, drop: float = 0.05, notes: Sequence[str] = ()
) -> LiveQuality:
    """Estimate from reviews that were read: see `estimate_quality`.

    Args:
        reviews: The reviews, one or more, all of one model.
        evaluated: The figures on the evaluation set.
        drop: The drop of F1 whose probability is given.
        notes: What did not count.
    """
    labels, others = known_labels(reviews)
    notes = [*notes, *_label_notes(others)]
    labels += sorted(others)
    counts = Counts(reviews, labels)
    samples = {one.mark.sample: one.mark.totals for one in reviews}
    sampled = sum(totals.size for totals in samples.values())
    if len(reviews) < sampled:
        notes.append(
            f"{sampled - len(reviews)} of {sampled} sampled passages did not come back: they are taken to be like "
            "the others"
        )
    whole = counts.totals(range(len(labels)))
    of_types = [counts.totals([number]) for number in range(len(labels))]
    clustered = {name: clustering(of_types, whole, name) for name in FIGURES}
    types = {
        label: _figures(totals, int(mentions), evaluated, label, drop, clustered)
        for label, totals, mentions in zip(labels, of_types, counts.mentions, strict=True)
    }
    micro = _figures(whole, int(counts.mentions.sum()), evaluated, None, drop)
    anchoring = measure_anchoring(reviews, counts, labels)
    if anchoring and anchoring.is_certain and anchoring.confirmed:
        notes.append(
            f"Reviewers confirmed {100 * anchoring.confirmed.value:.0f} % "
            f"({100 * anchoring.confirmed.low:.0f} to {100 * anchoring.confirmed.high:.0f} %) of the model's errors "
            "where they saw them: the figures are likely too good. Those of the blind passages alone are not "
            "(`blind` of the next sample: 1)."
        )
    return LiveQuality(
        reviews[0].mark.model, sum(totals.rows for totals in samples.values()), sampled, len(reviews), drop, micro,
        types, _calibration(reviews, counts, micro), anchoring, evaluated.source if evaluated else "", tuple(notes),
        max(one.mark.last for one in reviews),
    )  # fmt: skip


def _figures(
    totals: Totals,
    mentions: int,
    evaluated: Evaluated | None,
    label: str | None,
    drop: float,
    clustered: Mapping[str, float] = MappingProxyType({}),
) -> LiveFigures:
    before: Mapping[str, Estimate] = {}
    if evaluated is not None:
        before = evaluated.micro if label is None else evaluated.types.get(label, {})
    if mentions < FEWEST_MENTIONS:
        return LiveFigures(None, None, None, mentions, before, None, _more_passages(totals, mentions))
    found = {name: totals.figure(name, clustered.get(name, CLUSTERED)) for name in FIGURES}
    estimates = {name: one.estimate if one else None for name, one in found.items()}
    probability = None
    if (live := found["f1"]) and (reference := before.get("f1")):
        # As much wider as Student's distribution is.
        own = live.variance * (student(live.freedom) / NORMAL) ** 2
        deviation = math.sqrt(own + ((reference.high - reference.low) / (2 * NORMAL)) ** 2)
        probability = normal_share((reference.value - live.estimate.value - drop) / max(deviation, 1e-9))
    return LiveFigures(
        estimates["precision"], estimates["recall"], estimates["f1"], mentions, before, drop_probability=probability
    )


def _more_passages(totals: Totals, mentions: int) -> int | None:
    """About how many more passages have the mentions that are missing, by what was found so far."""
    # What the model expects counts as one passage's worth, so that nothing found yet does not mean never.
    passages = len(totals.tp)
    expected = float((totals.gold - totals.gold_off).sum())
    rate = (mentions + min(1.0, expected)) / (passages + 1)
    return math.ceil((FEWEST_MENTIONS - mentions) / rate) if rate > 0 else None


def _calibration(reviews: Sequence[Review], counts: Counts, micro: LiveFigures) -> LiveCalibration | None:
    """Compare confidence and precision in bins, each entity with its passage's weight."""
    found, right, _ = counts.of_rows.sum(axis=1)
    judged = [
        (weight, one.sure, any((one.start, one.end, one.label) == (s.start, s.end, s.label) for s in review.spans))
        for review, weight in zip(reviews, counts.weights, strict=True)
        for one in review.mark.found
        if review.is_judged(one.start, one.end)
    ]
    if not judged or found <= 0:
        return None
    weights, sure, good = (numpy.array(side, float) for side in zip(*judged, strict=True))
    bins = numpy.minimum(BINS - 1, (sure * BINS).astype(int))
    gaps = numpy.bincount(bins, weights * (sure - good), BINS)
    chances = numpy.sqrt(numpy.bincount(bins, weights**2 * sure * (1 - sure), BINS))
    error = float(numpy.abs(gaps).sum() / weights.sum())
    by_chance = float(math.sqrt(2 / math.pi) * chances.sum() / weights.sum())
    return LiveCalibration(right / found, micro.precision, error, by_chance)


def _one_model(reviews: Sequence[Review]) -> str:
    models = sorted({review.mark.model for review in reviews})
    if len(models) > 1:
        raise UserError(
            f"The reviewed passages are of several models: {', '.join(name or 'an unnamed one' for name in models)}",
            "Each model has figures of its own: give the reviews of one.",
        )
    return models[0]


def _label_notes(others: Mapping[str, int]) -> list[str]:
    return [
        f"{label}: {count} mention(s) of a type that the model neither finds nor expects anywhere; they count as missed"
        for label, count in sorted(others.items())
    ]


def _compare_with_live(
    live: list[str],
    reviews: Sequence[Review],
    model: str,
    text_key: str,
    model_version: str | None,
    progress: Callable[[float], None] | None,
) -> list[str]:
    """Read the live rows, and say where they are not those that the sample was drawn from."""
    missing = {review.mark.fingerprint: review for review in reviews}
    with open_live(live, text_key=text_key, model_version=model_version, progress=progress) as rows:
        weight = 0.0
        for row in rows:
            weight += 1 / row.probability
            missing.pop(row.fingerprint, None)
        if rows.model and model and rows.model != model:
            raise UserError(
                f"The sample is of the model {model}, and the live rows are of {rows.model}",
                "Each model has figures of its own: sample the rows of this one.",
            )
        notes = list(rows.refusals)
    if missing:
        notes.append(f"{len(missing)} of the reviewed passages are not among the live rows that were given")
    sampled = sum({review.mark.sample: review.mark.totals.rows for review in reviews}.values())
    if abs(weight - sampled) > 0.5:
        notes.append(
            f"{weight:,.0f} live rows were given, and the sample was drawn from {sampled:,.0f}: the figures are of "
            "those"
        )
    return notes
