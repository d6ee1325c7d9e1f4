"""Measure first labels: python benchmarks/bootstrap.py --corpora bc5cdr --seeds 7

People label nothing here: the corpora know the answers. The training side is divided in two halves. From the annotation
of one half comes the gazetteer: up to 500 names per type, drawn at random from the different names. Of the other half,
150 passages are annotated, the first 50 of them are reviewed, and others are the unlabelled text. So no name comes from
the text that is labelled with it (`--names same` takes them from that text).

A corpus without a held-out side gives a fifth of itself, by whole documents where it names them.

- annotated: a model of the 150 passages.
- reviewed: a model of the 50 passages.
- outside: a model of the 50 passages and the unlabelled ones with the sure spans of `domain-ner bootstrap`, where
  what no source marks counts as outside of all names.
- partial: the same passages as `domain-ner bootstrap` writes them.
- twice: first labels anew, with the model of `partial` as one more source, and a model of these.

Every fifth of the annotated or reviewed passages says when training stops, so nothing beyond them is used. F1 is
measured on passages of the held-out side. Each training leaves a JSON file in the results folder, and is not repeated.
Run it with OMP_NUM_THREADS=1 OPENBLAS_NUM_THREADS=1 BLIS_NUM_THREADS=1.
"""

import argparse
import json
import random
from collections import defaultdict
from dataclasses import replace
from functools import partial
from pathlib import Path
from typing import Any

from cpu_config import FEWEST_WORDS, REPOSITORY, hold_out, once, versions, write_template_config

from spacy_domain_ner.bootstrapping.bootstrap import bootstrap
from spacy_domain_ner.corpus import Passage, read_valid_passages
from spacy_domain_ner.corpus.jsonl import write_passages
from spacy_domain_ner.corpus.spacy_docs import load_tokenizing_pipeline, write_docs
from spacy_domain_ner.evaluation.scores import predict_spans, score
from spacy_domain_ner.files import replacing
from spacy_domain_ner.models import load_model
from spacy_domain_ner.schema import EntitySchema, EntityType
from spacy_domain_ner.training import Recipe, train

SUMMARY = REPOSITORY / "benchmarks" / "results" / "bootstrap.json"
ARMS = ("annotated", "reviewed", "outside", "partial", "twice")
NAMES, ANNOTATED, REVIEWED, SCORED = 500, 150, 50, 1200


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--data", type=Path, default=REPOSITORY / ".." / "shared" / "data" / "corpora")
    parser.add_argument("--corpora", nargs="+", default=["bc5cdr", "stackoverflow_ner", "wnut17", "fin_sec"])
    parser.add_argument("--seeds", nargs="+", type=int, default=[7, 8])
    parser.add_argument("--arms", nargs="+", choices=ARMS, default=["annotated", "outside", "partial"])
    parser.add_argument("--names", choices=("other", "same"), default="other")
    parser.add_argument("--unlabelled", type=int, default=1500)
    parser.add_argument("--max-epochs", type=int, default=6, help="with the unlabelled passages; else 30")
    parser.add_argument("--results", type=Path, default=REPOSITORY / "build" / "bootstrap")
    arguments = parser.parse_args()
    rows = []
    for seed in arguments.seeds:
        for corpus in arguments.corpora:
            simulation = Simulation(arguments.data / corpus, seed, arguments)
            for arm in arguments.arms:
                row = once(simulation.folder / f"{arm}.json", partial(simulation.measure, arm))
                rows.append({"corpus": corpus, "seed": seed, "arm": arm, **row})
                print(json.dumps(rows[-1]), flush=True)
    settings = {name: getattr(arguments, name) for name in ("names", "unlabelled", "max_epochs")}
    with replacing(SUMMARY) as stream:
        json.dump({"versions": versions(), "settings": settings, "rows": rows}, stream, indent=1)
        stream.write("\n")


