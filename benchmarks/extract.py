"""Compare extraction with a bare `nlp.pipe` loop over the same texts: python benchmarks/extract.py MODEL

Each repetition measures every way once, one after the other, in this process. The figure is the median of the
repetitions, and a ratio is the median of the ratios within a repetition. A whole run lasts from the start of the
command to the finished file, so loading the model and starting the workers count. Steady: after the first tenth of the
passages.
"""

import argparse
import gc
import json
import os
import platform
import random
import statistics
import tempfile
import time
from collections.abc import Callable, Iterator
from functools import partial
from pathlib import Path

import spacy

from spacy_domain_ner import Extractor, extract_files
from spacy_domain_ner.extraction.batches import in_batches
from spacy_domain_ner.extraction.lines import Extracted, batch_extractor, extract_batch
from spacy_domain_ner.processes import in_processes
from spacy_domain_ner.reading.texts import Line, find_texts, read_lines

STARTER = Path(__file__).parents[1] / "assets" / "software" / "starter.jsonl"
# The lowest ratio to the bare loop that a way may have.
BARS = {"extract, 1 worker": 0.95, "extract, 2 workers": 1.6}


def main() -> None:
    """Measure, print a table, and write the figures if asked to."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("model", help="trained model's folder or package")
    parser.add_argument("--passages", type=int, default=20_000)
    parser.add_argument("--repetitions", type=int, default=3)
    parser.add_argument("--texts", type=Path, nargs="+", default=[STARTER], help="JSON lines files to take texts from")
    parser.add_argument("--words", type=int, help="cut the texts into passages of this many words")
    parser.add_argument("--output", type=Path, help="JSON file for the figures")
    arguments = parser.parse_args()
    texts = read_texts(arguments.texts)
    if arguments.words:
        texts = [" ".join(words) for text in texts for words in full_batches(text.split(), arguments.words)]
    texts = vary(texts, arguments.passages)
    with tempfile.TemporaryDirectory() as folder:
        source = Path(folder) / "passages.jsonl"
        source.write_text("".join(json.dumps({"text": text}) + "\n" for text in texts), encoding="utf8")
        figures = measure(ways(arguments.model, texts, source), arguments.repetitions)
    print(table(figures))
    if arguments.output:
        report = {
            "passages": len(texts),
            "characters": sum(map(len, texts)),
            "repetitions": arguments.repetitions,
            "machine": {
                "processor": platform.processor() or platform.machine(),
                "cores": os.cpu_count(),
                "load": os.getloadavg() if hasattr(os, "getloadavg") else None,
                "python": platform.python_version(),
                "spacy": spacy.__version__,
            },
            "ways": figures,
        }
        arguments.output.parent.mkdir(parents=True, exist_ok=True)
        arguments.output.write_text(json.dumps(report, indent=2) + "\n", encoding="utf8")


def full_batches(words: list[str], size: int) -> Iterator[list[str]]:
    """Cut words into batches of a size; the rest is left out."""
    for start in range(0, len(words) - size + 1, size):
        yield words[start : start + size]


def ways(model: str, texts: list[str], source: Path) -> dict[str, Callable[[], float]]:
    """The ways to compare: for each name a function that runs it once and gives passages per second."""
    return {
        "bare nlp.pipe loop": lambda: bare(model, texts),
        "extract, 1 worker": lambda: whole(model, source, 1, len(texts)),
        "extract, 2 workers": lambda: whole(model, source, 2, len(texts)),
        "extract, 1 worker, steady": lambda: steady(one_worker(model, source), len(texts)),
        "extract, 2 workers, steady": lambda: steady(two_workers(model, source), len(texts)),
    }


def bare(model: str, texts: list[str]) -> float:
    """The loop that people write by hand; its model is loaded before the clock starts."""
    nlp = spacy.load(model)
    start = time.perf_counter()
    for doc in nlp.pipe(texts):
        list(doc.ents)
    return len(texts) / (time.perf_counter() - start)


def whole(model: str, source: Path, workers: int, passages: int) -> float:
    """The verb itself, from a file to a file."""
    output = source.with_name("entities.jsonl")
    start = time.perf_counter()
    extraction = extract_files(model, [source], output, workers=workers)
    seconds = time.perf_counter() - start
    assert extraction.passages == passages
    output.unlink()
    return passages / seconds


def steady(results: Iterator[Extracted], passages: int) -> float:
    """The speed after the first tenth, when all workers are busy."""
    done, started_at, start = 0, 0, 0.0
    for result in results:
        done += result.passages
        if not started_at and done >= passages / 10:
            started_at, start = done, time.perf_counter()
    return (done - started_at) / (time.perf_counter() - start)


def one_worker(model: str, source: Path) -> Iterator[Extracted]:
    """Results as the verb gets them, without writing them."""
    extractor = Extractor(model)
    return (extract_batch(extractor, lines) for lines in batches(source, extractor.batch_size))


def two_workers(model: str, source: Path) -> Iterator[Extracted]:
    """The same from two processes."""
    size = spacy.load(model).batch_size
    return (result for _, result in in_processes(partial(batch_extractor, model), batches(source, size), 2))


def batches(source: Path, size: int) -> Iterator[list[Line]]:
    """The lines of a file in batches of a size."""
    with find_texts([source]) as texts:
        yield from in_batches(read_lines(texts.files), size, lambda line: len(line.raw))


def measure(compared: dict[str, Callable[[], float]], repetitions: int) -> dict[str, dict[str, object]]:
    """Run every way in turn, several times, so that a busy machine slows all of them."""
    speeds: dict[str, list[float]] = {name: [] for name in compared}
    for repetition in range(repetitions):
        for name, run in compared.items():
            gc.collect()
            speeds[name].append(run())
            print(f"  {repetition + 1}/{repetitions}  {name:28}{speeds[name][-1]:10,.0f} passages/s", flush=True)
    base = speeds["bare nlp.pipe loop"]
    return {
        name: {
            "passages_per_second": round(statistics.median(each), 1),
            "ratio": round(statistics.median(speed / bare for speed, bare in zip(each, base, strict=True)), 3),
            "each": [round(speed, 1) for speed in each],
        }
        for name, each in speeds.items()
    }


def table(figures: dict[str, dict[str, object]]) -> str:
    """The figures as Markdown."""
    rows = ["| | passages/s | ratio to the bare loop | at least |", "|---|---|---|---|"]
    for name, figure in figures.items():
        rows.append(f"| {name} | {figure['passages_per_second']:,.0f} | {figure['ratio']:.2f} | {BARS.get(name, '')} |")
    return "\n".join(rows)


def read_texts(files: list[Path]) -> list[str]:
    """The texts of annotation files."""
    return [json.loads(line)["text"] for file in files for line in file.read_text(encoding="utf8").splitlines()]


def vary(texts: list[str], passages: int) -> list[str]:
    """Make as many passages as asked for. Where texts must repeat, one word in eight becomes a new word.

    A word that the tokenizer has seen costs it very little, and real text always has new words.
    """
    chance = random.Random(0)
    order = list(texts)
    varied = []
    while len(varied) < passages:
        chance.shuffle(order)
        again = bool(varied)
        varied += [_with_new_words(text, chance) if again else text for text in order]
    return varied[:passages]


def _with_new_words(text: str, chance: random.Random) -> str:
    words = text.split(" ")
    for place, word in enumerate(words):
        if word and chance.random() < 1 / 8:
            words[place] = f"{word[0]}{chance.randrange(36**4):x}{word[1:]}"
    return " ".join(words)


if __name__ == "__main__":
    main()
