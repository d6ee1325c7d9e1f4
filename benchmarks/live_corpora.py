"""Models and what they find in text that they have not seen, for the benchmarks of monitoring.

A model is trained on a part of a corpus with the template's CPU config; the rest of the corpus is the live text, whose
annotation is the truth. Each result stays in the results folder, and is not made again while it is there.
"""

import json
import random
from pathlib import Path
from typing import Any

from cpu_config import REPOSITORY, write_template_config

from spacy_domain_ner.corpus import Passage, read_valid_passages
from spacy_domain_ner.corpus.spacy_docs import load_tokenizing_pipeline, write_docs
from spacy_domain_ner.extraction.extractor import Extractor
from spacy_domain_ner.files import replacing
from spacy_domain_ner.training import Recipe, train

CORPORA = ("stackoverflow_ner", "bc5cdr", "wnut17", "fin_sec", "indian_legal_ner")
DATA = REPOSITORY / ".." / "shared" / "data" / "corpora"
RESULTS = REPOSITORY / "build" / "monitoring"
# Passages to train on, to stop early on, and at most of the live text. A small corpus is divided in halves.
TRAINING, EARLY_STOPPING, LIVE = 800, 250, 4000
FEWEST_WORDS = 3
MAX_EPOCHS = 12


def live_text(corpus: Path, seed: int, results: Path) -> tuple[Path, list[Passage], list[dict[str, Any]]]:
    """Train a model on a part of a corpus, and read the rest with it.

    Args:
        corpus: The corpus' folder.
        seed: Divides the corpus and seeds the training.
        results: The folder of results.

    Returns:
        The model's folder; the passages of the live text with the true spans; and a record for each of them with
        `text`, `entities` and `expected`.
    """
    folder = results / f"{corpus.name}-{seed}"
    training, stopping, live = divide(corpus, seed)
    model, found = folder / "model" / "model-best", folder / "live.jsonl"
    if not found.exists():
        folder.mkdir(parents=True, exist_ok=True)
        write_template_config(folder / "config.cfg")
        nlp, paths = load_tokenizing_pipeline(folder / "config.cfg"), [folder / "train.spacy", folder / "dev.spacy"]
        for path, side in zip(paths, (training, stopping), strict=True):
            write_docs(nlp, side, path)
        train(Recipe(folder / "config.cfg", *paths, max_epochs=MAX_EPOCHS, seed=seed), folder / "model")
        with replacing(found) as stream:
            stream.writelines(json.dumps(row) + "\n" for row in _rows(model, live))
    return model, live, [json.loads(line) for line in found.read_text("utf8").splitlines()]


def _rows(model: Path, live: list[Passage]) -> list[dict[str, Any]]:
    extractor = Extractor(model)
    texts = [passage.text for passage in live]
    return [
        {"text": text, "entities": [entity.to_dict() for entity in entities], "expected": expected}
        for text, entities, expected in zip(texts, extractor(texts), extractor.expected(texts), strict=True)
    ]


def divide(corpus: Path, seed: int) -> tuple[list[Passage], list[Passage], list[Passage]]:
    """Draw the passages to train on, to stop early on, and to read: each text once, in a random order."""
    files = [corpus / name for name in ("train.jsonl", "dev.jsonl") if (corpus / name).exists()]
    texts = {passage.text: passage for file in files for passage in read_valid_passages(file)}
    passages = [passage for passage in texts.values() if len(passage.text.split()) >= FEWEST_WORDS]
    random.Random(seed).shuffle(passages)
    share = min(1, len(passages) / 2 / (TRAINING + EARLY_STOPPING))
    training, stopping = int(share * TRAINING), int(share * EARLY_STOPPING)
    end = training + stopping
    return passages[:training], passages[training:end], passages[end : end + LIVE]
