"""Choosing the passages of a pool to label next: those from which a model learns most, and some at random.

The pool is read once, in constant memory, and the same passages give the same choice in whatever order they come. The
passages that are chosen for what a model makes of them are for training only; those that are drawn at random are
labelled blind, and are what the next model is measured by: as many of them are held out as there would be if all
passages were drawn at random, or all.
"""

import json
from collections import Counter
from collections.abc import Callable, Iterable, Mapping, Sequence
from concurrent.futures.process import BrokenProcessPool
from dataclasses import replace
from functools import partial
from heapq import merge
from operator import itemgetter
from pathlib import Path
from typing import TYPE_CHECKING

from spacy_domain_ner.annotation.accepting import Accepting
from spacy_domain_ner.annotation.candidates import Candidate
from spacy_domain_ner.annotation.choosing import by_doubts, by_vocabulary, reason_of, reason_of_words
from spacy_domain_ner.annotation.labelled import Labelled, read_labelled, source_of
from spacy_domain_ner.annotation.pool import NO_ENTITY, DoubtsOf, PoolReader
from spacy_domain_ner.annotation.selected import SELECTED, Selected, Selection
from spacy_domain_ner.annotation.stopping import expected_gains, remember
from spacy_domain_ner.annotation.type_weights import read_metrics, type_weights
from spacy_domain_ner.confidence.doubts import read_doubts, read_doubts_in_processes
from spacy_domain_ner.confidence.prediction import expected_entities
from spacy_domain_ner.corpus.jsonl import Refusal, to_record
from spacy_domain_ner.corpus.passage import BLIND, HELD_OUT_ONLY, TRAINING_ONLY
from spacy_domain_ner.corpus.split import DEV_FRACTION, EVAL_FRACTION
from spacy_domain_ner.errors import UserError
from spacy_domain_ner.evaluation.gains import labelling_hours
from spacy_domain_ner.evaluation.gates import GATE
from spacy_domain_ner.exchange.tasks import stream_to_label
from spacy_domain_ner.files import at_work, replacing
from spacy_domain_ner.models import load_model
from spacy_domain_ner.reading.texts import find_texts

if TYPE_CHECKING:
    from spacy.language import Language

NO_ENTITY_TOO = "the model is sure that it has no entity, and may be wrong"
RANDOM_SHARE, PER_SOURCE, MAX_WORDS = 0.1, 2, 300
# Without a model, half of the passages are drawn at random: something has to be measured by.
FIRST_RANDOM_SHARE = 0.5
# The share of all passages that a split holds out, for the evaluation and for early stopping.
HELD_OUT_SHARE = EVAL_FRACTION + (1 - EVAL_FRACTION) * DEV_FRACTION