class Simulation:
    """One corpus and one seed: a gazetteer, annotated and unlabelled passages, and held-out ones."""

    def __init__(self, corpus: Path, seed: int, arguments: argparse.Namespace) -> None:
        self.seed, self.max_epochs = seed, arguments.max_epochs
        setting = f"{corpus.name}-{seed}-{arguments.names}-{arguments.unlabelled}-{arguments.max_epochs}"
        self.folder = arguments.results / setting
        self.folder.mkdir(parents=True, exist_ok=True)
        generator = random.Random(seed)
        sides = [read(file, generator) for side in ("train", "dev") if (file := corpus / f"{side}.jsonl").exists()]
        if len(sides) == 1:
            held_out, rest = hold_out(sides[0], generator)
            sides = [rest, held_out]
        pool, self.scored = sides[0], sides[1][:SCORED]
        half = len(pool) // 2
        self.annotated = pool[:ANNOTATED]
        self.unlabelled = pool[ANNOTATED:half][: arguments.unlabelled]
        named = self.unlabelled if arguments.names == "same" else pool[half:]
        self.labels = sorted({span.label for passage in pool for span in passage.spans})
        self.gazetteer = draw_names(named, generator)
        self.config = self.folder / "config.cfg"
        write_template_config(self.config)

    def measure(self, arm: str) -> dict[str, Any]:
        """Train a model and score it."""
        own = self.annotated if arm == "annotated" else self.annotated[:REVIEWED]
        stopping, training = own[::5], [one for number, one in enumerate(own) if number % 5]
        about: dict[str, Any] = {}
        if arm in ("outside", "partial", "twice"):
            silver, about = self.silver([self.folder / "partial/model/model-best"] if arm == "twice" else [])
            if arm == "outside":
                silver = [replace(one, unknown=[part for part in one.unknown if part.label]) for one in silver]
            training = [*training, *silver]
        folder = self.folder / arm
        folder.mkdir(exist_ok=True)
        nlp, paths = load_tokenizing_pipeline(self.config), [folder / "train.spacy", folder / "dev.spacy"]
        for path, side in zip(paths, (training, stopping), strict=True):
            write_docs(nlp, side, path)
        epochs = self.max_epochs if about else 30
        train(Recipe(self.config, *paths, max_epochs=epochs, seed=self.seed), folder / "model")
        found = score(self.scored, predict_spans(load_model(folder / "model" / "model-best"), self.scored), self.labels)
        shares = {name: round(getattr(found.micro, name) or 0.0, 4) for name in ("f1", "precision", "recall")}
        return {**shares, **about}

    def silver(self, models: list[Path]) -> tuple[list[Passage], dict[str, Any]]:
        """The unlabelled passages with first labels, and how right those are."""
        texts, names, reviewed = (self.folder / name for name in ("texts.jsonl", "names.csv", "reviewed.jsonl"))
        write_passages(texts, [Passage(passage.text) for passage in self.unlabelled])
        write_passages(reviewed, self.annotated[:REVIEWED])
        names.write_text("name,type\n" + "".join(f"{quoted(name)},{label}\n" for label, name in self.gazetteer), "utf8")
        schema = EntitySchema(entity_types=[EntityType(name=label) for label in self.labels])
        made = bootstrap(
            [texts], schema=schema, gazetteers=[names], models=models, reviewed=[reviewed], config=self.config,
            size=len(self.unlabelled), report=self.folder / "report.json",
        )  # fmt: skip
        true = {passage.text: passage for passage in self.unlabelled}
        spans = [span in true[passage.text].spans for passage in made.passages for span in passage.spans]
        nlp, outside, missed = load_tokenizing_pipeline(self.config), 0, 0
        for passage in made.passages:
            for token in nlp.make_doc(passage.text):
                if not any(touches(token, part) for part in (*passage.spans, *passage.unknown)):
                    outside += 1
                    missed += any(touches(token, span) for span in true[passage.text].spans)
        return made.passages, {
            "silver": len(made.passages), "sure_spans": len(spans),
            "mentions": sum(len(passage.spans) for passage in true.values()),
            "precision_of_spans": round(sum(spans) / max(1, len(spans)), 4), "tokens": made.tokens,
            "names_in_outside": round(missed / max(1, outside), 4),
        }  # fmt: skip


def read(path: Path, generator: random.Random) -> list[Passage]:
    """The passages of a file, each text once, in a random order."""
    passages = list({p.text: p for p in read_valid_passages(path) if len(p.text.split()) >= FEWEST_WORDS}.values())
    generator.shuffle(passages)
    return passages


def draw_names(passages: list[Passage], generator: random.Random) -> list[tuple[str, str]]:
    """Up to `NAMES` different names of each type, each with its type before it."""
    names = defaultdict(set)
    for passage in passages:
        for span in passage.spans:
            names[span.label].add(" ".join(passage.surface(span).split()))
    return [
        (label, name)
        for label, of in sorted(names.items())
        for name in generator.sample(sorted(of), min(NAMES, len(of)))
    ]


def quoted(name: str) -> str:
    """A name as a cell of CSV."""
    return '"' + name.replace('"', '""') + '"'


def touches(token: Any, span: Any) -> bool:
    """Whether a token has a character of a span."""
    return bool(span.start < token.idx + len(token) and token.idx < span.end)


if __name__ == "__main__":
    main()
