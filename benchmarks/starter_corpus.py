"""Measure what the starter corpus teaches: train on 250, 500, 1,000 and all of its passages, and score on real text.

    python benchmarks/starter_corpus.py --real ../shared/data/real-passages/open.jsonl --seeds 7 8

The config is the template's CPU config. --systems measures others: `ner` is spaCy's own recognizer on its token
network, `minilm` the template's transformer.cfg with the weights of all-MiniLM-L6-v2, or of the model that --model
names.

No passage of the corpus was written from the real passages, which are annotated by the same decisions. A span counts if
its start, end and label are right. Each run draws its passages and holds back an eighth of them for early stopping;
passages of one source are never on both sides. Use OMP_NUM_THREADS=1: more threads are not faster here.

Each run leaves a JSON file and its model in the results folder, and is not repeated while that file is there. The
summary is made of all runs that are there. Delete the folder after a change of the corpus or of the config.
"""

import argparse
import json
import random
from collections.abc import Callable
from functools import partial
from itertools import product
from pathlib import Path
from typing import Any

import spacy
from cpu_config import MAX_EPOCHS, REPOSITORY, calibration, once, versions, write_template_config

from spacy_domain_ner.corpus import Passage, read_valid_passages
from spacy_domain_ner.corpus.spacy_docs import load_tokenizing_pipeline, write_docs
from spacy_domain_ner.evaluation.scores import predict_spans, score
from spacy_domain_ner.files import replacing
from spacy_domain_ner.schema import read_schema
from spacy_domain_ner.training import Recipe, train

PACK = REPOSITORY / "assets" / "software"
SUMMARY = REPOSITORY / "benchmarks" / "results" / "starter_corpus.json"
EARLY_STOPPING = 1 / 8


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    default = REPOSITORY / ".." / "shared" / "data" / "real-passages" / "open.jsonl"
    parser.add_argument("--real", type=Path, default=default, help="annotated real passages to score on")
    parser.add_argument("--sizes", nargs="+", type=int, default=[250, 500, 1000, 0], help="passages; 0: all")
    parser.add_argument("--seeds", nargs="+", type=int, default=[7])
    parser.add_argument("--systems", nargs="+", default=["cnn"], choices=["cnn", "ner", "minilm"])
    parser.add_argument("--model", default="minilm", help="the weights of `minilm`: preset, hub name, or a folder")
    parser.add_argument("--results", type=Path, default=REPOSITORY / "build" / "starter_corpus")
    arguments = parser.parse_args()
    if not arguments.real.is_file():
        parser.error(f"{arguments.real} does not exist; name annotated real passages with --real")
    corpus, real = read_valid_passages(PACK / "starter.jsonl"), read_valid_passages(arguments.real)
    for seed, system, size in product(arguments.seeds, arguments.systems, arguments.sizes):
        folder = arguments.results / f"{size or 'all'}-{seed}-{system}"
        write_config = partial(write_system_config, system, arguments.model)
        compute = partial(measure, write_config, corpus, real, size, seed, folder)
        print(json.dumps(once(folder.with_suffix(".json"), compute)))
    rows = [
        {"system": path.stem.rpartition("-")[2], **json.loads(path.read_text("utf8"))}
        for path in sorted(arguments.results.glob("*.json"))
    ]
    with replacing(SUMMARY) as stream:
        json.dump({"versions": versions(), "real_passages": len(real), "rows": rows}, stream, indent=2)
        stream.write("\n")


def write_system_config(system: str, model: str, config: Path) -> None:
    """Write a system's training config."""
    if system == "minilm":
        from base_models import write_transformer_config  # takes PyTorch

        write_transformer_config(config, model)
    else:
        write_template_config(config, plain=system == "ner")


def measure(
    write_config: Callable[[Path], None], corpus: list[Passage], real: list[Passage], size: int, seed: int, folder: Path
) -> dict[str, Any]:
    """Train on a number of passages, and score on the real ones."""
    training, stopping = draw(corpus, size or len(corpus), seed)
    folder.mkdir(parents=True, exist_ok=True)
    config = folder / "config.cfg"
    write_config(config)
    nlp = load_tokenizing_pipeline(config)
    paths = [folder / "train.spacy", folder / "dev.spacy"]
    for passages, path in zip((training, stopping), paths, strict=True):
        write_docs(nlp, passages, path)
    train(Recipe(config, *paths, max_epochs=MAX_EPOCHS, seed=seed), folder / "model")
    best = spacy.load(folder / "model" / "model-best")
    labels = read_schema(PACK / "entity_types.yml").labels
    found = score(real, predict_spans(best, real), labels)
    return {
        "passages": len(training) + len(stopping),
        "seed": seed,
        "f1_early_stopping": score(stopping, predict_spans(best, stopping), labels).micro.to_dict()["f1"],
        **calibration(best, real),
        "real": {"micro": found.micro.to_dict(), **{name: one.to_dict() for name, one in found.types.items()}},
    }


def draw(corpus: list[Passage], size: int, seed: int) -> tuple[list[Passage], list[Passage]]:
    """Draw passages, whole sources at a time.

    Returns:
        Those to train on, and those to stop early on.
    """
    sources: dict[str, list[Passage]] = {}
    for passage in corpus:
        sources.setdefault(str(passage.meta["source"]), []).append(passage)
    names = list(sources)
    random.Random(seed).shuffle(names)
    drawn = [passage for name in names for passage in sources[name]][:size]
    cut = int(size * EARLY_STOPPING)
    while drawn[cut - 1].meta["source"] == drawn[cut].meta["source"]:
        cut += 1
    return drawn[cut:], drawn[:cut]


if __name__ == "__main__":
    main()