def select_passages(
    pool: Iterable[str | Path],
    output: str | Path | None = None,
    *,
    model: "str | Path | Language | None" = None,
    size: int = 100,
    types: Iterable[str] = (),
    labelled: Iterable[str | Path] = (),
    held_out: Iterable[str | Path] = (),
    metrics: str | Path | None = None,
    gate: float = GATE,
    random_share: float | None = None,
    per_source: int = PER_SOURCE,
    max_words: int = MAX_WORDS,
    language: str | None = None,
    seed: int = 0,
    workers: int = 1,
    file_format: str | None = None,
    encoding: str = "utf-8",
    text_key: str = "text",
    progress: Callable[[float], None] | None = None,
) -> Selection:
    """Choose the passages of a pool to label next, and write them.

    Each passage has a score: over the words of which the model is unsure and those of names, the entropy of what the
    model thinks of the word plus the probability that it is in an entity, by what it is worth to learn each type; the
    sum is divided by the square root of the words that are read. A word counts half each time it was chosen.
    `export_tasks` and `push_tasks` make tasks of the passages.

    Args:
        pool: Files (JSON lines or lists, also those that `extract` has written, text with one passage per line, web
            pages, tables), folders and zip archives of them, or "-" for standard input.
        output: The file to write (JSON lines); None writes none.
        model: A trained model, its folder or the name of its package. None covers the pool's vocabulary, and draws half
            of the passages at random, as many long ones as the pool has.
        size: How many passages to choose; fewer where the pool has not so many.
        types: The types to learn; none for all, and those that are near the gate count less.
        labelled: Annotation files, whose passages and near duplicates are left out.
        held_out: The files of the sets that the model is measured by. Passages of their sources are drawn at random
            only: `split` could not train on them.
        metrics: The figures of the last evaluation, which say what types are near the gate; None takes all alike.
        gate: The F1 to reach.
        random_share: The share that is drawn at random and labelled blind, 0 to 1; None is 0.1, and 0.5 without a
            model.
        per_source: The most passages with the same `meta.source`.
        max_words: The most words of a passage.
        language: The language of the passages; None takes the model's. Texts in another one are left out.
        seed: The seed of what is random.
        workers: The number of processes that read the pool with the model; the choice is the same with any number.
        file_format: "jsonl", "json", "text", "csv" (any table of text), "html" or "parquet"; None looks at the files.
        encoding: The encoding of the files that have no byte order mark.
        text_key: The key of the text in JSON records, and its column in tables.
        progress: Called with the share of the pool that was read, from 0 to 1.

    Returns:
        What was chosen, and what was left out.

    Raises:
        UserError: The pool, the model or another file can't be read, no passage can be chosen, or an argument does not
            fit.
    """
    pool = [*pool]
    _check(size, random_share, per_source, max_words, gate, workers)
    known = read_labelled(labelled, held_out)
    nlp = load_model(model) if isinstance(model, str | Path) else model
    found = Selection()
    if nlp is not None:
        found.weights = type_weights(nlp, types, metrics, gate)
    elif [*types]:
        raise UserError("Without a `model` nobody knows where the types are", "Name a `model`, or leave out `types`.")
    share = random_share if random_share is not None else FIRST_RANDOM_SHARE if nlp is None else RANDOM_SHARE
    reader = PoolReader(found, known, language or (nlp.lang if nlp is not None else "en"), max_words, seed, size)
    total, done = 0, 0

    def advance(read: int) -> None:
        nonlocal done
        done += read
        if progress is not None and total:
            progress(min(1.0, done / total))

    with find_texts(pool, file_format=file_format, encoding=encoding, text_key=text_key, advance=advance) as texts:
        if output is not None and Path(output).exists():
            for file in texts.files:
                if file.can_be_read_again and Path(output).samefile(file.source.archive or file.source.path):
                    raise UserError(f"The output {output} is in the pool", "Name another file for `output`.")
        total = sum(file.size for file in texts.files)
        reader.refuse(Refusal(name, 0, why) for name, why in texts.left_out)
        passages = reader.good(stream_to_label(texts, text_key))
        try:
            reader.read(passages, _doubts_of(model, nlp, found.weights, workers))
        except BrokenProcessPool:
            raise UserError(
                "A worker process was killed, perhaps for lack of memory", "Run it again with fewer `workers`."
            ) from None
    _choose(found, reader, known, nlp, size, share, per_source)
    if not found.chosen:
        raise _nothing(found, pool)
    if nlp is not None:
        _look_ahead(found, nlp, known, metrics, output)
    if output is not None:
        _write(Path(output), found.chosen)
    return found


def _doubts_of(
    model: "str | Path | Language | None", nlp: "Language | None", weights: Mapping[str, float], workers: int
) -> DoubtsOf | None:
    """Say how texts are read: by the model in this process, in several, or not at all."""
    if nlp is None:
        return None
    if workers == 1:
        return partial(read_doubts, nlp, weights=weights)
    if not isinstance(model, str | Path):
        raise UserError("Several workers can't share one pipeline", "Give the model's folder or package name instead.")
    return partial(read_doubts_in_processes, model, weights=weights, batch_size=nlp.batch_size, workers=workers)


