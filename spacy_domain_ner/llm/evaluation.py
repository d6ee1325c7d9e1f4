"""Measuring a large language model beside the model, type by type, and deciding who finds what."""

import hashlib
from collections import Counter
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from time import perf_counter
from typing import TYPE_CHECKING, Any

import numpy

from spacy_domain_ner.confidence.prediction import expected_entities
from spacy_domain_ner.corpus.identity import text_identity
from spacy_domain_ner.corpus.jsonl import read_valid_passages
from spacy_domain_ner.corpus.passage import Passage, Span
from spacy_domain_ner.errors import UserError
from spacy_domain_ner.evaluation.bootstrap import (
    Counts,
    Estimate,
    count_passages,
    draw,
    estimate,
    estimate_difference,
    f1,
)
from spacy_domain_ner.llm.client import Client
from spacy_domain_ner.llm.decision import (
    Decision,
    TypeDecision,
    combine,
    prompt_digest,
    relative,
    write_decision,
)
from spacy_domain_ner.llm.entities import EntityFinder, Found, refused
from spacy_domain_ner.llm.prompt import EntityPrompts
from spacy_domain_ner.models import load_model, model_identity
from spacy_domain_ner.schema import read_schema

if TYPE_CHECKING:
    from spacy.language import Language

# A type is decided for the LLM where its F1 is higher by this much, as probably as this.
GAIN, PROBABILITY = 0.02, 0.9
# A threshold may cost this much of the type's F1 on the early-stopping set.
_COST_OF_THRESHOLD = 0.005
# Of an evaluation in which more of the passages than this were not answered nothing can be said.
_MOST_FAILED = 0.2
ALL = "all types"


@dataclass(frozen=True)
class Compared:
    """The F1 of a type, or of all together, on one set of passages.

    Attributes:
        model: That of the model.
        llm: That of the LLM.
        hybrid: That of both as decided.
        gain: How much higher the LLM's is than the model's, with the paired interval.
        difference: How much higher the hybrid's is than the model's, likewise.
        mentions: How many mentions are annotated.
    """

    model: Estimate | None
    llm: Estimate | None
    hybrid: Estimate | None
    gain: Estimate | None
    difference: Estimate | None
    mentions: int

    def to_dict(self) -> dict[str, Any]:
        """The figures as decision.json holds them."""
        found = {name: getattr(self, name) for name in ("model", "llm", "hybrid", "gain", "difference")}
        return {**{name: each and each.to_dict() for name, each in found.items()}, "mentions": self.mentions}


@dataclass(frozen=True)
class Side:
    """What was measured on one set of passages.

    Attributes:
        passages: How many it has.
        failed: How many of them the LLM has not answered, at least in part: there it has found nothing.
        sent: The share of the passages that the hybrid sends.
        types: The figures of each type that was asked for, and of `ALL` of them together.
        reasons: Why passages were not answered, with their number.
        refused: How many of the LLM's quotes were not taken, and how many it gave.
        dollars: What a thousand passages cost that are sent; None where the price is not known.
        seconds: How long the LLM takes for a passage that is sent; several are asked at once.
        model_seconds: How long the model takes for a passage.
    """

    passages: int
    failed: int
    sent: float
    types: dict[str, Compared]
    reasons: Counter[str]
    refused: tuple[int, int]
    dollars: float | None
    seconds: float
    model_seconds: float

    def to_dict(self) -> dict[str, Any]:
        """The figures as decision.json holds them."""
        return {
            "passages": self.passages,
            "failed": self.failed,
            "sent": round(self.sent, 4),
            "quotes": self.refused[1],
            "quotes_refused": self.refused[0],
            "dollars_per_1000_sent": self.dollars,
            "seconds_per_passage_sent": round(self.seconds, 4),
            "model_seconds_per_passage": round(self.model_seconds, 6),
            "types": {label: compared.to_dict() for label, compared in self.types.items()},
        }


