"""Measure whether planted errors are found: python benchmarks/suspects.py --corpora bc5cdr fin_sec --seeds 7

5 % of a corpus's annotations are made wrong, each in one of four ways by chance: it gets another type, is removed, is
one word too long, or another span is put where nothing is. Then `suspects` looks for annotations that models
contradict, with the template's CPU config. The figure is the share of the first 20, 50 and 100 suspects that overlap a
planted error. Other suspects may be the corpus's own errors, and count as wrong here.

Each run leaves a JSON file in the results folder, and is not repeated while that file is there.
"""

import argparse
import json
import random
import re
from functools import partial
from pathlib import Path
from typing import Any

from cpu_config import REPOSITORY, divide, once, versions, write_template_config

from spacy_domain_ner.corpus import Passage, Span
from spacy_domain_ner.corpus.jsonl import write_passages
from spacy_domain_ner.experiments.suspects import WORTH_A_LOOK as LINE
from spacy_domain_ner.experiments.suspects import find_suspects
from spacy_domain_ner.files import replacing
from spacy_domain_ner.training import Recipe

SUMMARY = REPOSITORY / "benchmarks" / "results" / "suspects.json"
PLANTED = 0.05
KINDS = ("type", "missing", "boundary", "spurious")
TOPS = (20, 50, 100)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--data", type=Path, default=REPOSITORY / ".." / "shared" / "data" / "corpora")
    parser.add_argument("--corpora", nargs="+", default=["bc5cdr", "fin_sec", "stackoverflow_ner"])
    parser.add_argument("--seeds", nargs="+", type=int, default=[7])
    parser.add_argument("--results", type=Path, default=REPOSITORY / "build" / "suspects")
    arguments = parser.parse_args()
    rows = []
    for seed in arguments.seeds:
        for corpus in arguments.corpora:
            folder = arguments.results / f"{corpus}-{seed}"
            row = once(folder.with_suffix(".json"), partial(run, arguments.data / corpus, seed, folder))
            rows.append({"corpus": corpus, "seed": seed, **row})
            print(json.dumps(rows[-1]), flush=True)
    with replacing(SUMMARY) as stream:
        json.dump({"versions": versions(), "planted": PLANTED, "rows": rows}, stream, indent=2)
        stream.write("\n")


def run(corpus: Path, seed: int, folder: Path) -> dict[str, Any]:
    """Plant errors, look for suspects, and count how many of the first ones are planted."""
    training, stopping, _ = divide(corpus, seed)
    generator = random.Random(seed)
    passages = training + stopping
    planted: set[tuple[str, int, int]] = set()
    labels = sorted({span.label for passage in passages for span in passage.spans})
    altered = [alter(passage, labels, generator, planted) for passage in passages]
    folder.mkdir(parents=True, exist_ok=True)
    paths = [folder / "train.jsonl", folder / "dev.jsonl"]
    for path, side in zip(paths, (altered[: len(training)], altered[len(training) :]), strict=True):
        write_passages(path, side)
    write_template_config(folder / "config.cfg")
    recipe = Recipe(folder / "config.cfg", *paths, max_epochs=15, patience_epochs=3, seed=seed)
    suspects = find_suspects(recipe, output=folder / "suspects.jsonl", min_confidence=0)
    hits = [
        any(
            text == suspect.passage.text and start < span.end and span.start < end
            for span in (suspect.annotated, suspect.predicted)
            if span
            for text, start, end in planted
        )
        for suspect in suspects
    ]
    return {
        "passages": len(passages),
        "planted": len(planted),
        "suspects": len(suspects),
        **{f"precision_at_{top}": round(sum(hits[:top]) / top, 2) for top in TOPS},
        "found_of_planted_at_200": sum(hits),
        "worth_a_look": len(worth := [hit for one, hit in zip(suspects, hits, strict=True) if one.confidence >= LINE]),
        "precision_worth_a_look": round(sum(worth) / max(1, len(worth)), 2),
        "precision_of_others": round((sum(hits) - sum(worth)) / max(1, len(hits) - len(worth)), 2),
    }


def alter(passage: Passage, labels: list[str], generator: random.Random, planted: set[tuple[str, int, int]]) -> Passage:
    """Make some annotations of a passage wrong, and add them to `planted` by text, start and end."""
    spans = list(passage.spans)
    for span in passage.spans:
        if generator.random() >= PLANTED:
            continue
        kind = generator.choice(KINDS)
        wrong = plant(passage, spans, span, kind, labels, generator)
        if wrong is None:
            continue
        if kind != "spurious":
            spans.remove(span)
        if kind != "missing":
            spans.append(wrong)
        planted.add((passage.text, wrong.start, wrong.end))
    return Passage(passage.text, sorted(spans), passage.meta)


def plant(
    passage: Passage, spans: list[Span], span: Span, kind: str, labels: list[str], generator: random.Random
) -> Span | None:
    """Make a wrong annotation, to replace a right one or to be added; None if the passage has no room for it."""
    if kind == "missing":
        return span
    if kind == "type":
        others = [label for label in labels if label != span.label]
        return Span(span.start, span.end, generator.choice(others)) if others else None
    words = [found.span() for found in re.finditer(r"\S+", passage.text)]
    if kind == "boundary":
        end = next((end for start, end in words if start >= span.end), None)
        free = end is not None and not any(other.start < end and span.end <= other.start for other in spans)
        return Span(span.start, end, span.label) if free and end is not None else None
    free_words = [
        (start, end)
        for start, end in words
        if end - start > 3 and not any(other.start < end and start < other.end for other in spans)
    ]
    return Span(*generator.choice(free_words), generator.choice(labels)) if free_words else None


if __name__ == "__main__":
    main()
