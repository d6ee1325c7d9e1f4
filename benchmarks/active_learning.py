"""Measure what choosing saves: python benchmarks/active_learning.py --corpora bc5cdr --seeds 7 8

People label nothing here: the corpus knows the answers. From the same start set, each strategy chooses the next
passages of a pool whose labels it does not see, with a model that is trained anew from the config each time; F1 is
measured on held-out passages. The early-stopping set is small, random, the same for all, and counts as labelled.

- random: any passages.
- by length: random, with as many long and short ones as the pool has.
- entropy: the largest sum of the entropies of the token marginals.
- mnlp: the largest mean of -log(highest marginal), as Shen et al. 2017 have it.
- tag count: the most entities that the model finds.
- select: `domain-ner select` with all types alike, and nothing at random.
- select often: the same, in smaller batches, with a model trained anew for each, as users are advised to.
- select unfiltered: select, which leaves nothing out.

The scores that it had before, and others that were tried, which leave nothing out:

- select by words: only words of which the model is unsure count, and what there is to learn is divided by the words and
  not by their square root. "select by words often" has smaller batches.
- select sure: the same, and the names of which the model is sure count, too.
- select by gate: as select by words, each type by what its F1 on the early-stopping set lacks to the gate.
- select by entropy: as select by words, without the probability that a word is in an entity. "select small" has
  smaller batches.
- select by time: the same, divided by the estimated time of the passage and not by its words.
- select unsure: select by words, which ends where the model is sure of each word.
- select short: select by words, divided by the square of the words. Short passages come first.
- select with names: as select by words, but names count three times as much, also where the model is sure of them,
  unless a labelled passage has them; each word once per passage, and a quarter each time that it was chosen.

What is labelled counts in four currencies: passages, words that are read, mentions that are marked, and an estimate of
the time, 3 s for each passage, 0.25 s for each word and 3 s for each mention (an assumption; the shape is that of Wei
et al. 2019). Against random: the area between the curves, and how much of each is needed to reach random's last F1.

--base-models minilm trains the template's transformer config instead of `cnn`, up to fewer passages, with the weights
of all-MiniLM-L6-v2 or of the model that --model names. Its results are told apart by "minilm" after the corpus.
--base-models cnn-from-2000 is `cnn` where 2,000 passages are labelled before anything is chosen.

Each training leaves a JSON file in the results folder, and is not repeated while that file is there. Every curve is
kept, also those that lose. --finished trains nothing, and sums up what is there: all curves but random's may end early.
Run it with OMP_NUM_THREADS=1 OPENBLAS_NUM_THREADS=1 BLIS_NUM_THREADS=1.
"""

import argparse
import json
import math
import random
from collections.abc import Callable, Iterator, Sequence
from dataclasses import replace
from functools import partial
from itertools import islice, pairwise, product
from pathlib import Path
from typing import Any

import numpy
from active_learning_picture import picture
from cpu_config import REPOSITORY, divide, once, versions, write_template_config
from spacy.language import Language

from spacy_domain_ner.annotation.candidates import Candidate, key_of
from spacy_domain_ner.annotation.choosing import WordCounts, by_doubts
from spacy_domain_ner.annotation.selection import select_passages
from spacy_domain_ner.components import biluo_ner
from spacy_domain_ner.confidence.doubts import DOUBTFUL, Doubt, read_doubts
from spacy_domain_ner.confidence.learning import WORDS_PER_PASSAGE
from spacy_domain_ner.confidence.prediction import expected_entities
from spacy_domain_ner.corpus import Passage
from spacy_domain_ner.corpus.jsonl import write_passages
from spacy_domain_ner.corpus.spacy_docs import load_tokenizing_pipeline, write_docs
from spacy_domain_ner.errors import UserError
from spacy_domain_ner.evaluation.gains import errors
from spacy_domain_ner.evaluation.gates import GATE
from spacy_domain_ner.evaluation.scores import predict_spans, score
from spacy_domain_ner.files import replacing
from spacy_domain_ner.models import load_model
from spacy_domain_ner.training import Recipe, train

