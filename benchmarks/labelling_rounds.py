"""Measure what a user has after rounds of labelling: python benchmarks/labelling_rounds.py --corpora bc5cdr --seeds 7

A project begins with nothing. Each round labels 100 passages of a pool, whose labels the corpus knows, divides all that
are labelled as `weasel run split` does, trains `cnn` from the config, and scores the model twice: on the project's own
evaluation set, which is all that the user sees, and on up to 1,500 held-out passages, which tell the truth.

- random: passages at random.
- divided: `domain-ner select`, without a model in the first round, then with that of the round before. Those that it
  draws at random are divided like any other, as they were at first.
- held out: as it works now. Of those at random, as many are held out as there would be if all were at random.

Each round leaves a JSON file in the results folder, and is not repeated while that file is there. Run it with
OMP_NUM_THREADS=1 OPENBLAS_NUM_THREADS=1 BLIS_NUM_THREADS=1.
"""

import argparse
import json
import random
from dataclasses import replace
from functools import partial
from pathlib import Path
from statistics import mean
from typing import Any

from cpu_config import REPOSITORY, divide, once, versions, write_template_config

from spacy_domain_ner.annotation.selection import select_passages
from spacy_domain_ner.corpus import Passage, read_valid_passages
from spacy_domain_ner.corpus.jsonl import write_passages
from spacy_domain_ner.corpus.passage import HELD_OUT_ONLY
from spacy_domain_ner.corpus.spacy_docs import load_tokenizing_pipeline, write_docs
from spacy_domain_ner.corpus.split import Split, split
from spacy_domain_ner.evaluation.analysis import Predicted, analyse
from spacy_domain_ner.evaluation.scores import predict_spans, score
from spacy_domain_ner.files import replacing
from spacy_domain_ner.models import load_model
from spacy_domain_ner.training import Recipe, train

SUMMARY = REPOSITORY / "benchmarks" / "results" / "labelling_rounds.json"
STRATEGIES = ("random", "divided", "held out")
POOL, SCORED, BATCH = 6000, 1500, 100


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--data", type=Path, default=REPOSITORY / ".." / "shared" / "data" / "corpora")
    parser.add_argument("--corpora", nargs="+", default=["bc5cdr", "wnut17"])
    parser.add_argument("--seeds", nargs="+", type=int, default=[7, 8, 9, 10, 11])
    parser.add_argument("--rounds", type=int, default=4)
    parser.add_argument("--results", type=Path, default=REPOSITORY / "build" / "labelling_rounds")
    arguments = parser.parse_args()
    rows = []
    for corpus in arguments.corpora:
        for seed in arguments.seeds:
            for strategy in STRATEGIES:
                folder = arguments.results / f"{corpus}-{seed}-{strategy.replace(' ', '-')}"
                project = Project(arguments.data / corpus, seed, strategy, folder)
                for number in range(1, arguments.rounds + 1):
                    row = once(folder / f"{number}.json", partial(project.round, number))
                    rows.append({"corpus": corpus, "seed": seed, "strategy": strategy, "round": number, **row})
                    print(json.dumps(rows[-1]), flush=True)
    means = []
    for corpus, strategy, number in sorted({(row["corpus"], row["strategy"], row["round"]) for row in rows}):
        same = [row for row in rows if (row["corpus"], row["strategy"], row["round"]) == (corpus, strategy, number)]
        found = {key: mean(row[key] for row in same) for key in same[0] if isinstance(same[0][key], int | float)}
        found["off"] = mean(abs(row["measured"] - row["f1"]) for row in same)
        found = {key: round(value, 4) for key, value in found.items() if key not in ("seed", "round")}
        means.append({"corpus": corpus, "strategy": strategy, "round": number, "seeds": len(same), **found})
        print(json.dumps(means[-1]))
    with replacing(SUMMARY) as stream:
        json.dump({"versions": versions(), "rows": rows, "means": means}, stream, indent=1)
        stream.write("\n")


class Project:
    """What a user has: a pool, annotations, and the model of the last round."""

    def __init__(self, corpus: Path, seed: int, strategy: str, folder: Path) -> None:
        self.seed, self.strategy, self.folder = seed, strategy, folder
        folder.mkdir(parents=True, exist_ok=True)
        self.pool, _, self.scored = divide(corpus, seed, (POOL, 1, SCORED))
        self.gold = {passage.text: passage for passage in self.pool}
        self.labels = sorted({span.label for passage in self.pool for span in passage.spans})
        write_template_config(folder / "config.cfg")
        write_passages(folder / "pool.jsonl", [Passage(text) for text in self.gold])

    def round(self, number: int) -> dict[str, Any]:
        """Label some more passages, train and evaluate."""
        folder, before = self.folder / str(number), self.folder / str(number - 1)
        folder.mkdir(exist_ok=True)
        labelled = [] if number == 1 else read_valid_passages(before / "annotations.jsonl")
        more = [replace(one, spans=self.gold[one.text].spans) for one in self.choose(number, labelled, before)]
        write_passages(folder / "annotations.jsonl", [*labelled, *more])
        sides = split(folder / "annotations.jsonl", folder, self.folder / "split.json")
        self.train(folder, sides)
        model = load_model(folder / "model" / "model-best")
        predicted = [Predicted(spans) for spans in predict_spans(model, sides.eval)]
        measured = analyse(sides.eval, predicted, self.labels)
        types = {label: one.to_dict() for label, one in measured.types.items()}
        (folder / "metrics.json").write_text(json.dumps({"types": types}))
        true = score(self.scored, predict_spans(model, self.scored), self.labels).micro.f1 or 0.0
        counts: dict[str, Any] = {"passages": len(labelled) + len(more), "training": len(sides.train)}
        for side in ("dev", "eval"):
            counts |= {side: len(sides.sides[side]), f"{side}_mentions": sum(len(p.spans) for p in sides.sides[side])}
        return {**counts, "measured": round(measured.micro.score.f1 or 0.0, 4), "f1": round(true, 4)}

    def choose(self, number: int, labelled: list[Passage], before: Path) -> list[Passage]:
        if self.strategy == "random":
            known = {passage.text for passage in labelled}
            left = [text for text in self.gold if text not in known]
            return [Passage(text) for text in random.Random(f"{self.seed} {number}").sample(left, BATCH)]
        later: dict[str, Any] = {}
        if number > 1:
            later = {"model": before / "model" / "model-best", "metrics": before / "metrics.json"}
            later |= {
                "labelled": [before / "annotations.jsonl"],
                "held_out": [before / "dev.jsonl", before / "eval.jsonl"],
            }
        found = select_passages([self.folder / "pool.jsonl"], size=BATCH, seed=self.seed, **later)
        passages = [replace(one.passage, extra={}) for one in found.chosen]
        if self.strategy == "divided":
            for passage in passages:
                passage.meta.pop(HELD_OUT_ONLY, None)
        return passages

    def train(self, folder: Path, sides: Split) -> None:
        config = self.folder / "config.cfg"
        nlp = load_tokenizing_pipeline(config)
        paths = [folder / "train.spacy", folder / "dev.spacy"]
        for path, side in zip(paths, (sides.train, sides.dev), strict=True):
            write_docs(nlp, side, path)
        train(Recipe(config, *paths, seed=self.seed), folder / "model")


if __name__ == "__main__":
    main()