@dataclass(frozen=True)
class LLMComparison:
    """How an LLM does beside the model, and what was decided.

    Attributes:
        decision: The decision.
        dev: What was measured on the early-stopping set, on which the choice was made.
        eval: What was measured on the evaluation set; None where nothing was decided for the LLM.
        notes: What to know about it, a sentence each.
    """

    decision: Decision
    dev: Side
    eval: Side | None
    notes: list[str] = field(default_factory=list)


@dataclass
class _Read:
    """What both have found in a set of passages."""

    passages: list[Passage]
    model: list[list[tuple[Span, float | None]]]
    expected: list[dict[str, float]] | None
    found: list[Found]
    model_seconds: float


def compare_with_llm(
    model: "str | Path | Language",
    settings: str | Path = "llm.yml",
    *,
    schema: str | Path = "entity_types.yml",
    train: str | Path = "corpus/train.jsonl",
    dev: str | Path = "corpus/dev.jsonl",
    eval: str | Path = "corpus/eval.jsonl",
    output: str | Path = "llm/decision.json",
    types: Sequence[str] = (),
    most: int | None = None,
    begin: Callable[[str], object] = lambda destination: None,
    advance: Callable[[float], object] = lambda share: None,
) -> LLMComparison:
    """Measure an LLM beside the model, and decide which types it finds in the model's place.

    The choice is made on the early-stopping set: a type is the LLM's where its F1 is higher by 0.02 or more with a
    probability of 0.9. The evaluation set then says once whether that is so. What was answered is kept, so that the
    same call costs nothing the second time.

    Args:
        model: The trained model.
        settings: The llm.yml. The ledger is in the folder `llm` beside it.
        schema: The entity types.
        train: The training set, from which the examples in the prompts come.
        dev: The early-stopping set.
        eval: The evaluation set.
        output: The file to write.
        types: The types to ask for; empty asks for all.
        most: The most passages of each set that are asked; None asks all. Those are the same ones each time.
        begin: Called once with a line that says where text will go, before any goes there.
        advance: Called with the share that is done, from 0 to 1.

    Returns:
        The figures, and the decision.

    Raises:
        UserError: A file can't be read, the LLM can't be asked, too many passages were not answered, or the budget
            does not suffice.
    """
    nlp = load_model(model) if isinstance(model, str | Path) else model
    entity_types = read_schema(schema)
    labels = _asked(types, entity_types.labels, schema)
    sets = [_take(read_valid_passages(path), most) for path in (dev, eval)]
    training = read_valid_passages(train)
    _check_apart(training, sets, train)
    total = sum(map(len, sets))
    with Client.open(settings) as client:
        prompts = EntityPrompts(
            entity_types, training, labels=labels, examples=client.settings.examples, guide=client.settings.guide
        )
        begin(client.destination)
        finder = EntityFinder(client, prompts, "evaluate")
        read = _read(nlp, sets[0], finder, dev, lambda done: advance(done / total))
        decision = _decide(read, labels, Decision(
            settings=relative(settings, Path(output).parent), entity_types=relative(schema, Path(output).parent),
            train=relative(train, Path(output).parent), asked=labels, prompt=prompt_digest(prompts),
            llm=client.settings.model, model=model_identity(nlp), types={},
        ))  # fmt: skip
        on_dev = _measure(read, labels, decision)
        on_eval = None
        if decision.from_llm:
            read = _read(nlp, sets[1], finder, eval, lambda done: advance((len(sets[0]) + done) / total))
            on_eval = _measure(read, labels, decision)
            _confirm(decision, on_eval)
    decision.figures = {"dev": on_dev.to_dict(), "eval": on_eval and on_eval.to_dict()}
    write_decision(Path(output), decision)
    return LLMComparison(decision, on_dev, on_eval, _notes(decision, on_dev, on_eval, read.expected is None))


def _asked(types: Sequence[str], labels: Sequence[str], schema: str | Path) -> list[str]:
    if unknown := [label for label in types if label not in labels]:
        raise UserError(f"{schema} has no type {unknown[0]!r}", f"`types` are among {', '.join(labels)}.")
    return [label for label in labels if label in types] if types else list(labels)