SUMMARY = REPOSITORY / "benchmarks" / "results" / "active_learning.json"
PICTURE = REPOSITORY / "docs" / "images" / "active_learning.svg"
SIZES = {"cnn": (100, 250, 600, 1000), "cnn-from-2000": (2000, 2600), "minilm": (100, 250)}
# The names of corpora end with these, where it is not `cnn` from the start.
OTHERS = tuple(f" {name}" for name in SIZES if name != "cnn")
SMALLER = (150, 250, 400, 600, 800)
IN_SMALLER_BATCHES = ("select often", "select by words often", "select small")
POOL, EARLY_STOPPING, SCORED = 6000, 100, 1500
CURRENCIES = ("passages", "words", "mentions", "seconds")
SECONDS = {"passages": 3.0, "words": 0.25, "mentions": 3.0}
STRATEGIES = (
    "random", "by length", "entropy", "mnlp", "tag count", "select", "select often", "select unfiltered",
    "select by words", "select by words often", "select sure", "select by gate", "select by entropy", "select small",
    "select by time", "select unsure", "select short", "select with names",
)  # fmt: skip
PICTURED = (*STRATEGIES[:7], "select by words", "select by gate")
ENTROPY_ONLY = ("select by entropy", "select by time", "select small")
WITH_SURE_NAMES = ("select unfiltered", "select sure", "select with names")
# By which power of the words what there is to learn is divided.
POWERS = {"select unfiltered": 0.5, "select short": 2}


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--data", type=Path, default=REPOSITORY / ".." / "shared" / "data" / "corpora")
    parser.add_argument("--corpora", nargs="+", default=["bc5cdr", "stackoverflow_ner", "wnut17", "fin_sec"])
    parser.add_argument("--seeds", nargs="+", type=int, default=[7, 8, 9, 10, 11])
    parser.add_argument("--strategies", nargs="+", choices=STRATEGIES, default=list(STRATEGIES))
    parser.add_argument("--base-models", nargs="+", choices=SIZES, default=["cnn"])
    parser.add_argument("--model", default="sentence-transformers/all-MiniLM-L6-v2", help="hub name, or a folder")
    parser.add_argument("--scored", type=int, default=SCORED)
    parser.add_argument("--max-epochs", type=int, default=30)
    parser.add_argument("--results", type=Path, default=REPOSITORY / "build" / "active_learning")
    parser.add_argument("--finished", action="store_true", help="train nothing, sum up what is there")
    arguments = parser.parse_args()
    curves = []
    for base_model, seed, corpus in product(arguments.base_models, arguments.seeds, arguments.corpora):
        simulation = Simulation(arguments.data / corpus, seed, base_model, arguments)
        for strategy in arguments.strategies:
            points = simulation.curve(strategy)
            if not points:
                continue
            curves.append({"corpus": simulation.name, "seed": seed, "strategy": strategy, "points": points})
            print(json.dumps([simulation.name, seed, strategy, [(p["passages"], p["f1"]) for p in points]]), flush=True)
    settings = {"sizes": SIZES, "early_stopping": EARLY_STOPPING}
    settings |= {name: getattr(arguments, name) for name in ("scored", "max_epochs")}
    summary = {"versions": versions(), "settings": settings, "curves": curves}
    summary |= {"against_random": against_random(curves), "rises_per_doubling": rises(curves)}
    with replacing(SUMMARY) as stream:
        json.dump(summary, stream, indent=1)
        stream.write("\n")
    with replacing(PICTURE) as stream:
        # From 2,000 passages on, a curve has two points: the docs have them in words.
        pictured = [one for one in curves if not one["corpus"].endswith(" cnn-from-2000")]
        stream.write(picture(pictured, PICTURED))


