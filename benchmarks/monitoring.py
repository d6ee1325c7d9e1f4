"""Measure estimates of live quality: python benchmarks/monitoring.py --corpora bc5cdr fin_sec --parts coverage width

A model is trained on a part of a corpus, and the rest is its live text, with the annotation as the truth: see
live_corpora.py. From it samples of 200 passages are drawn, as `monitor sample` draws them, and reviewed without an
error.

- coverage: how many of the 95 % intervals of `monitor estimate` hold the truth: precision, recall and F1, of all
  mentions and of each type, in the draws that have at least 30 verified mentions of it.
- width: how many of the labels of a uniform sample with the plain estimator (the counts of the sample alone, in the
  same kind of interval) are needed for intervals of the same mean width.

- stream: the processor time and the memory that `monitor sample`, `estimate`, `drift` and `status` take for many rows,
  and the speed of `extract` with and without --expected, with the model of the first of the corpora.

The design and the kind of interval were chosen on bc5cdr and stackoverflow_ner. On fin_sec, where the model makes few
errors that come together in a few passages, intervals were too narrow then: how the variance is moderated was chosen on
these three, and at last with an eye on wnut17 and indian_legal_ner, too.
"""

import argparse
import json
import shutil
import subprocess
import sys
from collections import defaultdict
from collections.abc import Sequence
from itertools import cycle, islice
from pathlib import Path
from typing import Any

import numpy
import srsly
from cpu_config import REPOSITORY, versions
from drift import reference_of
from live_corpora import CORPORA, DATA, RESULTS, divide, live_text
from live_rows import write_rows

from spacy_domain_ner.corpus import Passage, Span
from spacy_domain_ner.files import replacing
from spacy_domain_ner.models import load_model, model_identity
from spacy_domain_ner.monitoring.candidates import Stream, read_stream
from spacy_domain_ner.monitoring.estimate import estimate_reviews
from spacy_domain_ner.monitoring.evaluated import FIGURES
from spacy_domain_ner.monitoring.intervals import interval
from spacy_domain_ner.monitoring.live import Found, LiveRow
from spacy_domain_ner.monitoring.marks import Totals, without_blanks
from spacy_domain_ner.monitoring.reviews import Review
from spacy_domain_ner.monitoring.sampling import choose, mark_of

SUMMARY = REPOSITORY / "benchmarks" / "results" / "monitoring.json"
SIZE = 200
PARTS = ("coverage", "width", "stream")
ALL = "all types"
# Types that have enough mentions in fewer of the draws are not shown: what is left is a choice of lucky draws.
OFTEN_ENOUGH = 0.5
# Of top / bottom: how right, found and annotated entities count.
RATIOS = {"precision": (1, 1, 0), "recall": (1, 0, 1), "f1": (2, 1, 1)}


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--data", type=Path, default=DATA)
    parser.add_argument("--corpora", nargs="+", default=list(CORPORA))
    parser.add_argument("--parts", nargs="+", choices=PARTS, default=list(PARTS))
    parser.add_argument("--rows", nargs="+", type=int, default=[1_000_000, 10_000_000])
    parser.add_argument("--draws", type=int, default=200)
    parser.add_argument("--size", type=int, default=SIZE)
    parser.add_argument("--seed", type=int, default=7)
    parser.add_argument("--results", type=Path, default=RESULTS)
    arguments = parser.parse_args()
    before = json.loads(SUMMARY.read_text("utf8")) if SUMMARY.exists() else {}
    rows, streams = before.get("rows", []), before.get("stream", {})
    settings = before.get("settings", {})
    if "stream" in arguments.parts:
        streams = stream(arguments.data / arguments.corpora[0], arguments.seed, arguments.results, arguments.rows)
    if {"coverage", "width"} & {*arguments.parts}:
        rows = [row for row in rows if row["corpus"] not in arguments.corpora] + estimates(arguments)
        settings = {"draws": arguments.draws, "size": arguments.size, "seed": arguments.seed}
    with replacing(SUMMARY) as file:
        summary = {"versions": versions(), "settings": settings, "rows": rows, "stream": streams}
        json.dump(summary, file, indent=2)
        file.write("\n")


def estimates(arguments: argparse.Namespace) -> list[dict[str, Any]]:
    """Measure coverage and width on each corpus."""
    rows = []
    for corpus in arguments.corpora:
        _, passages, records = live_text(arguments.data / corpus, arguments.seed, arguments.results)
        live = Live(passages, records)
        row: dict[str, Any] = {"corpus": corpus, "live_passages": len(passages), "truth": live.truth()[ALL]}
        row |= measure(live, arguments.draws, min(arguments.size, len(passages)), arguments.parts)
        rows.append(row)
        print(json.dumps(row), flush=True)
    return rows


