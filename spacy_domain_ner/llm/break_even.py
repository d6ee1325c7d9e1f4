"""From how many documents on a fine-tuned model is cheaper than an LLM."""

import json
import math
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, TypeGuard

from spacy_domain_ner.corpus.jsonl import read_passages
from spacy_domain_ner.errors import UserError
from spacy_domain_ner.exchange.label_studio.times import read_labelling_times
from spacy_domain_ner.llm.ledger import FILE, read_ledger

# Documents for which the table says what each way costs.
VOLUMES = (1_000, 10_000, 100_000, 1_000_000)
NOT_MEASURED = "not measured"
# What the figures of `llm evaluate` call all types together.
_ALL = "all types"


@dataclass(frozen=True)
class Way:
    """A way to find entities, and what it costs.

    Attributes:
        name: What it is called.
        fixed: US dollars before the first document.
        per_document: US dollars for each document.
        f1: Its F1; None where it was not measured.
        f1_from: What the F1 was measured on.
    """

    name: str
    fixed: float
    per_document: float
    f1: float | None = None
    f1_from: str = NOT_MEASURED

    def cost(self, documents: float) -> float:
        """US dollars for a number of documents."""
        return self.fixed + documents * self.per_document


@dataclass(frozen=True)
class Assumption:
    """A number that the result rests on.

    Attributes:
        name: What it is.
        value: The number, as people read it.
        source: Where it is from.
    """

    name: str
    value: str
    source: str


@dataclass(frozen=True)
class BreakEven:
    """From how many documents on fine-tuning is cheaper.

    Attributes:
        tuned: The fine-tuned model.
        llm: The LLM.
        hybrid: Both: the model, and the LLM for the passages that `llm evaluate` sends; None where that is not known.
        documents: From so many documents on the fine-tuned model is cheaper; None where it never is.
        assumptions: The numbers that this rests on.
        notes: What else to know, a sentence each.
    """

    tuned: Way
    llm: Way
    hybrid: Way | None
    documents: float | None
    assumptions: list[Assumption]
    notes: list[str] = field(default_factory=list)

    @property
    def ways(self) -> list[Way]:
        """All ways."""
        return [self.tuned, self.llm, *([self.hybrid] if self.hybrid else [])]

    @property
    def verdict(self) -> str:
        """The result in a sentence, with the F1 of each."""
        if self.documents is None:
            said = "The LLM is cheaper, however many documents there are"
        elif self.documents < 1:
            said = "The fine-tuned model is cheaper from the first document on"
        else:
            said = f"The fine-tuned model is cheaper from about {rounded_up(self.documents):,} documents on"
        scores = ", ".join(f"{way.name}: {score_of(way)}" for way in (self.tuned, self.llm))
        return f"{said}. F1 – {scores}."

    def to_dict(self) -> dict[str, Any]:
        """The result as JSON."""
        return {
            "documents": self.documents,
            "ways": [
                {**vars(way), "costs": {str(number): round(way.cost(number), 2) for number in VOLUMES}}
                for way in self.ways
            ],
            "assumptions": [vars(one) for one in self.assumptions],
            "notes": self.notes,
        }


@dataclass(frozen=True)
class Costs:
    """What each way costs, as far as the user says it. US dollars, or any one currency that the LLM's price has, too.

    Attributes:
        wage: What an hour of labelling costs.
        labels: How many passages are labelled; None counts those of the annotation file.
        seconds_per_label: How long one takes; None reads it from Label Studio's exports.
        people: How many people label each passage.
        training: What training costs: machines, and the time of those who do it.
        relabelled: The share of the documents at work that people label again, to see whether the model is still good
            and to train it anew.
        seconds_per_document: How long the model takes; None reads it from the decision of `llm evaluate`.
        machine: What an hour of the machine costs on which the model runs.
        llm_dollars: What 1,000 documents cost with the LLM; None reads it from that decision, or from the ledger.
        llm_labels: How many passages are labelled to measure the LLM.
    """

    wage: float
    labels: int | None = None
    seconds_per_label: float | None = None
    people: int = 1
    training: float = 0.0
    relabelled: float = 0.0
    seconds_per_document: float | None = None
    machine: float = 0.1
    llm_dollars: float | None = None
    llm_labels: int = 0

    def __post_init__(self) -> None:
        for name, value in vars(self).items():
            if value is not None and not (math.isfinite(value) and value >= 0):
                raise UserError(f"`{name}` is {value}", "It must be 0 or more.")
        if self.relabelled > 1:
            raise UserError(f"`relabelled` is {self.relabelled}", "It is a share, 0 to 1.")
        if self.people < 1:
            raise UserError(f"`people` is {self.people}", "It must be 1 or more.")


