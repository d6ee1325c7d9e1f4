"""Measure how many errors the order of Label Studio's scores brings into the first tenth of the tasks.

    python benchmarks/label_studio.py --data ../shared/data/corpora

A `cnn` model is trained on 500 passages of a corpus's training side (100 of them decide when to stop), and predicts
those of its development side. An error is a wrong entity or a missed one. Orders:

- score: the lowest score first, as `domain-ner label-studio predict` writes it.
- mean confidence: the lowest first; passages without an entity come last.
- expected errors: the most first, however long the passage is.

Each figure is how many times as many errors, and words, the first tenth has as a tenth at random would.
"""

import argparse
import json
import random
from collections import Counter
from pathlib import Path
from typing import Any

import numpy
import spacy
from cpu_config import REPOSITORY, versions, write_template_config

from spacy_domain_ner import Extractor
from spacy_domain_ner.confidence.learning import expected_errors, sureness
from spacy_domain_ner.corpus import Passage, read_valid_passages
from spacy_domain_ner.corpus.spacy_docs import load_tokenizing_pipeline, write_docs
from spacy_domain_ner.files import replacing
from spacy_domain_ner.training import Recipe, train

SUMMARY = REPOSITORY / "benchmarks" / "results" / "label_studio.json"
CORPORA = ("bc5cdr", "stackoverflow_ner")
TRAINED_ON, STOPPED_BY, READ, EPOCHS = 500, 100, 2_500, 20


def main() -> None:
    """Measure, print and write the figures."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--data", type=Path, required=True, help="folder of the corpora")
    parser.add_argument("--results", type=Path, default=REPOSITORY / "build" / "label_studio")
    parser.add_argument("--seed", type=int, default=7)
    arguments = parser.parse_args()
    found = {
        corpus: measure(arguments.data / corpus, arguments.seed, arguments.results / f"{corpus}-{arguments.seed}")
        for corpus in CORPORA
    }
    print(json.dumps(found, indent=2))
    with replacing(SUMMARY) as stream:
        json.dump({"versions": versions(), "seed": arguments.seed, "corpora": found}, stream, indent=2)
        stream.write("\n")


def fit(corpus: Path, seed: int, folder: Path) -> Path:
    """Train a model on 500 passages; gives its folder."""
    best = folder / "model" / "model-best"
    if best.exists():
        return best
    folder.mkdir(parents=True, exist_ok=True)
    passages = read_valid_passages(corpus / "train.jsonl")
    random.Random(seed).shuffle(passages)
    write_template_config(folder / "config.cfg")
    nlp = load_tokenizing_pipeline(folder / "config.cfg")
    paths = folder / "train.spacy", folder / "dev.spacy"
    write_docs(nlp, passages[STOPPED_BY:TRAINED_ON], paths[0])
    write_docs(nlp, passages[:STOPPED_BY], paths[1])
    train(Recipe(folder / "config.cfg", *paths, max_epochs=EPOCHS, seed=seed), folder / "model")
    return best


def measure(corpus: Path, seed: int, folder: Path) -> dict[str, Any]:
    """Measure the orders on one corpus."""
    passages = read_valid_passages(corpus / "dev.jsonl")
    random.Random(seed).shuffle(passages)
    passages = passages[:READ]
    texts = [passage.text for passage in passages]
    extractor = Extractor(spacy.load(fit(corpus, seed, folder)))
    found = [[(each.type, each.confidence or 0.0, each.start, each.end) for each in row] for row in extractor(texts)]
    expected = [
        expected_errors([each[:2] for each in row], counts)
        for row, counts in zip(found, extractor.expected(texts), strict=True)
    ]
    words = numpy.array([len(text.split()) for text in texts])
    errors = numpy.array([wrong(*pair) for pair in zip(passages, found, strict=True)])
    orders = {
        "score": [sureness(*pair) for pair in zip(expected, words.tolist(), strict=True)],
        "mean confidence": [float(numpy.mean([each[1] for each in row])) if row else 1.0 for row in found],
        "expected errors": [-count for count in expected],
    }
    rows: dict[str, Any] = {"passages": len(passages), "errors": int(errors.sum())}
    rows["expected_errors"] = round(sum(expected))
    rows["without_an_entity"] = sum(not row for row in found)
    ties = numpy.random.default_rng(seed).random(len(passages))
    for name, keys in orders.items():
        first = numpy.lexsort((ties, keys))[: len(passages) // 10]
        shares = {"errors": errors[first].sum() / errors.sum(), "words": words[first].sum() / words.sum()}
        rows[name] = {kind: round(float(10 * share), 2) for kind, share in shares.items()}
    return rows


def wrong(passage: Passage, found: list[tuple[str, float, int, int]]) -> int:
    """Count the wrong and the missed entities of a passage."""
    gold = Counter((span.label, span.start, span.end) for span in passage.spans)
    ours = Counter((label, start, end) for label, _, start, end in found)
    return (gold - ours).total() + (ours - gold).total()


if __name__ == "__main__":
    main()