def _choose(
    found: Selection,
    reader: PoolReader,
    known: Labelled,
    nlp: "Language | None",
    size: int,
    share: float,
    per_source: int,
) -> None:
    """Choose among the candidates: at random first, then those that teach most."""
    accepting = Accepting(found, known, per_source)
    drawn = reader.drawn.best()
    at_random = round(min(size, len(drawn)) * share)
    stratified = _by_length(drawn, at_random) if nlp is None else drawn
    random: list[Candidate] = []
    for one in stratified:
        if len(random) < at_random and accepting.random(one):
            random.append(one)
    if nlp is None:
        ordered = by_vocabulary(drawn, reader.counts, accepting.targeted)
    else:
        ordered = by_doubts(reader.best.best(), reader.counts, accepting.targeted)
    wanted = {label for label, weight in found.weights.items() if weight > 0}
    for one, score, words in ordered if size > len(random) else ():
        why = reason_of(one, known, wanted.__contains__) if nlp is not None else reason_of_words(words)
        passage = replace(one.passage, meta={**one.passage.meta, SELECTED: why, TRAINING_ONLY: True})
        found.chosen.append(Selected(passage, why, round(score, 4), one.words))
        if len(found.chosen) + len(random) >= size:
            break
    if nlp is not None and wanted == set(found.weights):
        _fill(found, accepting, drawn, size - len(random))
    kept = _most_at_random(len(found.chosen), len(random), share)
    blind = _blind(random[:kept], len(found.chosen), known)
    # Spread evenly: whoever labels only the first half labels half of each.
    found.chosen = [one for _, one in merge(_evenly(found.chosen), _evenly(blind), key=itemgetter(0))]
    if nlp is not None:
        # They were counted when they were read, and then chosen or left out for another reason.
        found.left_out[NO_ENTITY] -= sum(_has_no_entity(one) and accepting.has_seen(one) for one in drawn)
        found.left_out += Counter()
    copies = reader.drawn.copies
    if copies:
        found.left_out["the same text again"] += copies
    _note_size(found, size, per_source)
    if kept < len(random):
        found.notes.append(f"Those at random are a share of {share:.0%} of what is chosen: they are fewer, too.")


def _fill(found: Selection, accepting: Accepting, drawn: Iterable[Candidate], size: int) -> None:
    """Fill up with passages in which the model surely finds nothing, in any order, when no others are left.

    A model that learns only from passages with names finds some where there are none.
    """
    filled = 0
    for one in drawn:
        if len(found.chosen) >= size:
            break
        if _has_no_entity(one) and accepting.targeted(one):
            passage = replace(one.passage, meta={**one.passage.meta, SELECTED: NO_ENTITY_TOO, TRAINING_ONLY: True})
            found.chosen.append(Selected(passage, NO_ENTITY_TOO, 0.0, one.words))
            filled += 1
    if filled:
        found.notes.append(
            f"The model is sure that {filled} of the passages have no entity: the pool has no others left."
        )


def _has_no_entity(one: Candidate) -> bool:
    return not any(doubt.gain > 0 for doubt in one.doubts)


def _most_at_random(targeted: int, drawn: int, share: float) -> int:
    """How many of those that were drawn at random are kept, for them to be no more than a share of what is chosen."""
    if not targeted:
        return drawn
    return max(count for count in range(drawn + 1) if count <= round((targeted + count) * share))


def _blind(random: Sequence[Candidate], targeted: int, known: Labelled) -> list[Selected]:
    """The passages that were drawn at random, to be labelled blind; some or all are never trained on.

    The others are divided as ever, which holds out the same share of them. A source that has labelled passages stays
    where it is.
    """
    wanted = targeted * HELD_OUT_SHARE / (1 - HELD_OUT_SHARE)
    # The keys are hashes: the order of the passages may be that of their lengths.
    new = sorted(one.key for one in random if source_of(one.passage) not in known.sources)
    held_out = {*new[: round(wanted)]}
    blind = []
    for one in random:
        meta = {**one.passage.meta, **({HELD_OUT_ONLY: True} if one.key in held_out else {})}
        # What the pool says of the spans would not be blind.
        passage = replace(one.passage, spans=[], unknown=[], meta=meta, extra={**one.passage.extra, BLIND: True})
        blind.append(Selected(passage, "", 0.0, one.words))
    return blind


