"""Choosing the passages of a pool to label next: those from which a model learns most, and some at random.

The pool is read once, in constant memory, and the same passages give the same choice in whatever order they come. The
passages that are chosen for what a model makes of them are for training only; those that are drawn at random are
labelled blind, and are what the next model is measured by.
"""

import json
from collections import Counter
from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass, field, replace
from itertools import tee
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy

from spacy_domain_ner.annotation.candidates import Best, Candidate, key_of
from spacy_domain_ner.annotation.choosing import (
    WordCounts,
    by_doubts,
    by_vocabulary,
    reason_of,
    score_of,
    word_of,
)
from spacy_domain_ner.annotation.junk import why_junk
from spacy_domain_ner.annotation.labelled import Labelled, read_labelled, source_of
from spacy_domain_ner.annotation.stopping import Gain, expected_gains, labelling_hours, remember
from spacy_domain_ner.confidence.doubts import read_doubts
from spacy_domain_ner.confidence.prediction import UNCERTAINTY, expected_entities, recognizer_with
from spacy_domain_ner.corpus.jsonl import Refusal, to_record
from spacy_domain_ner.corpus.passage import BLIND, TRAINING_ONLY, Passage
from spacy_domain_ner.errors import UserError, reason
from spacy_domain_ner.evaluation.gates import GATE
from spacy_domain_ner.exchange.tasks import stream_to_label
from spacy_domain_ner.files import at_work, replacing
from spacy_domain_ner.models import load_model
from spacy_domain_ner.reading.texts import find_texts

if TYPE_CHECKING:
    from spacy.language import Language

# The key of `meta` that says why a passage was chosen.
SELECTED = "selected"
RANDOM_SHARE, PER_SOURCE, MAX_WORDS = 0.1, 2, 300
# Without a model, half of the passages are drawn at random: something has to be measured by.
FIRST_RANDOM_SHARE = 0.5
# The pool's best passages that are kept for the choice: so many times those that are wanted, and at least so many.
CANDIDATES, FEWEST_CANDIDATES = 20, 2_000
# Passages with the same leading word that are kept: each one chosen halves what the word is worth.
PER_LEAD = 20
# A type that has reached its gate counts this much of one that has no F1 at all.
LEAST_WEIGHT = 0.1
# What `extract` adds to a record.
_OF_EXTRACT = ("entities", "expected", "model")
# Passages that are read without a model at a time.
_BATCH = 256


@dataclass(frozen=True)
class Selected:
    """A passage to label next.

    Attributes:
        passage: The passage, as it is written.
        reason: Why it was chosen, in words; "" where it was drawn at random.
        score: How much there is to be learned from it, for each word that is read; 0 where it was drawn at random.
        words: How many words it has.
    """

    passage: Passage
    reason: str
    score: float
    words: int

    @property
    def is_random(self) -> bool:
        """Whether it was drawn at random, to be labelled blind."""
        return not self.reason