def stream(corpus: Path, seed: int, results: Path, sizes: Sequence[int]) -> dict[str, Any]:
    """Measure time and memory of long streams of generated rows, each command in a process of its own."""
    model, passages, records = live_text(corpus, seed, results)
    folder = results / "stream"
    folder.mkdir(parents=True, exist_ok=True)
    seconds: dict[str, list[float]] = {"extract": [], "extract_expected": []}
    # Loading the model takes the same for few and for many.
    few = min(1000, len(passages) // 2)
    for count in (few, 4 * few):
        texts = folder / "texts.jsonl"
        texts.write_text("".join(json.dumps({"text": f"{one.text} {number}"}) + "\n" for number, one in enumerate(
            islice(cycle(passages), count))), "utf8")  # fmt: skip
        for name, options in (("extract", ()), ("extract_expected", ("--expected",))):
            output = folder / f"{name}.jsonl"
            seconds[name].append(command("extract", model, texts, "--output", output, *options)["seconds"])
    found: dict[str, Any] = {
        f"{name}_passages_per_second": round(3 * few / (many - first)) for name, (first, many) in seconds.items()
    }
    identity = model_identity(load_model(model))
    training, _, _ = divide(corpus, seed)
    srsly.write_json(folder / "reference.json", reference_of(model, training, passages[:500], records[:500]).to_dict())
    for size in sizes:
        live = folder / "live.jsonl"
        write_rows(live, size, identity)
        sample = command("monitor", "sample", live, "--output", folder / "sample.jsonl")
        reviewed = [json.loads(line) for line in (folder / "sample.jsonl").read_text("utf8").splitlines()]
        for row in reviewed:
            del row["sampled"]
        lines = (json.dumps({**row, "answer": "accept"}) + "\n" for row in reviewed)
        (folder / "reviewed.jsonl").write_text("".join(lines), "utf8")
        of_model = "--model", model, "--reference", folder / "reference.json"
        monitor = folder / "monitor"
        shutil.rmtree(monitor, ignore_errors=True)
        estimate = command("monitor", "estimate", folder / "reviewed.jsonl", live, "--output", monitor / "one.json")
        drift = command("monitor", "drift", live, *of_model, "--no-fail", "--output", monitor)
        status = command("monitor", "status", monitor, *of_model)
        found[str(size)] = {"sample": sample, "estimate": estimate, "drift": drift, "status": status}
        print(json.dumps({size: found[str(size)]}), flush=True)
        live.unlink()
    return found


def command(*words: object) -> dict[str, float]:
    """Run a command, and measure its processor time in seconds and its memory in megabytes."""
    # The peak of all children so far: each command runs in a process that has no other child.
    code = (
        "import json, resource, subprocess, sys; done = subprocess.run(sys.argv[1:], stdout=2); "
        "assert done.returncode in (0, 3); "
        "used = resource.getrusage(resource.RUSAGE_CHILDREN); "
        "print(json.dumps({'seconds': round(used.ru_utime + used.ru_stime, 1), 'mb': used.ru_maxrss // 1000}))"
    )
    program = [sys.executable, "-c", code, sys.executable, "-m", "spacy_domain_ner", *map(str, words)]
    done = subprocess.run(program, check=True, capture_output=True, text=True)
    return json.loads(done.stdout)


class Live:
    """Live text with the truth."""

    def __init__(self, passages: Sequence[Passage], records: Sequence[dict[str, Any]]) -> None:
        self.rows = [_row(record) for record in records]
        self.stream: Stream = read_stream(self.rows, (), seed=0)
        self.totals = Totals(
            len(self.rows), SIZE, self.stream.predicted, self.stream.right, self.stream.expected
        )  # fmt: skip
        self.spans = []
        labels: dict[str, None] = {}
        for passage in passages:
            places = without_blanks(passage.text)
            self.spans.append(frozenset(Span(places[s.start], places[s.end], s.label) for s in passage.spans))
            labels |= dict.fromkeys(span.label for span in passage.spans)
        self.labels = [ALL, *sorted(labels)]
        # Right, found and annotated entities by passage and type.
        self.counts = {label: numpy.zeros((len(passages), 3)) for label in self.labels}
        for number, (passage, row) in enumerate(zip(passages, self.rows, strict=True)):
            gold, found = set(passage.spans), {Span(one.start, one.end, one.label) for one in row.found}
            for column, spans in enumerate((gold & found, found, gold)):
                for span in spans:
                    for label in (ALL, span.label):
                        if label in self.counts:
                            self.counts[label][number, column] += 1

    def truth(self) -> dict[str, dict[str, float]]:
        """The figures on all of the live text."""
        return {
            label: {name: round(_ratio(counts.sum(axis=0), name), 4) for name in FIGURES}
            for label, counts in self.counts.items()
        }


def measure(live: Live, draws: int, size: int, parts: Sequence[str]) -> dict[str, Any]:
    """Draw samples, and compare the estimates with the truth."""
    truth = live.truth()
    hits: dict[tuple[str, str], list[bool]] = defaultdict(list)
    widths: dict[str, list[float]] = defaultdict(list)
    plain_widths: dict[str, list[float]] = defaultdict(list)
    plain_hits: dict[str, list[bool]] = defaultdict(list)
    for seed in range(draws):
        generator = numpy.random.default_rng(seed)
        quality = estimate_reviews(reviewed(live, size, generator))
        for label, figures in ((ALL, quality.micro), *quality.types.items()):
            for name in FIGURES:
                found = getattr(figures, name)
                if found is not None and label in truth:
                    hits[label, name].append(found.low <= truth[label][name] <= found.high)
                    if label == ALL:
                        widths[name].append(found.high - found.low)
        if "width" in parts:
            uniform = generator.permutation(len(live.rows))[:size]
            for name in FIGURES:
                plain = plain_estimate(live.counts[ALL][uniform], name, len(live.rows))
                plain_widths[name].append(plain.high - plain.low)
                plain_hits[name].append(plain.low <= truth[ALL][name] <= plain.high)
    result: dict[str, Any] = {}
    if "coverage" in parts:
        shown = {key: found for key, found in hits.items() if len(found) >= OFTEN_ENOUGH * draws}
        result["coverage"] = {
            label: {"draws": len(shown[label, "f1"]), **{name: _mean(shown[label, name]) for name in FIGURES}}
            for label in live.labels
            if (label, "f1") in shown
        }
        of_types = {name: [hit for (label, one), found in hits.items() if one == name and label != ALL for hit in found]
                    for name in FIGURES}  # fmt: skip
        result["coverage_of_all_types_together"] = {name: _mean(found) for name, found in of_types.items() if found}
    if "width" in parts:
        result["mean_width"] = {name: _mean(found) for name, found in widths.items()}
        result["mean_width_of_uniform_and_plain"] = {name: _mean(found) for name, found in plain_widths.items()}
        result["coverage_of_uniform_and_plain"] = {name: _mean(found) for name, found in plain_hits.items()}
        result["share_of_labels"] = {
            name: share_of_labels(_mean(widths[name]), _mean(plain_widths[name]), size, len(live.rows))
            for name in FIGURES
        }
    return result


def reviewed(live: Live, size: int, generator: numpy.random.Generator) -> list[Review]:
    """Draw a sample, and review it without an error."""
    chosen, _ = choose(live.stream, size, {}, 1, generator)
    reviews = []
    for number, one in chosen.items():
        one.row = live.rows[number]
        mark = mark_of(one, "sample", "", False, Totals(**{**vars(live.totals), "size": size}))
        reviews.append(Review(mark, live.spans[number]))
    return reviews


def plain_estimate(counts: Any, name: str, rows: int) -> Any:
    """Estimate from a uniform sample's own counts."""
    right, found, gold = counts.T
    of_right, of_found, of_gold = RATIOS[name]
    bottom = of_found * found + of_gold * gold
    value = of_right * right.sum() / bottom.sum()
    off = (of_right * right - value * bottom) / bottom.sum()
    size = len(counts)
    variance = (1 - size / rows) * size / (size - 1) * float((off**2).sum())
    return interval(float(value), variance, size - 1, float(bottom.sum()) / (of_found + of_gold))


def share_of_labels(width: float, plain: float, size: int, rows: int) -> float:
    """How many of the labels of a uniform sample with the plain estimator give the same width.

    The square of a width goes with 1 / size - 1 / rows, where passages are drawn without replacement.
    """
    needed = 1 / ((width / plain) ** 2 * (1 / size - 1 / rows) + 1 / rows)
    return round(size / needed, 3)


def _row(record: dict[str, Any]) -> LiveRow:
    found = (Found(one["start"], one["end"], one["type"], one["confidence"]) for one in record["entities"])
    return LiveRow(record["text"], tuple(found), {label: round(n, 3) for label, n in record["expected"].items()})


def _ratio(counts: Any, name: str) -> float:
    right, found, gold = counts
    of_right, of_found, of_gold = RATIOS[name]
    return float(of_right * right / max(1e-9, of_found * found + of_gold * gold))


def _mean(values: Sequence[float]) -> float:
    return round(float(numpy.mean(values)), 4)


if __name__ == "__main__":
    main()
