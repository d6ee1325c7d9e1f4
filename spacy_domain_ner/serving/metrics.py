"""What a server counts, in the text form that Prometheus reads."""

from bisect import bisect_left
from collections import Counter
from collections.abc import Mapping
from dataclasses import dataclass, field

# Upper bounds in seconds.
SECONDS = (0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1.0, 2.5, 5.0, 10.0, 30.0)
CONFIDENCES = tuple(step / 10 for step in range(1, 11))

# Name, type and help of each metric.
KINDS = {
    "domain_ner_requests_total": ("counter", "Requests by route and status."),
    "domain_ner_passages_total": ("counter", "Passages that the model has read."),
    "domain_ner_passages_refused_total": ("counter", "Passages that could not be read."),
    "domain_ner_entities_total": ("counter", "Entities that the model has found, by type."),
    "domain_ner_batches_total": ("counter", "Batches that the model has read."),
    "domain_ner_llm_passages_total": ("counter", "Passages that an LLM was asked about, by result."),
    "domain_ner_reloads_total": ("counter", "Reloads of the model by result."),
    "domain_ner_log_failures_total": ("counter", "Passages that could not be written to the log."),
    "domain_ner_queue_passages": ("gauge", "Passages that wait for the model."),
    "domain_ner_workers": ("gauge", "Processes that read with the model."),
    "domain_ner_resident_bytes": ("gauge", "Resident memory of all processes."),
    "domain_ner_model_info": ("gauge", "The model that answers."),
    "domain_ner_request_seconds": ("histogram", "Seconds from the request to the answer of /extract."),
    "domain_ner_confidence": ("histogram", "Confidence of the entities, by type."),
}

Labels = tuple[tuple[str, str], ...]


@dataclass
class Metrics:
    """Numbers by a metric's name and its labels.

    Attributes:
        values: Counters and gauges.
        histograms: For each the counts of its buckets, the last one without an upper bound, and the sum.
    """

    values: Counter[tuple[str, Labels]] = field(default_factory=Counter)
    histograms: dict[tuple[str, Labels], tuple[list[int], list[float]]] = field(default_factory=dict)

    def count(self, name: str, amount: float = 1, /, **labels: str) -> None:
        """Add to a counter."""
        self.values[name, tuple(labels.items())] += amount  # type: ignore[assignment]

    def set(self, name: str, value: float, /, **labels: str) -> None:
        """Set a gauge, or a counter that is kept elsewhere."""
        self.values[name, tuple(labels.items())] = value  # type: ignore[assignment]

    def observe(self, name: str, value: float, /, **labels: str) -> None:
        """Add a value to a histogram."""
        key = name, tuple(labels.items())
        bounds = _bounds(name)
        if key not in self.histograms:
            self.histograms[key] = [0] * (len(bounds) + 1), [0.0]
        buckets, total = self.histograms[key]
        buckets[bisect_left(bounds, value)] += 1
        total[0] += value

    def to_text(self) -> str:
        """The numbers as Prometheus reads them."""
        lines = []
        for name, (kind, help_text) in KINDS.items():
            lines += [f"# HELP {name} {help_text}", f"# TYPE {name} {kind}"]
            if kind == "histogram":
                for (_, labels), (buckets, total) in _named(name, self.histograms):
                    count = 0
                    for bound, of_bucket in zip([*map(str, _bounds(name)), "+Inf"], buckets, strict=True):
                        count += of_bucket
                        lines.append(f"{name}_bucket{_braces((*labels, ('le', bound)))} {count}")
                    lines += [
                        f"{name}_sum{_braces(labels)} {_number(total[0])}",
                        f"{name}_count{_braces(labels)} {count}",
                    ]
            else:
                lines += [
                    f"{name}{_braces(labels)} {_number(value)}" for (_, labels), value in _named(name, self.values)
                ]
        return "\n".join(lines) + "\n"


def _bounds(name: str) -> tuple[float, ...]:
    return SECONDS if name.endswith("seconds") else CONFIDENCES


def _named(name: str, table: Mapping) -> list:
    return sorted((key, value) for key, value in table.items() if key[0] == name)


def _braces(labels: Labels) -> str:
    def escaped(text: str) -> str:
        return text.replace("\\", r"\\").replace('"', r"\"").replace("\n", r"\n")

    return "{" + ",".join(f'{name}="{escaped(value)}"' for name, value in labels) + "}" if labels else ""


def _number(value: float) -> str:
    # Without an exponent or a rounded digit where it is whole.
    return str(int(value)) if float(value).is_integer() else repr(float(value))