@dataclass
class Selection:
    """What was chosen from a pool.

    Attributes:
        chosen: The passages, those that teach most first, then those drawn at random.
        read: How many passages the pool has.
        left_out: How many of them can't be chosen, by the reason.
        refusals: The lines and files that could not be read; the first ones of them.
        refused: How many there are.
        weights: What it counts to learn each type, 1 for the weakest one.
        mentions: How many mentions of each type the model expects in the chosen passages.
        hours: How long they take to label, as an estimate.
        gains: What they are likely to gain for each type of which enough is known.
        notes: What the user should know, a sentence each.
    """

    chosen: list[Selected] = field(default_factory=list)
    read: int = 0
    left_out: Counter[str] = field(default_factory=Counter)
    refusals: list[Refusal] = field(default_factory=list)
    refused: int = 0
    weights: dict[str, float] = field(default_factory=dict)
    mentions: dict[str, float] = field(default_factory=dict)
    hours: float = 0.0
    gains: list[Gain] = field(default_factory=list)
    notes: list[str] = field(default_factory=list)


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
    file_format: str | None = None,
    encoding: str = "utf-8",
    text_key: str = "text",
    progress: Callable[[float], None] | None = None,
) -> Selection:
    """Choose the passages of a pool to label next, and write them.

    Each passage has a score: the entropy of the model's word marginals, by what it is worth to learn each type, divided
    by the words that are read. A word counts half each time it was chosen. `export_tasks` and `push_tasks` make tasks
    of the passages.

    Args:
        pool: Files (JSON lines or lists, also those that `extract` has written, text with one passage per line, web
            pages, tables), folders and zip archives of them, or "-" for standard input.
        output: The file to write (JSON lines); None writes none.
        model: A trained model, its folder or the name of its package. None covers the pool's vocabulary, and draws half
            of the passages at random, as many long ones as the pool has.
        size: How many passages to choose; fewer where the pool has not so many.
        types: The types to learn; none for all, each by what it lacks to its gate.
        labelled: Annotation files, whose passages and near duplicates are left out.
        held_out: The files of the sets that the model is measured by. Passages of their sources are drawn at random
            only: `split` could not train on them.
        metrics: The figures of the last evaluation, which say what each type lacks; None takes all types alike.
        gate: The F1 to reach.
        random_share: The share that is drawn at random and labelled blind, 0 to 1; None is 0.1, and 0.5 without a
            model.
        per_source: The most passages with the same `meta.source`.
        max_words: The most words of a passage.
        language: The language of the passages; None takes the model's. Texts in another one are left out.
        seed: The seed of what is random.
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
    _check(size, random_share, per_source, max_words, gate)
    known = read_labelled(labelled, held_out)
    nlp = load_model(model) if isinstance(model, str | Path) else model
    found = Selection()
    if nlp is not None:
        found.weights = type_weights(nlp, types, metrics, gate)
    elif [*types]:
        raise UserError("Without a `model` nobody knows where the types are", "Name a `model`, or leave out `types`.")
    share = random_share if random_share is not None else FIRST_RANDOM_SHARE if nlp is None else RANDOM_SHARE
    reader = _PoolReader(found, known, language or (nlp.lang if nlp is not None else "en"), max_words, seed, size)
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
        reader.read(passages, nlp)
    _choose(found, reader, known, nlp, size, share, per_source)
    if not found.chosen:
        raise _nothing(found, pool)
    if nlp is not None:
        _look_ahead(found, nlp, known, metrics, output)
    if output is not None:
        _write(Path(output), found.chosen)
    return found


def type_weights(
    nlp: "Language", types: Iterable[str] = (), metrics: str | Path | None = None, gate: float = GATE
) -> dict[str, float]:
    """Say what it counts to learn each type of a model.

    Args:
        nlp: The model.
        types: The types to learn, which count 1; the others count 0. None are named: all count.
        metrics: The figures of the last evaluation. A type counts by what its F1 lacks to the gate, and a little where
            it has reached it; the weakest one counts 1. None: all count 1.
        gate: The F1 to reach.

    Raises:
        UserError: The model does not have a type, or the figures can't be read.
    """
    labels, wanted = labels_of(nlp), [*types]
    if unknown := [label for label in wanted if label not in labels]:
        raise UserError(
            f"The model does not know the type {unknown[0]!r} in `types`", f"It knows: {', '.join(sorted(labels))}"
        )
    if wanted:
        return {label: float(label in wanted) for label in labels}
    if metrics is None:
        return dict.fromkeys(labels, 1.0)
    of_types = read_metrics(metrics)["types"]
    lacks = {label: max(0.0, gate - (of_types.get(label, {}).get("f1") or 0.0)) for label in labels}
    most = max(lacks.values(), default=0.0) or 1.0
    return {label: round(max(LEAST_WEIGHT, lack / most), 3) for label, lack in lacks.items()}


def labels_of(nlp: "Language") -> tuple[str, ...]:
    """The types that a model's recognizer finds."""
    labels: tuple[str, ...] = nlp.get_pipe(recognizer_with(nlp, UNCERTAINTY)).labels
    return labels


def read_metrics(path: str | Path) -> dict[str, Any]:
    """Read the figures of an evaluation.

    Raises:
        UserError: The file is missing or is something else.
    """
    try:
        figures = json.loads(Path(path).read_bytes())
        if all(isinstance(one, dict) for one in figures["types"].values()):
            return figures
    except OSError as error:
        raise UserError(f"Can't read `metrics` {path}: {reason(error)}", "`domain-ner evaluate` writes it.") from None
    except (ValueError, KeyError, TypeError, AttributeError, RecursionError):
        pass
    raise UserError(f"{path} does not hold the figures of an evaluation", "`domain-ner evaluate` writes `metrics`.")