def break_even(
    costs: Costs,
    *,
    times: Iterable[str | Path] = (),
    annotations: str | Path = "assets/annotations.jsonl",
    metrics: str | Path = "metrics/metrics.json",
    decision: str | Path = "llm/decision.json",
) -> BreakEven:
    """Find from how many documents on a fine-tuned model is cheaper than an LLM.

    Args:
        costs: What each way costs, as far as the user says it.
        times: Exports of Label Studio, which say how long people took to label.
        annotations: The annotation file, whose passages are counted.
        metrics: The figures of `evaluate`, for the model's F1. A file that does not exist is left out.
        decision: What `llm evaluate` has written: the F1 of the LLM, its price and the model's speed. A file that does
            not exist is left out. The ledger is beside it.

    Returns:
        The result.

    Raises:
        UserError: A number is neither given nor found, or a file can't be read.
    """
    found = _Numbers(costs, list(times), Path(annotations), _read(metrics), _read(decision), Path(decision).parent)
    labels, seconds = found.labels(), found.seconds_per_label()
    hour = costs.wage / 3600
    labelling = labels * seconds * costs.people * hour
    machine = found.seconds_per_document() * costs.machine / 3600
    upkeep = costs.relabelled * seconds * costs.people * hour
    llm_per_document = found.llm_dollars()
    tuned = Way("fine-tuned model", labelling + costs.training, machine + upkeep, *found.tuned_f1())
    llm = Way("LLM", costs.llm_labels * seconds * costs.people * hour, llm_per_document, *found.llm_f1("llm"))
    hybrid = None
    if (sent := found.sent()) is not None:
        per_document = tuned.per_document + sent * llm_per_document
        hybrid = Way("model and LLM", tuned.fixed, per_document, *found.llm_f1("hybrid"))
    saved, extra = llm.per_document - tuned.per_document, tuned.fixed - llm.fixed
    documents = max(0.0, extra / saved) if saved > 0 else (0.0 if extra <= 0 and saved == 0 else None)
    return BreakEven(tuned, llm, hybrid, documents, found.assumptions, found.notes(tuned, llm))


def rounded_up(documents: float) -> int:
    """A number of documents as people read it: two digits, rounded up."""
    step = 10 ** max(0, math.floor(math.log10(max(1.0, documents))) - 1)
    return math.ceil(documents / step) * step


def score_of(way: Way) -> str:
    """A way's F1 as people read it."""
    return NOT_MEASURED if way.f1 is None else f"{way.f1:.3f} ({way.f1_from})"


