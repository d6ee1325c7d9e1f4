"""Measure what cnn learns from a transformer on text that nobody has labelled: python benchmarks/distill.py --seeds 7 8

The teacher is the base model minilm; its weights are those of all-MiniLM-L6-v2, or of the model that --model names. It
and cnn train on the same 500 passages of a corpus and stop early on the same 150 others. The teacher labels further
passages of the corpus, 1, 4 and 8 times as many, whose annotation nobody sees, or as many as there are; cnn is trained
anew on both. All are scored on the same held-out passages by the annotation's own character offsets. The share is how
much of the difference between the teacher and cnn alone is closed.

Each training leaves a JSON file and its model in the results folder, and is not repeated while that file is there.
--finished trains nothing, and sums up what is there. Run it with OMP_NUM_THREADS=1 OPENBLAS_NUM_THREADS=1
BLIS_NUM_THREADS=1.
"""

import argparse
import json
import random
from dataclasses import replace
from functools import partial
from pathlib import Path
from typing import Any

from base_models import write_transformer_config
from cpu_config import REPOSITORY, divide, once, versions, write_template_config

from spacy_domain_ner.corpus import Passage, read_valid_passages
from spacy_domain_ner.corpus.identity import text_identity
from spacy_domain_ner.corpus.jsonl import write_passages
from spacy_domain_ner.corpus.spacy_docs import load_tokenizing_pipeline, write_docs
from spacy_domain_ner.distillation.distill import write_train
from spacy_domain_ner.distillation.labelling import label_passages
from spacy_domain_ner.evaluation.scores import predict_spans, score
from spacy_domain_ner.files import replacing
from spacy_domain_ner.models import load_model
from spacy_domain_ner.training import Recipe, train

SUMMARY = REPOSITORY / "benchmarks" / "results" / "distill.json"
CORPORA = ("wnut17", "stackoverflow_ner", "bc5cdr")
SIZES = (500, 150, 1500)
TIMES = (0, 4, 1, 8)
MAX_WORDS = 300


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--model", default="sentence-transformers/all-MiniLM-L6-v2", help="hub name, or a folder")
    parser.add_argument("--data", type=Path, default=REPOSITORY / ".." / "shared" / "data" / "corpora")
    parser.add_argument("--corpora", nargs="+", default=list(CORPORA))
    parser.add_argument("--seeds", nargs="+", type=int, default=[7])
    parser.add_argument("--times", nargs="+", type=int, default=list(TIMES))
    parser.add_argument("--results", type=Path, default=REPOSITORY / "build" / "distill")
    parser.add_argument("--finished", action="store_true", help="train nothing, sum up what is there")
    arguments = parser.parse_args()
    for seed in arguments.seeds:
        for times in arguments.times:
            for corpus in arguments.corpora:
                Measured(arguments, corpus, seed).run(times)
    rows = [
        json.loads(path.read_text("utf8"))
        for path in sorted(arguments.results.glob("*/*.json"))
        if path.stem.startswith(("teacher", "cnn"))
    ]
    summary = {"versions": versions(), "sizes": SIZES, "rows": shares(rows)}
    print_table(summary["rows"])
    with replacing(SUMMARY) as stream:
        json.dump(summary, stream, indent=1)
        stream.write("\n")


class Measured:
    """One corpus and one seed: what is labelled, what is not, and what all are scored on."""

    def __init__(self, arguments: argparse.Namespace, corpus: str, seed: int) -> None:
        self.arguments, self.corpus, self.seed = arguments, corpus, seed
        self.folder = arguments.results / f"{corpus}-{seed}"
        self.sides = divide(arguments.data / corpus, seed, SIZES)

    def run(self, times: int) -> None:
        """Train and score cnn on so many times the labelled passages, and first of all the teacher."""
        for name in ("teacher", f"cnn-{times}"):
            path = self.folder / f"{name}.json"
            if path.exists() or not self.arguments.finished:
                row = once(path, partial(self.measure, name, times))
                early = row["f1_early_stopping"]
                print(
                    f"{self.corpus:>18} {self.seed} {name:<8} {row['f1']:.4f} (early stopping {early:.4f})", flush=True
                )

    def measure(self, name: str, times: int) -> dict[str, Any]:
        """Train a model, and score it."""
        folder = self.folder / name
        folder.mkdir(parents=True, exist_ok=True)
        config = folder / "config.cfg"
        if name == "teacher":
            write_transformer_config(config, self.arguments.model)
        else:
            write_template_config(config)
        nlp = load_tokenizing_pipeline(config)
        gold, stopping = folder / "gold.spacy", folder / "dev.spacy"
        for path, passages in ((gold, self.sides[0]), (stopping, self.sides[1])):
            write_docs(nlp, passages, path)
            write_passages(path.with_suffix(".jsonl"), passages)
        recipe = Recipe(config, gold, stopping, seed=self.seed, gpu_id=-1)
        silver = 0
        if name != "teacher" and times:
            chosen = self.unlabelled()[: times * len(self.sides[0])]
            teacher = load_model(self.folder / "teacher" / "model-best")
            labelled = label_passages(teacher, nlp, chosen, self.folder / "silver")
            silver = len(labelled.docs)
            recipe = replace(recipe, train=folder / "train.spacy")
            write_train(gold, labelled.docs, recipe.train)
        if not (folder / "model-best").exists():
            train(recipe, folder)
        best = load_model(folder / "model-best")
        f1 = {
            key: round(score(side, predict_spans(best, side), []).micro.f1 or 0.0, 4)
            for key, side in (("f1", self.sides[2]), ("f1_early_stopping", self.sides[1]))
        }
        system = name.partition("-")[0]
        return {
            "corpus": self.corpus,
            "seed": self.seed,
            "system": system,
            "times": times if silver else 0,
            "silver": silver,
            **f1,
        }

    def unlabelled(self) -> list[Passage]:
        """The other passages of the side that the labelled ones are drawn from, in random order, each text once."""
        known = {text_identity(passage.text) for side in self.sides for passage in side}
        others = {
            text_identity(passage.text): Passage(passage.text)
            for passage in read_valid_passages(self.arguments.data / self.corpus / "train.jsonl")
            if len(passage.text.split()) <= MAX_WORDS
        }
        chosen = [passage for text, passage in others.items() if text not in known]
        random.Random(self.seed).shuffle(chosen)
        return chosen


def shares(rows: list[dict[str, Any]]) -> list[dict[str, Any]]:
    """Add the share of the difference that each distilled cnn closes."""
    found = []
    for row in rows:
        same = [one for one in rows if (one["corpus"], one["seed"]) == (row["corpus"], row["seed"])]
        teacher = next((one["f1"] for one in same if one["system"] == "teacher"), None)
        alone = next((one["f1"] for one in same if one["system"] == "cnn" and not one["times"]), None)
        if row["system"] == "cnn" and row["times"] and teacher is not None and alone is not None and teacher > alone:
            row = {**row, "share": round((row["f1"] - alone) / (teacher - alone), 3)}
        found.append(row)
    return sorted(found, key=lambda row: (row["corpus"], row["seed"], row["system"], row["times"]))


def print_table(rows: list[dict[str, Any]]) -> None:
    """Print the results so far, as a Markdown table."""
    print("\n| corpus | seed | model | silver passages | F1 | share of the difference |\n|-|-|-|-|-|-|")
    for row in rows:
        cells = row["corpus"], row["seed"], row["system"], row["silver"], f"{row['f1']:.3f}", row.get("share", "")
        print("|", " | ".join(map(str, cells)), "|")


if __name__ == "__main__":
    main()