def _evenly(chosen: Sequence[Selected]) -> list[tuple[float, Selected]]:
    """Each one with its place between 0 and 1."""
    return [((number + 0.5) / len(chosen), one) for number, one in enumerate(chosen)]


def _by_length(candidates: Sequence[Candidate], wanted: int) -> list[Candidate]:
    """Every so-manyth passage in the order of their lengths, then the others: each has the same chance to be first."""
    ordered = sorted(candidates, key=lambda one: (one.words, one.key))
    first = [ordered[number * len(ordered) // wanted] for number in range(wanted)] if wanted else []
    keys = {one.key for one in first}
    return [*first, *(one for one in candidates if one.key not in keys)]


def _note_size(found: Selection, size: int, per_source: int) -> None:
    if 0 < len(found.chosen) < size:
        found.notes.append(f"{len(found.chosen)} passage(s) were chosen, not {size}: the pool has no more that fit.")
        if found.left_out[f"{per_source} of its source are chosen"]:
            found.notes.append("Passages of the same source were left out: `per_source` takes more of them.")
        if any("for the evaluation" in why for why in found.left_out):
            found.notes.append(
                "The passages of a source (`meta.source`) stay together, to train on or to evaluate on: name each "
                "document as a source of its own."
            )


def _look_ahead(
    found: Selection, nlp: "Language", known: Labelled, metrics: str | Path | None, output: str | Path | None
) -> None:
    """Say what the chosen passages are likely to gain, and how long they take."""
    counts: Counter[str] = Counter()
    for expected in expected_entities(nlp, (one.passage.text for one in found.chosen)):
        counts.update(expected)
    found.mentions = {label: round(float(count), 1) for label, count in sorted(counts.items())}
    words = sum(one.words for one in found.chosen)
    found.hours = labelling_hours(len(found.chosen), words, sum(found.mentions.values()))
    if metrics is not None:
        figures, history = read_metrics(metrics), []
        if output is not None:
            history = remember(Path(output).with_suffix(".history.json"), known.passages, figures)
        found.gains = expected_gains(figures, history, len(found.chosen), found.mentions, found.hours)


def _nothing(found: Selection, pool: Sequence[str | Path]) -> UserError:
    reasons = [f"{count} left out: {why}" for why, count in found.left_out.most_common()]
    reasons += [f"Not read: {refusal}" for refusal in found.refusals[:5]]
    if any(why.startswith("longer than") for why in found.left_out):
        reasons.append("`max_words` takes longer ones; or cut the passages.")
    if not reasons:
        reasons.append("Give texts that nobody has labelled yet.")
    named = ", ".join(map(str, pool))
    return UserError(f"{named} has no passage to label", "\n".join(reasons))


def _write(path: Path, chosen: Iterable[Selected]) -> None:
    with at_work(path), replacing(path) as stream:
        for one in chosen:
            record = to_record(one.passage)
            # Nobody has annotated it yet.
            for key in ("answer", *(() if one.passage.spans else ("spans",))):
                record.pop(key)
            stream.write(json.dumps(record, ensure_ascii=False) + "\n")


def _check(size: int, random_share: float | None, per_source: int, max_words: int, gate: float, workers: int) -> None:
    counts = {"size": size, "per_source": per_source, "max_words": max_words, "workers": workers}
    for name, value in counts.items():
        if value < 1:
            raise UserError(f"`{name}` is {value}", "It must be 1 or more.")
    for name, share in (("random_share", random_share), ("gate", gate)):
        if share is not None and not 0 <= share <= 1:
            raise UserError(f"`{name}` is {share}", "It must be between 0 and 1.")