class Simulation:
    """One corpus and one seed: a pool, a start set, an early-stopping set and held-out passages."""

    def __init__(self, corpus: Path, seed: int, base_model: str, arguments: argparse.Namespace) -> None:
        self.seed, self.sizes, self.arguments = seed, SIZES[base_model], arguments
        self.name = corpus.name if base_model == "cnn" else f"{corpus.name} {base_model}"
        # What is chosen depends on what was chosen before.
        sizes = "-".join(map(str, self.sizes))
        self.folder = arguments.results / f"{self.name.replace(' ', '-')}-{seed}-{arguments.max_epochs}-{sizes}"
        self.folder.mkdir(parents=True, exist_ok=True)
        self.pool, self.stopping, self.scored = divide(corpus, seed, (POOL, EARLY_STOPPING, arguments.scored))
        # A text that comes twice would be chosen once by some strategies, and twice by others.
        self.pool = list({passage.text: passage for passage in self.pool}.values())
        self.number = {passage.text: number for number, passage in enumerate(self.pool)}
        self.start = list(range(min(self.sizes)))
        self.config = self.folder / "config.cfg"
        if base_model != "minilm":
            write_template_config(self.config)
        elif not arguments.finished:
            # It needs PyTorch.
            from base_models import write_transformer_config

            write_transformer_config(self.config, arguments.model)
        self.labels = sorted({span.label for passage in self.pool for span in passage.spans})

    def curve(self, strategy: str) -> list[dict[str, Any]]:
        """The points of a strategy, one per size; with --finished as many as there are, and all of random's or none."""
        chosen, points = self.start, []
        later = SMALLER if strategy in IN_SMALLER_BATCHES else self.sizes
        for size in sorted({len(self.start), *later}):
            name = "start" if size == len(self.start) else f"{strategy.replace(' ', '-')}-{size}"
            before = self.folder / (points[-1]["name"] if points else "")
            if self.arguments.finished and not (self.folder / f"{name}.json").exists():
                points = [] if strategy == "random" or len(points) < 2 else points
                break
            point = once(self.folder / f"{name}.json", partial(self.point, name, strategy, chosen, size, before))
            chosen = point["chosen"]
            points.append(point)
        return [{key: value for key, value in point.items() if key not in ("chosen", "name")} for point in points]

    def point(self, name: str, strategy: str, chosen: list[int], size: int, before: Path) -> dict[str, Any]:
        """Choose passages until there are so many, train on them, and score the model."""
        if len(chosen) < size:
            chosen = [*chosen, *self.choose(strategy, chosen, min(size, len(self.pool)) - len(chosen), before)]
        model = self.train(self.folder / name, [self.pool[number] for number in chosen])
        found = score(self.scored, predict_spans(model, self.scored), self.labels)
        labelled = [*(self.pool[number] for number in chosen), *self.stopping]
        counts = {
            "passages": len(labelled),
            "words": sum(len(passage.text.split()) for passage in labelled),
            "mentions": sum(len(passage.spans) for passage in labelled),
        }
        counts["seconds"] = round(sum(SECONDS[currency] * count for currency, count in counts.items()))
        types = {label: round(one.f1 or 0.0, 4) for label, one in found.types.items()}
        f1 = round(found.micro.f1 or 0.0, 4)
        return {"name": name, "chosen": chosen, **counts, "f1": f1, "types": types}

    def train(self, folder: Path, passages: list[Passage]) -> Language:
        folder.mkdir(exist_ok=True)
        nlp = load_tokenizing_pipeline(self.config)
        paths = [folder / "train.spacy", folder / "dev.spacy"]
        for path, side in zip(paths, (passages, self.stopping), strict=True):
            write_docs(nlp, side, path)
        recipe = Recipe(self.config, *paths, max_epochs=self.arguments.max_epochs, seed=self.seed)
        train(recipe, folder / "model")
        return load_model(folder / "model" / "model-best")

    def choose(self, strategy: str, chosen: list[int], wanted: int, before: Path) -> list[int]:
        """The numbers of the next passages."""
        left = sorted({*range(len(self.pool))} - {*chosen})
        generator = random.Random(f"{self.seed} {len(chosen)}")
        if strategy == "random":
            return generator.sample(left, wanted)
        if strategy == "by length":
            generator.shuffle(left)
            left.sort(key=lambda number: len(self.pool[number].text.split()))
            return [left[(number * len(left) + len(left) // 2) // wanted] for number in range(wanted)]
        nlp = load_model(before / "model" / "model-best")
        if strategy in ("select", "select often"):
            return self.select(nlp, left, chosen, wanted)
        if strategy.startswith("select"):
            texts = [self.pool[number].text for number in left]
            names = {passage.name(span) for passage in (self.pool[n] for n in chosen) for span in passage.spans}
            weights = self.lacks(nlp) if strategy == "select by gate" else None
            return [self.number[text] for text in islice(by_other_score(nlp, strategy, texts, names, weights), wanted)]
        values = worth(nlp, strategy, [self.pool[number].text for number in left])
        return [left[place] for place in numpy.argsort(-values, kind="stable")[:wanted]]

    def select(self, nlp: Language, left: list[int], chosen: list[int], wanted: int) -> list[int]:
        pool, labelled = self.folder / "pool.jsonl", self.folder / "labelled.jsonl"
        write_passages(pool, [Passage(self.pool[number].text) for number in left])
        write_passages(labelled, [self.pool[number] for number in chosen])
        try:
            found = select_passages([pool], model=nlp, size=wanted, labelled=[labelled], random_share=0)
        except UserError:
            # It leaves out what is too long or nearly the same: a small pool is used up.
            return []
        return [self.number[one.passage.text] for one in found.chosen]

    def lacks(self, nlp: Language) -> dict[str, float]:
        """What each type lacks to the gate, as a share of what the weakest one lacks; a tenth at least."""
        types = score(self.stopping, predict_spans(nlp, self.stopping), self.labels).types
        lacks = {label: max(0.0, GATE - (one.f1 or 0.0)) for label, one in types.items()}
        most = max(lacks.values()) or 1.0
        return {label: max(0.1, lack / most) for label, lack in lacks.items()}


def by_other_score(
    nlp: Language, strategy: str, texts: list[str], names: set[str], weights: dict[str, float] | None
) -> Iterator[str]:
    """The texts in the order in which `select` would choose them with another score."""
    counts, candidates, again = WordCounts(), [], 0.25 if strategy == "select with names" else 0.5
    taught = {token.lower_ for name in names for token in nlp.make_doc(name)}
    doubts_of = read_doubts(nlp, texts, weights)
    for text, doubts, found in zip(texts, doubts_of, expected_entities(nlp, texts), strict=True):
        counts.add(doubts.lower)
        words, unsure = doubts.words + WORDS_PER_PASSAGE, doubts.doubts
        if strategy not in WITH_SURE_NAMES:
            unsure = tuple(one if one.entropy >= DOUBTFUL else replace(one, gain=0.0) for one in unsure)
        if strategy == "select with names":
            most: dict[str, Doubt] = {}
            for one in unsure:
                word = text[one.start : one.end].lower()
                counted = replace(one, gain=(one.entropy + 3 * one.inside) * (again if word in taught else 1))
                most[word] = max(most.get(word, counted), counted, key=lambda doubt: doubt.gain)
            unsure = tuple(most.values())
        elif strategy in ENTROPY_ONLY:
            unsure = tuple(replace(one, gain=one.entropy) for one in unsure if one.gain)
        if strategy == "select by time":
            labelled = {"passages": 1, "words": doubts.words, "mentions": sum(found.values())}
            # As many words as can be read in that time.
            words = sum(SECONDS[currency] * count for currency, count in labelled.items()) / SECONDS["words"]
        # What the score divides by the square root of, after it has added those for the passage.
        divided = round(words ** (2 * POWERS.get(strategy, 1))) - WORDS_PER_PASSAGE
        candidates.append(Candidate(Passage(text), key_of(text), divided, unsure, doubts.lower))
    return (one.passage.text for one, *_ in by_doubts(candidates, counts, lambda candidate: True, again))


def worth(nlp: Language, strategy: str, texts: list[str]) -> Any:
    """What the strategies of others think of texts."""
    if strategy == "tag count":
        return numpy.array([len(doc.ents) for doc in nlp.pipe(texts)])
    name = next(name for name, pipe in nlp.pipeline if isinstance(pipe, biluo_ner.BiluoNER))
    recognizer: Any = nlp.get_pipe(name)
    values = []
    for doc in nlp.pipe(texts, disable=[name]):
        scores = recognizer.model.predict([doc])
        _, shares = biluo_ner._marginals(numpy, recognizer._lattice([doc], scores, [0]).scores)
        if strategy == "mnlp":
            values.append(float(-numpy.log(shares[:, 0].max(axis=1)).mean()))
        else:
            values.append(float(-(shares * numpy.log(numpy.maximum(shares, 1e-30))).sum()))
    return numpy.array(values)


def against_random(curves: Sequence[dict[str, Any]]) -> list[dict[str, Any]]:
    """How each strategy compares with random, for each corpus: means over the seeds, with bootstrapped intervals."""
    rows = []
    randoms = {(one["corpus"], one["seed"]): one["points"] for one in curves if one["strategy"] == "random"}
    pairs = sorted({(one["corpus"], one["strategy"]) for one in curves if one["strategy"] != "random"})
    for corpus, strategy in pairs:
        same = [one for one in curves if (one["corpus"], one["strategy"]) == (corpus, strategy)]
        both = [(one["points"], randoms[corpus, one["seed"]]) for one in same if (corpus, one["seed"]) in randoms]
        if not both:
            continue
        row: dict[str, Any] = {"corpus": corpus, "strategy": strategy, "seeds": len(both)}
        for currency in CURRENCIES:
            row[f"area_{currency}"] = interval([area(mine, other, currency) for mine, other in both])
            row[f"needed_{currency}"] = interval([needed(mine, other, currency) for mine, other in both])
        weakest = [needed_for_weakest(mine, other) for mine, other in both]
        row["needed_passages_of_weakest_type"] = interval(weakest)
        row["lowest_ratio_of_f1"] = interval([lowest_ratio(mine, other) for mine, other in both])
        rows.append(row)
    return rows


def area(mine: list[dict], other: list[dict], currency: str) -> float:
    """By how much F1 is higher on average, where both curves have been measured."""
    low, high = (f(side[end][currency] for side in (mine, other)) for f, end in ((max, 0), (min, -1)))
    grid = numpy.linspace(low, high, 200)
    one, two = (numpy.interp(grid, [p[currency] for p in side], [p["f1"] for p in side]) for side in (mine, other))
    return float((one - two).mean())


def needed(
    mine: list[dict], other: list[dict], currency: str, f1: Callable[[dict], float] = lambda p: p["f1"]
) -> float:
    """The share of what random needs for its last F1; not a number where that is not reached."""
    wanted = f1(other[-1])
    for first, second in pairwise(mine):
        if f1(second) >= wanted:
            rise = f1(second) - f1(first)
            part = 0.0 if f1(first) >= wanted else (wanted - f1(first)) / rise
            return (first[currency] + part * (second[currency] - first[currency])) / other[-1][currency]
    return float("nan")


def needed_for_weakest(mine: list[dict], other: list[dict]) -> float:
    """The same in passages, for the type with random's lowest last F1 of those that it finds at all."""
    last = {label: value for label, value in other[-1]["types"].items() if value > 0.05}
    if not last:
        return float("nan")
    weakest = min(last, key=last.__getitem__)
    return needed(mine, other, "passages", lambda point: point["types"].get(weakest, 0.0))


def lowest_ratio(mine: list[dict], other: list[dict]) -> float:
    """The lowest of the ratios of F1 with as many passages; random's is interpolated between its points."""
    xs, ys = [point["passages"] for point in other], [point["f1"] for point in other]
    return min(point["f1"] / float(numpy.interp(point["passages"], xs, ys)) for point in mine)


def rises(curves: Sequence[dict[str, Any]]) -> dict[str, Any]:
    """By how much -log(1 - F1) of a type rises with each doubling of the passages that `select` chooses.

    A step counts where the model of the smaller size finds the type, and the next size is larger by a quarter or more.
    """
    found: dict[str, list[float]] = {}
    for curve in curves:
        if curve["strategy"] != "select" or curve["corpus"].endswith(OTHERS):
            continue
        for first, second in pairwise(curve["points"]):
            doublings = math.log2(second["passages"] / first["passages"])
            for label, f1 in first["types"].items():
                if doublings > 0.3 and f1 > 0.1 and label in second["types"]:
                    rise = (errors(second["types"][label]) - errors(f1)) / doublings
                    found.setdefault(curve["corpus"], []).append(rise)
    values = [rise for rises in found.values() for rise in rises]
    spreads = {corpus: round(float(numpy.std(rises)), 4) for corpus, rises in found.items()}
    median = round(float(numpy.median(values)), 4) if values else None
    return {"steps": len(values), "median": median, "standard_deviations": spreads}


def interval(values: Sequence[float]) -> dict[str, Any]:
    """A mean, with the interval of means over seeds drawn again; none of a single seed."""
    known = numpy.array([value for value in values if numpy.isfinite(value)])
    if not len(known):
        return {"mean": None, "not_reached": len(values)}
    found: dict[str, Any] = {"mean": round(float(known.mean()), 4), "each": [round(float(one), 4) for one in known]}
    if len(known) < len(values):
        found["not_reached"] = len(values) - len(known)
    if len(known) > 1:
        draws = numpy.random.default_rng(0).choice(known, (2000, len(known))).mean(axis=1)
        found["interval"] = [round(float(end), 4) for end in numpy.quantile(draws, (0.025, 0.975))]
    return found


if __name__ == "__main__":
    main()
