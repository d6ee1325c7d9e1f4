"""Measure what it costs to stop early on a small early-stopping set.

    python benchmarks/early_stopping.py --corpora stackoverflow_ner --seeds 20 21
    python benchmarks/early_stopping.py --corpora bc5cdr wnut17 --seeds 20 21 --sizes 100 250 600
    python benchmarks/early_stopping.py --corpora wnut17 --seeds 22 23 24 --sizes 100 250
    python benchmarks/early_stopping.py --corpora fin_sec --seeds 7 8 9 --sizes 250 600

`cnn` trains for 30 epochs on the first so many passages of a corpus. After each half epoch the averaged weights are
scored on an early-stopping set of up to 100 passages (300 where 1,000 train), and on up to 1,000 held-out ones. So one
training tells which model any rule would have taken:

- five epochs: training stops after five epochs without a better F1 on the early-stopping set. The best one is taken.
- 1,000 steps: after as many steps at least (`spacy_training.LEAST_PATIENCE`).
- kept: the same, but the last one is taken, unless the best one is better by more than chance
  (`spacy_training.MORE_THAN_CHANCE`). This is how `domain-ner train` works.
- half of chance, and any: the same with half as much, and the last one in any case.
- from the tenth epoch: as 1,000 steps, and no score of the first ten epochs counts.
- 30 epochs: the best one of all.
- last: the last one of 30 epochs, whatever its score.

Each training leaves a JSON file in the results folder, and is not repeated while that file is there; the summary is of
all that are there. Run it with OMP_NUM_THREADS=1 OPENBLAS_NUM_THREADS=1 BLIS_NUM_THREADS=1.
"""

import argparse
import json
import math
import tempfile
from collections.abc import Sequence
from functools import partial
from pathlib import Path
from statistics import mean
from typing import Any

from cpu_config import REPOSITORY, divide, once, versions, write_template_config
from spacy.language import Language

from spacy_domain_ner.corpus.spacy_docs import load_tokenizing_pipeline, write_docs
from spacy_domain_ner.evaluation.scores import predict_spans, score
from spacy_domain_ner.files import replacing
from spacy_domain_ner.training import Recipe, train
from spacy_domain_ner.training.spacy_training import LEAST_PATIENCE, MORE_THAN_CHANCE, standard_error, steps_per_epoch

SUMMARY = REPOSITORY / "benchmarks" / "results" / "early_stopping.json"
POOL, SCORED = 6000, 1000
# The training passages, and the early-stopping ones.
SIZES = {100: 100, 250: 100, 600: 100, 1000: 300}
EPOCHS, PATIENCE, FIRST = 30, 5, 10

# F1 on the early-stopping set, and on the held-out passages.
Point = tuple[float, float]


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--data", type=Path, default=REPOSITORY / ".." / "shared" / "data" / "corpora")
    parser.add_argument("--corpora", nargs="+", default=["bc5cdr", "stackoverflow_ner", "wnut17"])
    parser.add_argument("--seeds", nargs="+", type=int, default=[20, 21])
    parser.add_argument("--sizes", nargs="+", type=int, choices=SIZES, default=list(SIZES))
    parser.add_argument("--results", type=Path, default=REPOSITORY / "build" / "early_stopping")
    arguments = parser.parse_args()
    arguments.results.mkdir(parents=True, exist_ok=True)
    for corpus in arguments.corpora:
        for size in arguments.sizes:
            for seed in arguments.seeds:
                path = arguments.results / f"{corpus}-{seed}-{size}.json"
                once(path, partial(measure, arguments.data / corpus, seed, size))
    rows = []
    for path in sorted(arguments.results.glob("*.json")):
        (corpus, seed, size), found = path.stem.rsplit("-", 2), json.loads(path.read_text("utf8"))
        taken = {rule: found["points"][place][1] for rule, place in choices(found).items()}
        row = {"corpus": corpus, "size": int(size), "seed": int(seed), "mentions": found["mentions"], "f1": taken}
        rows.append(row)
    means = []
    for corpus, size in sorted({(row["corpus"], row["size"]) for row in rows}):
        same = [row["f1"] for row in rows if (row["corpus"], row["size"]) == (corpus, size)]
        f1 = {rule: round(mean(one[rule] for one in same), 4) for rule in same[0]}
        means.append({"corpus": corpus, "size": size, "seeds": len(same), "f1": f1})
        print(json.dumps(means[-1]))
    with replacing(SUMMARY) as stream:
        json.dump({"versions": versions(), "rows": rows, "means": means}, stream, indent=1)
        stream.write("\n")


def measure(corpus: Path, seed: int, size: int) -> dict[str, Any]:
    """Train once, and score the model after each half epoch."""
    pool, stopping, scored = divide(corpus, seed, (POOL, SIZES[size], SCORED))
    # A text that comes twice counts once.
    pool = list({passage.text: passage for passage in pool}.values())
    labels = sorted({span.label for passage in pool for span in passage.spans})
    points: list[Point] = []
    evaluate = Language.evaluate

    def and_score(nlp: Language, *arguments: Any, **settings: Any) -> dict[str, Any]:
        found = evaluate(nlp, *arguments, **settings)
        f1 = score(scored, predict_spans(nlp, scored), labels).micro.f1 or 0.0
        points.append((round(found["ents_f"], 4), round(f1, 4)))
        return found

    with tempfile.TemporaryDirectory() as folder:
        config = Path(folder) / "config.cfg"
        write_template_config(config)
        nlp = load_tokenizing_pipeline(config)
        sets = [Path(folder) / "train.spacy", Path(folder) / "dev.spacy"]
        for path, side in zip(sets, (pool[:size], stopping), strict=True):
            write_docs(nlp, side, path)
        steps = steps_per_epoch(config, {"paths.train": str(sets[0]), "paths.dev": str(sets[1])})
        Language.evaluate = and_score  # type: ignore[method-assign]
        try:
            train(Recipe(config, *sets, max_epochs=EPOCHS, patience_epochs=EPOCHS, seed=seed), Path(folder) / "model")
        finally:
            Language.evaluate = evaluate  # type: ignore[method-assign]
    return {"mentions": sum(len(passage.spans) for passage in stopping), "steps": steps, "points": points}


def choices(found: dict[str, Any]) -> dict[str, int]:
    """The numbers of the evaluations whose models the rules take."""
    points, steps = found["points"], found["steps"]
    between = max(1, steps // 2)
    patience = max(PATIENCE * steps, LEAST_PATIENCE) / between
    taken, last = best(points, patience)
    error = standard_error(points[taken][0], found["mentions"])
    missing = points[taken][0] - points[last][0]
    return {
        "five epochs": best(points, PATIENCE * steps / between)[0],
        "1,000 steps": taken,
        "kept": last if missing <= MORE_THAN_CHANCE * error else taken,
        "half of chance": last if missing <= MORE_THAN_CHANCE / 2 * error else taken,
        "any": last,
        "from the tenth epoch": best(points, patience, math.ceil(FIRST * steps / between))[0],
        "30 epochs": best(points, len(points))[0],
        "last": len(points) - 1,
    }


def best(points: Sequence[Point], patience: float, first: int = 0) -> tuple[int, int]:
    """The model of the highest score that training comes to, and the last one.

    Training stops after so many scores without a higher one.
    """
    highest = taken = number = first
    for number, (f1, _) in enumerate(points[first:], first):
        if f1 > points[highest][0]:
            highest = number
        # spaCy counts from the first one of those with the highest score, and keeps the last one.
        if f1 == points[highest][0]:
            taken = number
        if number - highest >= patience:
            break
    return taken, number


if __name__ == "__main__":
    main()