def _take(passages: list[Passage], most: int | None) -> list[Passage]:
    """The same passages each time, whatever was added, as far as that can be: those with the smallest hashes."""
    if most is None or len(passages) <= most:
        return passages
    ranked = sorted(passages, key=lambda passage: hashlib.blake2b(passage.text.encode("utf8", "replace")).digest())
    chosen = {id(passage) for passage in ranked[:most]}
    return [passage for passage in passages if id(passage) in chosen]


def _check_apart(training: Sequence[Passage], sets: Sequence[Sequence[Passage]], train: str | Path) -> None:
    known = {text_identity(passage.text) for passage in training}
    for passages in sets:
        for passage in passages:
            if text_identity(passage.text) in known:
                raise UserError(
                    f"{passage.place} is also in {train}",
                    "What is measured must not stand among the examples: make the sets with `domain-ner split`.",
                )


def _read(
    nlp: "Language", passages: list[Passage], finder: EntityFinder, name: str | Path, advance: Callable[[int], object]
) -> _Read:
    if not passages:
        raise UserError(f"{name} has no passages", "Run the split again: weasel run split")
    texts = [passage.text for passage in passages]
    start = perf_counter()
    model = [
        [
            (Span(ent.start_char, ent.end_char, ent.label_), ent._.confidence if ent._.has("confidence") else None)
            for ent in doc.ents
        ]
        for doc in nlp.pipe(texts)
    ]
    seconds = perf_counter() - start
    try:
        expected: list[dict[str, float]] | None = list(expected_entities(nlp, texts))
    except UserError:
        expected = None
    found: list[Found] = []
    for each in finder(texts):
        if each.failed and each.failed[0].kind == "setup":
            raise finder.client.stopped or UserError(each.error)
        if each.failed and each.failed[0].kind == "budget":
            raise UserError(
                f"The budget is used up after {len(found)} of {len(passages)} passages of {name}",
                "Raise budget in the settings, or ask fewer passages (`most`): what was answered is kept.",
            )
        found.append(each)
        advance(len(found))
    failed = [each for each in found if each.failed]
    if len(failed) > _MOST_FAILED * len(found):
        raise UserError(
            f"{len(failed)} of {len(found)} passages of {name} were not answered, the first since: {failed[0].error}",
            "What was answered is kept: run the same command again when the server is well.",
        )
    return _Read(passages, model, expected, found, seconds / len(passages))


def _decide(read: _Read, labels: Sequence[str], decision: Decision) -> Decision:
    """Choose on the early-stopping set."""
    model = _counts(read, [[span for span, _ in spans] for spans in read.model], labels)
    llm = _counts(read, [found.spans for found in read.found], labels)
    for label in labels:
        right, wrong, _ = llm[label].sum(axis=0)
        better = _probability(llm[label], model[label]) >= PROBABILITY
        threshold = None
        if better and read.expected is not None:
            threshold = _threshold([each.get(label, 0.0) for each in read.expected], llm[label], model[label])
        decision.types[label] = TypeDecision(
            source="llm" if better else "model",
            confidence=round((int(right) + 1) / (int(right) + int(wrong) + 2), 4),
            threshold=threshold,
        )
    return decision


def _probability(llm: Counts, model: Counts) -> float:
    """How probably the LLM's F1 is higher by the gain; a type that the model never finds has an F1 of 0."""
    difference = numpy.nan_to_num(f1(draw(llm))) - numpy.nan_to_num(f1(draw(model)))
    return float((difference >= GAIN).mean())