class _PoolReader:
    """Reads a pool once: the best passages, some random ones, how often it has each word, and what is left out."""

    def __init__(self, found: Selection, known: Labelled, language: str, max_words: int, seed: int, size: int) -> None:
        self._found, self._known = found, known
        self._language, self._max_words, self._seed = language, max_words, seed
        most = max(FEWEST_CANDIDATES, CANDIDATES * size)
        self.counts = WordCounts()
        self.best = Best(most, PER_LEAD)
        # The order of a hash is a random one.
        self.drawn = Best(most)

    def refuse(self, refusals: Iterable[Refusal]) -> None:
        for refusal in refusals:
            self._found.refused += not refusal.skipped
            if not refusal.skipped and len(self._found.refusals) < _BATCH:
                self._found.refusals.append(refusal)
            elif refusal.skipped:
                self._found.left_out["rejected or skipped by an annotator"] += 1

    def good(self, lines: Iterable[Passage | Refusal]) -> Iterator[Passage]:
        """The passages that may be chosen."""
        for line in lines:
            if isinstance(line, Refusal):
                self.refuse([line])
                continue
            self._found.read += 1
            why = why_junk(line.text, self._language, self._known.script, self._max_words)
            if not why and key_of(line.text) in self._known.texts:
                why = "labelled already"
            if why:
                self._found.left_out[why] += 1
            else:
                yield _as_passage(line)

    def read(self, passages: Iterator[Passage], nlp: "Language | None") -> None:
        if nlp is None:
            for passage in passages:
                lower = _hashes(passage.text)
                self.counts.add(lower)
                self._draw(Candidate(passage, key_of(passage.text, self._seed), len(lower), (), lower))
            return
        passages, read = tee(passages)
        found = read_doubts(nlp, (passage.text for passage in read), self._found.weights)
        for passage, doubts in zip(passages, found, strict=True):
            self.counts.add(doubts.lower)
            candidate = Candidate(passage, key_of(passage.text), doubts.words, doubts.doubts, doubts.lower)
            score = score_of(doubts.gain, doubts.words)
            if score <= 0:
                self._found.left_out["the model is sure of each word"] += 1
            elif self.best.takes(score, candidate.key):
                most = max(doubts.doubts, key=lambda doubt: doubt.gain)
                self.best.add(score, word_of(passage.text, most), candidate)
            self._draw(replace(candidate, key=key_of(passage.text, self._seed), doubts=()))

    def _draw(self, candidate: Candidate) -> None:
        self.drawn.add(0.0, "", candidate)


def _as_passage(passage: Passage) -> Passage:
    """A passage of the pool without what `extract` has added; its source is the line where `extract` read one."""
    extra = {key: value for key, value in passage.extra.items() if key not in _OF_EXTRACT}
    meta = dict(passage.meta)
    if "entities" in passage.extra and "source" in meta and isinstance(meta.get("line"), int):
        meta["source"] = f"{Path(str(meta['source'])).name}:{meta.pop('line')}"
    return replace(passage, meta=meta, extra=extra)


def _hashes(text: str) -> Any:
    from spacy.strings import get_string_id

    return numpy.array([get_string_id(word.lower()) for word in text.split()], "u8")


def _choose(
    found: Selection,
    reader: _PoolReader,
    known: Labelled,
    nlp: "Language | None",
    size: int,
    share: float,
    per_source: int,
) -> None:
    """Choose among the candidates: at random first, then those that teach most."""
    accepting = _Accepting(found, known, per_source)
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
    for one, score in ordered if size > len(random) else ():
        why = reason_of(one, known, wanted.__contains__) if nlp is not None else "words that the pool has often"
        passage = replace(one.passage, meta={**one.passage.meta, SELECTED: why, TRAINING_ONLY: True})
        found.chosen.append(Selected(passage, why, round(score, 4), one.words))
        if len(found.chosen) + len(random) >= size:
            break
    for one in random:
        # What the pool says of the spans would not be blind.
        passage = replace(one.passage, spans=[], unknown=[], extra={**one.passage.extra, BLIND: True})
        found.chosen.append(Selected(passage, "", 0.0, one.words))
    copies = reader.drawn.copies
    if copies:
        found.left_out["the same text again"] += copies
    _note_size(found, size, per_source)


class _Accepting:
    """Says whether a candidate can be chosen beside those that were."""

    def __init__(self, found: Selection, known: Labelled, per_source: int) -> None:
        self._found, self._known, self._per_source = found, known, per_source
        self._of_source: Counter[str] = Counter()
        self._texts: set[bytes] = set()
        self._random_sources: set[str] = set()

    def random(self, one: Candidate) -> bool:
        source = source_of(one.passage)
        # Passages of a source stay together: those for training only could not be trained on any more.
        if source in self._known.targeted or not self._take(one, source):
            return False
        self._random_sources.add(source)
        return True

    def targeted(self, one: Candidate) -> bool:
        source = source_of(one.passage)
        if key_of(one.passage.text) in self._texts:
            return False
        for sources, why in ((self._known.held_out, "is held out"), (self._random_sources, "was drawn from at random")):
            if source and source in sources:
                self._found.left_out[f"its source {why}, for the evaluation"] += 1
                return False
        return self._take(one, source)

    def _take(self, one: Candidate, source: str) -> bool:
        key = key_of(one.passage.text)
        if key in self._texts:
            return False
        if source and self._of_source[source] >= self._per_source:
            self._found.left_out[f"{self._per_source} of its source are chosen"] += 1
            return False
        if self._known.near.has_like(one.passage.text):
            self._found.left_out["nearly the same as another one"] += 1
            return False
        self._known.near.add(one.passage.text)
        self._texts.add(key)
        self._of_source[source] += 1
        return True


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


def _check(size: int, random_share: float | None, per_source: int, max_words: int, gate: float) -> None:
    for name, value in (("size", size), ("per_source", per_source), ("max_words", max_words)):
        if value < 1:
            raise UserError(f"`{name}` is {value}", "It must be 1 or more.")
    for name, share in (("random_share", random_share), ("gate", gate)):
        if share is not None and not 0 <= share <= 1:
            raise UserError(f"`{name}` is {share}", "It must be between 0 and 1.")