class _Numbers:
    """Finds each number, and writes down where it is from."""

    def __init__(
        self,
        costs: Costs,
        times: list[str | Path],
        annotations: Path,
        metrics: Mapping[str, Any],
        decision: Mapping[str, Any],
        folder: Path,
    ) -> None:
        self._costs, self._times, self._annotations = costs, times, annotations
        self._metrics, self._decision, self._folder = metrics, decision, folder
        self.assumptions = [Assumption("An hour of labelling", f"{costs.wage:,.2f} dollars", "given")]
        for name, value in (
            ("People who label each passage", f"{costs.people}"),
            ("Training", f"{costs.training:,.2f} dollars"),
            ("Documents at work that people label again", f"{100 * costs.relabelled:g} %"),
            ("An hour of the machine that the model runs on", f"{costs.machine:,.2f} dollars"),
            ("Passages labelled to measure the LLM", f"{costs.llm_labels:,}"),
        ):
            self.assumptions.append(Assumption(name, value, "given, or the default"))

    def labels(self) -> int:
        """How many passages are labelled."""
        if self._costs.labels is not None:
            return self._found("Labelled passages", self._costs.labels, f"{self._costs.labels:,}", "given")
        if not self._annotations.exists():
            raise UserError(
                f"There is no file {self._annotations}", "Say how many passages are labelled with `labels`."
            )
        count = len(read_passages(self._annotations))
        return self._found("Labelled passages", count, f"{count:,}", str(self._annotations))

    def seconds_per_label(self) -> float:
        """How long a passage takes to label."""
        given = self._costs.seconds_per_label
        if given is not None:
            return self._found("Labelling a passage", given, f"{given:,.1f} seconds", "given")
        if not self._times:
            raise UserError(
                "How long labelling takes is not known",
                "Give Label Studio's exports with `times`, which have it, or the seconds with `seconds_per_label`.",
            )
        read = read_labelling_times(self._times)
        source = f"lead_time of {read.annotations:,} annotations, median {read.median:,.1f}"
        if read.capped:
            source += f"; {read.capped} that took over ten times as long count as ten times"
        return self._found("Labelling a passage", read.seconds, f"{read.seconds:,.1f} seconds", source)

    def seconds_per_document(self) -> float:
        """How long the model takes."""
        given = self._costs.seconds_per_document
        measured = self._figures.get("model_seconds_per_passage")
        value, source = 0.01, "assumed: nothing has measured it"
        if given is not None:
            value, source = given, "given"
        elif _is_number(measured):
            value, source = measured, "llm evaluate"
        return self._found("The model, per document", value, f"{value:g} seconds", source)

    def llm_dollars(self) -> float:
        """What a document costs with the LLM."""
        name = "The LLM, per 1,000 documents"
        if (given := self._costs.llm_dollars) is not None:
            return self._found(name, given, f"{given:,.3f} dollars", "given") / 1000
        if _is_number(measured := self._figures.get("dollars_per_1000_sent")):
            return self._found(name, measured, f"{measured:,.3f} dollars", "llm evaluate") / 1000
        paid = [
            one.usage.cost
            for one in read_ledger(self._folder / FILE)
            if one.state == "answered" and one.purpose in ("extract", "evaluate") and one.usage.cost is not None
        ]
        if not paid:
            raise UserError(
                "What the LLM costs is not known",
                "Say what 1,000 documents cost with `llm_dollars`: `domain-ner llm cost` estimates it.",
            )
        value = 1000 * sum(paid) / len(paid)
        return self._found(name, value, f"{value:,.3f} dollars", f"{len(paid):,} requests of the ledger") / 1000

    def sent(self) -> float | None:
        """The share of the documents that the LLM reads, too, where both work together."""
        sent = self._figures.get("sent")
        return sent if _is_number(sent) and sent > 0 else None

    def tuned_f1(self) -> tuple[float | None, str]:
        """The model's F1."""
        micro = self._metrics.get("micro")
        return _value(micro.get("f1") if isinstance(micro, dict) else None, "evaluation set")

    def llm_f1(self, side: str) -> tuple[float | None, str]:
        """The LLM's F1, or that of both together."""
        types = self._figures.get("types")
        of_all = types.get(_ALL) if isinstance(types, dict) else None
        which = "evaluation set" if self._is_confirmed else "early-stopping set"
        return _value(of_all.get(side) if isinstance(of_all, dict) else None, which)

    def notes(self, tuned: Way, llm: Way) -> list[str]:
        """What else to know."""
        notes = [
            f"The F1 of the {way.name} was not measured: a price without a quality says little" for way in (tuned, llm)
            if way.f1 is None
        ]  # fmt: skip
        if tuned.f1 is not None and llm.f1 is not None and tuned.f1_from != llm.f1_from:
            notes.append("The two F1 were measured on different sets: they can't be compared to the point")
        if not self._costs.relabelled:
            notes.append("No document at work is labelled again: a model whose text changes needs that")
        if not self._costs.llm_labels:
            notes.append("No passage is labelled for the LLM: without some, nobody knows its F1")
        return notes

    @property
    def _is_confirmed(self) -> bool:
        figures = self._decision.get("figures")
        return isinstance(figures, dict) and isinstance(figures.get("eval"), dict)

    @property
    def _figures(self) -> Mapping[str, Any]:
        figures = self._decision.get("figures")
        side = (figures.get("eval") or figures.get("dev")) if isinstance(figures, dict) else None
        return side if isinstance(side, dict) else {}

    def _found(self, name: str, value: Any, shown: str, source: str) -> Any:
        self.assumptions.append(Assumption(name, shown, source))
        return value


def _read(path: str | Path) -> Mapping[str, Any]:
    path = Path(path)
    if not path.is_file():
        return {}
    try:
        value = json.loads(path.read_text(encoding="utf8"))
    except (OSError, ValueError, RecursionError) as error:
        raise UserError(f"Can't read {path}: {error}", "Make it again, or name another file.") from None
    return value if isinstance(value, dict) else {}


def _value(found: Any, source: str) -> tuple[float | None, str]:
    value = found.get("value") if isinstance(found, dict) else found
    return (value, source) if _is_number(value) else (None, NOT_MEASURED)


def _is_number(value: Any) -> TypeGuard[float]:
    return isinstance(value, int | float) and not isinstance(value, bool) and math.isfinite(value)