def _threshold(expected: Sequence[float], llm: Counts, model: Counts) -> float | None:
    """The highest number of expected entities from which on passages can be sent, and F1 stays what it is.

    Passages below it are the model's.
    """
    order = numpy.argsort(expected, kind="stable")
    values = numpy.asarray(expected)[order]
    changes = numpy.cumsum((model - llm)[order], axis=0)
    scores = f1(llm.sum(axis=0) + changes)
    enough = f1(llm.sum(axis=0)) - _COST_OF_THRESHOLD
    threshold = None
    for number in range(len(values) - 1):
        # Passages of which the model expects the same are sent together or not at all.
        if scores[number] >= enough and values[number] < values[number + 1]:
            # A little lower: what a model expects differs in the last digits from batch to batch.
            threshold = float(values[number] + 0.999 * (values[number + 1] - values[number]))
    return threshold


def _measure(read: _Read, labels: Sequence[str], decision: Decision) -> Side:
    sent = [decision.is_sent(read.expected[number] if read.expected else None) for number in range(len(read.passages))]
    hybrid = [
        [one.span for one in combine(model, found if is_sent else None, decision)]
        for model, found, is_sent in zip(read.model, read.found, sent, strict=True)
    ]
    sides = [
        _counts(read, spans, labels)
        for spans in (
            [[span for span, _ in spans] for spans in read.model],
            [each.spans for each in read.found],
            hybrid,
        )
    ]
    types = {label: _compared(*(counts[label] for counts in sides)) for label in [*labels, ALL]}
    usages = [each.usage for each in read.found]
    costs = [usage.cost for usage in usages if usage.cost is not None]
    return Side(
        passages=len(read.passages),
        failed=sum(bool(each.failed) for each in read.found),
        sent=sum(sent) / len(sent),
        types=types,
        reasons=Counter(each.error for each in read.found if each.failed),
        refused=(
            sum(refused(each.outcomes) for each in read.found),
            sum(each.outcomes.total() for each in read.found),
        ),
        dollars=1000 * sum(costs) / len(costs) if costs else None,
        seconds=sum(usage.seconds for usage in usages) / len(usages),
        model_seconds=read.model_seconds,
    )


def _counts(read: _Read, spans: Sequence[list[Span]], labels: Sequence[str]) -> dict[str, Counts]:
    """The counts of the types that were asked for, and of all of them together."""
    counts = count_passages(read.passages, [[one for one in each if one.label in labels] for each in spans], labels)
    asked = {label: counts[label] for label in labels}
    return {**asked, ALL: sum(asked.values(), numpy.zeros_like(asked[labels[0]]))}


def _compared(model: Counts, llm: Counts, hybrid: Counts) -> Compared:
    return Compared(
        estimate(model),
        estimate(llm),
        estimate(hybrid),
        estimate_difference(llm, model),
        estimate_difference(hybrid, model),
        int(model[:, [0, 2]].sum()),
    )


def _confirm(decision: Decision, on_eval: Side) -> None:
    """Let the evaluation set confirm each choice; a type of which it shows the contrary stays the model's."""
    for label, decided in decision.from_llm.items():
        difference = on_eval.types[label].difference
        decided.is_confirmed = difference is not None and difference.low > 0
        if difference is not None and difference.high < 0:
            decided.source = "model"


def _notes(decision: Decision, on_dev: Side, on_eval: Side | None, is_blind: bool) -> list[str]:
    notes = []
    for name, side in (("early-stopping", on_dev), ("evaluation", on_eval)):
        if side and side.failed:
            why = "; ".join(f"{count} × {error}" for error, count in side.reasons.most_common(3))
            notes.append(
                f"{side.failed} of {side.passages} passages of the {name} set were not answered: {why}. They count as "
                "missed by the LLM, and the hybrid has the model's own entities there."
            )
    for label, decided in decision.types.items():
        if decided.is_confirmed is False and decided.source == "llm":
            notes.append(f"{label}: the evaluation set does not confirm the choice, nor the contrary; label more")
        elif decided.is_confirmed is False:
            notes.append(f"{label}: the evaluation set shows the contrary, so the model still finds it")
    if is_blind and decision.from_llm:
        notes.append("The model can't say how many entities it expects, so every passage is sent.")
    return notes
