"""Compare the speed of the template's recognizer with that of spaCy's own `ner`, with few types and with many.

    python benchmarks/recognizer.py

Passages of 25 words per second of CPU time are measured, with the starter corpus's 6 types and with 27 that are made of
them. All take turns in one process, with other passages in each round. The speed of tokenizer and token network alone
is the upper limit. Three pipelines:

- spaCy: `ner` and a token network of spaCy's own layers, with the template's sizes.
- ner: `ner` on the template's token network.
- biluo: the template's config.

The models are trained for two epochs and kept in the results folder; cpu_config.py measures how well they do. Run it
with OMP_NUM_THREADS=1 OPENBLAS_NUM_THREADS=1 BLIS_NUM_THREADS=1, so that threads are not what is timed.
"""

import argparse
import hashlib
import json
import statistics
import time
from collections.abc import Callable
from functools import partial
from pathlib import Path
from typing import Any

import spacy
from cpu_config import REPOSITORY, versions, write_template_config
from extract import full_batches
from spacy.util import minibatch
from starter_corpus import PACK

from spacy_domain_ner.corpus import Passage, Span, read_valid_passages
from spacy_domain_ner.corpus.spacy_docs import load_tokenizing_pipeline, write_docs
from spacy_domain_ner.files import replacing
from spacy_domain_ner.training import Recipe, train

SUMMARY = REPOSITORY / "benchmarks" / "results" / "recognizer.json"
PIPELINES = ("spaCy", "ner", "biluo")
NUMBERS_OF_TYPES = (6, 27)
WORDS, EPOCHS, ROUNDS = 25, 2, 7


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--results", type=Path, default=REPOSITORY / "build" / "recognizer")
    arguments = parser.parse_args()
    summary = {"versions": versions(), "passages_per_cpu_second": measure(arguments.results)}
    print(json.dumps(summary["passages_per_cpu_second"], indent=2))
    with replacing(SUMMARY) as stream:
        json.dump(summary, stream, indent=2)
        stream.write("\n")


def fit(pipeline: str, passages: list[Passage], folder: Path) -> Path:
    """Train a pipeline for a short while.

    Returns:
        The folder of its best model.
    """
    best = folder / "model" / "model-best"
    if best.exists():
        return best
    folder.mkdir(parents=True, exist_ok=True)
    config = folder / "config.cfg"
    write_template_config(config, plain=pipeline != "biluo")
    if pipeline == "spaCy":
        values = spacy.util.load_config(config, interpolate=False)
        tok2vec = values["components"]["ner"]["model"]["tok2vec"]
        tok2vec["embed"] = tok2vec["embed"]["embed"]
        tok2vec["encode"]["@architectures"] = "spacy.MaxoutWindowEncoder.v2"
        values.to_disk(config)
    nlp = load_tokenizing_pipeline(config)
    paths = [folder / "train.spacy", folder / "dev.spacy"]
    for some, path in zip((passages[200:], passages[:200]), paths, strict=True):
        write_docs(nlp, some, path)
    train(Recipe(config, *paths, max_epochs=EPOCHS, seed=7), folder / "model")
    return best


def measure(results: Path) -> dict[str, Any]:
    """Measure the passages per second of CPU time of each pipeline and number of types."""
    starter = read_valid_passages(PACK / "starter.jsonl")
    texts = [" ".join(words) for passage in starter for words in full_batches(passage.text.split(), WORDS)]
    rounds = [texts[number :: ROUNDS + 1] for number in range(ROUNDS + 1)]
    models = {}
    for count in NUMBERS_OF_TYPES:
        passages = [with_types(passage, count) for passage in starter]
        for name in PIPELINES:
            models[name, count] = spacy.load(fit(name, passages, results / f"{name}-{count}"))
    # Another copy of the model: it remembers words, and each pipeline must compute them itself.
    nlp = spacy.load(fit("biluo", passages, results / f"biluo-{NUMBERS_OF_TYPES[-1]}"))
    tok2vec = nlp.get_pipe("ner").model.get_ref("tok2vec")
    ways: dict[str, Callable[[list[str]], Any]] = {
        f"{name}, {count} types": partial(lambda nlp, texts: list(nlp.pipe(texts)), nlp)
        for (name, count), nlp in models.items()
    }
    ways["tokenizer and token network alone"] = lambda texts: [
        tok2vec.predict([nlp.make_doc(text) for text in batch]) for batch in minibatch(texts, nlp.batch_size)
    ]
    rates: dict[str, list[float]] = {name: [] for name in ways}
    for number, texts in enumerate(rounds):
        for name, work in ways.items():
            started = time.process_time()
            work(texts)
            if number:  # the first round only warms up
                rates[name].append(len(texts) / (time.process_time() - started))
    figures = {name: round(statistics.median(each), 1) for name, each in rates.items()}
    ratios = {
        f"biluo : {name}, {count} types": round(
            statistics.median(
                ours / theirs
                for ours, theirs in zip(rates[f"biluo, {count} types"], rates[f"{name}, {count} types"], strict=True)
            ),
            2,
        )
        for count in NUMBERS_OF_TYPES
        for name in PIPELINES[:-1]
    }
    return {"passages_a_round": len(rounds[-1]), "rounds": ROUNDS, "words": WORDS, **figures, **ratios}


def with_types(passage: Passage, count: int) -> Passage:
    """Change a passage's types to one of this many, so that a name always has the same type."""
    if count == NUMBERS_OF_TYPES[0]:
        return passage

    def number(span: Span) -> int:
        return int(hashlib.md5(passage.surface(span).encode("utf8")).hexdigest(), 16) % count

    return Passage(passage.text, [Span(span.start, span.end, f"TYPE_{number(span)}") for span in passage.spans])


if __name__ == "__main__":
    main()
