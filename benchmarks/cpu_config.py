"""Measure the template's CPU config against spaCy's quickstart config for the CPU, on public corpora.

    python benchmarks/cpu_config.py --data ../shared/data/corpora --seeds 7 8

- quickstart: `spacy init config --optimize efficiency`.
- ner: the template's config with spaCy's own recognizer on the same token network.
- hashed: the template's config as it was before it knew words: a table of hashes tells them apart.
- cnn: the template's config.

--systems trains only some of them: what the summary has of the others stays.

All train on the same passages, stop early on the same others, and are scored on the same held-out ones by the
annotation's own character offsets: a span counts if its start, end and label are right. A corpus is a folder with
`train.jsonl` and `dev.jsonl` in the canonical form. `dev.jsonl` is scored; if there is only one of the two, a part of
it is held out. The seed draws the passages and seeds the training. For cnn's confidence, the expected calibration error
on the held-out passages is given before and after the line that the early-stopping set gives, and what it would be by
chance if confidence were exact.

Each run leaves a JSON file and its model in the results folder, and is not repeated while that file is there: an
interrupted benchmark resumes where it was. Speeds are passages per second of CPU time, and the models take turns in one
process. Run it with OMP_NUM_THREADS=1 OPENBLAS_NUM_THREADS=1 BLIS_NUM_THREADS=1, so that threads are not what is timed.
"""

import argparse
import json
import platform
import random
import statistics
import time
from collections.abc import Callable, Sequence
from functools import partial
from pathlib import Path
from typing import Any

import spacy
import thinc
from spacy.cli.init_config import init_config
from spacy.cli.train import train as spacy_train

from spacy_domain_ner.confidence import (
    chance_calibration_error,
    expected_calibration_error,
    find_recognizer,
    judge_predictions,
    risk_coverage,
    surest,
)
from spacy_domain_ner.corpus import Passage, read_valid_passages
from spacy_domain_ner.corpus.spacy_docs import load_tokenizing_pipeline, write_docs
from spacy_domain_ner.evaluation.scores import predict_spans, score
from spacy_domain_ner.files import replacing
from spacy_domain_ner.training import Recipe, train

REPOSITORY = Path(__file__).resolve().parent.parent
TEMPLATE_CONFIG = REPOSITORY / "{{cookiecutter.domain}}" / "configs" / "cnn.cfg"
SUMMARY = REPOSITORY / "benchmarks" / "results" / "cpu_config.json"
CORPORA = ("stackoverflow_ner", "wnut17", "bc5cdr", "fin_sec", "indian_legal_ner")
TRAINING, EARLY_STOPPING, SCORED = 1000, 300, 1500
SYSTEMS = ("quickstart", "ner", "hashed", "cnn")
# The parser of spaCy's quickstart for the CPU.
PARSER = {
    "@architectures": "spacy.TransitionBasedParser.v2", "state_type": "ner", "extra_state_tokens": False,
    "hidden_width": 64, "maxout_pieces": 2, "use_upper": False, "nO": None,
}  # fmt: skip
# How cnn told words apart before it knew them.
HASHED = {
    "@layers": "concatenate.v1",
    "*": {
        "words": {"@architectures": "spacy.MultiHashEmbed.v2", "width": 96, "rows": [5000, 1000, 2500, 2500],
                  "attrs": ["NORM", "PREFIX", "SUFFIX", "SHAPE"], "include_static_vectors": False},
        "characters": {"@architectures": "spacy.CharacterEmbed.v2", "width": 32, "rows": 1000, "nM": 16, "nC": 10,
                       "feature": "SHAPE", "include_static_vectors": False},
    },
}  # fmt: skip
# The share that is held out of a corpus with only one file.
HELD_OUT = 0.25
FEWEST_WORDS = 5
MAX_EPOCHS = 30
SPEED_ROUNDS = 3

Division = tuple[list[Passage], list[Passage], list[Passage]]


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--data", type=Path, default=REPOSITORY / ".." / "shared" / "data" / "corpora")
    parser.add_argument("--corpora", nargs="+", default=list(CORPORA))
    parser.add_argument("--seeds", nargs="+", type=int, default=[7])
    parser.add_argument("--systems", nargs="+", choices=SYSTEMS, default=list(SYSTEMS))
    parser.add_argument("--results", type=Path, default=REPOSITORY / "build" / "cpu_config")
    arguments = parser.parse_args()
    before = json.loads(SUMMARY.read_text("utf8"))["rows"] if SUMMARY.exists() else []
    known = {(row["corpus"], row["seed"]): row for row in before}
    rows = []
    for seed in arguments.seeds:
        for corpus in arguments.corpora:
            if not (arguments.data / corpus).is_dir():
                print(f"{corpus}: not in {arguments.data}, skipped")
                continue
            measured = compare(arguments.data / corpus, seed, arguments.systems, arguments.results)
            rows.append({**known.get((corpus, seed), {}), **measured})
            print_table(rows)
    if not rows:
        parser.error(f"no corpus in {arguments.data}; name the folder of the corpora with --data")
    # Results of earlier runs on other corpora and with other seeds stay.
    done = {(row["corpus"], row["seed"]) for row in rows}
    rows += [row for row in before if (row["corpus"], row["seed"]) not in done]
    rows.sort(key=lambda row: (row["seed"], row["corpus"]))
    with replacing(SUMMARY) as stream:
        json.dump({"versions": versions(), "rows": rows}, stream, indent=2)
        stream.write("\n")


def compare(corpus: Path, seed: int, systems: Sequence[str], results: Path) -> dict[str, Any]:
    """Train and score the systems on a corpus, and time them.

    Returns:
        A row of the table.
    """
    division = divide(corpus, seed)
    runs = {
        name: once(results / f"{corpus.name}-{seed}-{name}.json", partial(run, name, division, corpus, seed, results))
        for name in systems
    }
    timing = results / f"{corpus.name}-{seed}-{'-'.join(systems)}-speed.json"
    speeds = once(timing, partial(time_all, corpus, seed, systems, division[2], results))
    sizes = dict(zip(("training", "early_stopping", "scored"), map(len, division), strict=True))
    return {"corpus": corpus.name, "seed": seed, "passages": sizes, **runs, "passages_per_cpu_second": speeds}


def divide(corpus: Path, seed: int, sizes: tuple[int, int, int] = (TRAINING, EARLY_STOPPING, SCORED)) -> Division:
    """Draw the passages to train on, to stop early on, and to score.

    Returns:
        As many as `sizes` says, or fewer in that proportion where there are not enough.
    """
    training, early_stopping, scored = sizes
    generator = random.Random(seed)
    files = [corpus / name for name in ("train.jsonl", "dev.jsonl") if (corpus / name).exists()]
    sides = [[p for p in read_valid_passages(file) if len(p.text.split()) >= FEWEST_WORDS] for file in files]
    if len(sides) == 2:
        pool, held_out = sides
        generator.shuffle(pool)
        generator.shuffle(held_out)
    else:
        held_out, pool = hold_out(sides[0], generator)
    stopping = min(early_stopping, len(pool) * early_stopping // (training + early_stopping))
    return pool[stopping : stopping + training], pool[:stopping], held_out[:scored]


def hold_out(passages: list[Passage], generator: random.Random) -> tuple[list[Passage], list[Passage]]:
    """Hold out a part of a corpus, by whole documents where they are known: names recur within a document."""
    documents: dict[str, list[Passage]] = {}
    for passage in passages:
        documents.setdefault(str(passage.meta.get("doc", passage.text)), []).append(passage)
    names = list(documents)
    generator.shuffle(names)
    held_out: list[Passage] = []
    while len(held_out) < int(len(passages) * HELD_OUT):
        held_out += documents.pop(names.pop(0))
    rest = [passage for name in names for passage in documents[name]]
    if len(names) < len(rest):
        generator.shuffle(rest)
    return held_out, rest


def run(name: str, division: Division, corpus: Path, seed: int, results: Path) -> dict[str, Any]:
    """Train a system and score its best model."""
    folder = results / f"{corpus.name}-{seed}-{name}"
    folder.mkdir(parents=True, exist_ok=True)
    config = folder / "config.cfg"
    if name == "quickstart":
        init_config(lang="en", pipeline=["ner"], optimize="efficiency", gpu=False).to_disk(config)
    else:
        write_template_config(config, plain=name == "ner", hashed=name == "hashed")
    nlp = load_tokenizing_pipeline(config)
    paths = [folder / "train.spacy", folder / "dev.spacy"]
    misaligned = [len(write_docs(nlp, passages, path)) for passages, path in zip(division, paths, strict=False)]
    started = time.perf_counter(), time.process_time()
    if name != "quickstart":
        train(Recipe(config, *paths, max_epochs=MAX_EPOCHS, seed=seed), folder / "model")
    else:
        overrides = {"paths.train": str(paths[0]), "paths.dev": str(paths[1]), "training.max_epochs": MAX_EPOCHS}
        spacy_train(config, folder / "model", overrides={**overrides, "system.seed": seed, "training.seed": seed})
    ended = time.perf_counter(), time.process_time()
    best = spacy.load(folder / "model" / "model-best")
    found = score(division[2], predict_spans(best, division[2]), [])
    return {
        **found.micro.to_dict(),
        "f1_early_stopping": score(division[1], predict_spans(best, division[1]), []).micro.to_dict()["f1"],
        "training_seconds": round(ended[0] - started[0]),
        "training_cpu_seconds": round(ended[1] - started[1]),
        "misaligned_training_spans": misaligned[0],
        **calibration(best, division[2]),
    }


def calibration(nlp: spacy.Language, passages: list[Passage]) -> dict[str, Any]:
    """Measure how far a model's confidence is from its precision, and the precision of the surest 80 %."""
    recognizer = find_recognizer(nlp)
    if recognizer is None:
        return {}
    calibrated = judge_predictions(nlp, passages)
    kept, recognizer.calibration = recognizer.calibration, None
    plain = judge_predictions(nlp, passages)
    recognizer.calibration = kept
    points = risk_coverage(calibrated)
    return {
        "calibration_error": round(expected_calibration_error(calibrated) or 0, 4),
        "calibration_error_by_chance": round(chance_calibration_error(calibrated) or 0, 4),
        "calibration_error_before": round(expected_calibration_error(plain) or 0, 4),
        "precision_of_surest_80_percent": round(surest(points, 0.8).precision, 4) if points else None,
    }


def write_template_config(
    path: Path, *, plain: bool = False, hashed: bool = False, rules: Sequence[str] = ("software",)
) -> None:
    """Write the template's CPU config, in which cookiecutter fills in only the language and the tokenizer rules.

    Args:
        path: The file to write.
        plain: Whether to take spaCy's own recognizer on the same token network.
        hashed: Whether words are told apart as they were before any was known.
        rules: The groups of tokenizer rules.
    """
    text = TEMPLATE_CONFIG.read_text("utf8").replace("{{ cookiecutter.language }}", "en")
    path.write_text(text.replace("{{ cookiecutter.__rules_in_config }}", json.dumps(list(rules))), "utf8")
    if plain:
        config = spacy.util.load_config(path, interpolate=False)
        tok2vec = config["components"]["ner"]["model"]["tok2vec"]
        config["components"]["ner"] = {"factory": "ner", "model": {**PARSER, "tok2vec": tok2vec}}
        config.to_disk(path)
    if hashed:
        config = spacy.util.load_config(path, interpolate=False)
        config["components"]["ner"]["model"]["tok2vec"]["embed"]["embed"] = HASHED
        config.to_disk(path)


def time_all(
    corpus: Path, seed: int, systems: Sequence[str], passages: list[Passage], results: Path
) -> dict[str, float]:
    """Measure the passages per second of CPU time of each model, in turn, so that a busy machine slows all of them."""
    seconds: dict[str, list[float]] = {name: [] for name in systems}
    texts = [passage.text for passage in passages]
    for _ in range(SPEED_ROUNDS):
        for name in systems:
            # Loaded again, so that no word is in memory from the round before.
            nlp = spacy.load(results / f"{corpus.name}-{seed}-{name}" / "model" / "model-best")
            started = time.process_time()
            for _ in nlp.pipe(texts):
                pass
            seconds[name].append(time.process_time() - started)
    return {name: round(len(texts) / statistics.median(times), 1) for name, times in seconds.items()}


def once(path: Path, compute: Callable[[], dict[str, Any]]) -> dict[str, Any]:
    """Read the result in a file; compute it and write the file where it is missing."""
    if not path.exists():
        result = compute()
        with replacing(path) as stream:
            json.dump(result, stream, indent=2)
    return json.loads(path.read_text("utf8"))


def print_table(rows: list[dict[str, Any]]) -> None:
    """Print the results so far, as a Markdown table. What was not measured is left empty."""
    columns = [f"{name} F1 (P/R)" for name in SYSTEMS]
    print("\n| corpus | seed | passages |", " | ".join(columns), "| calibration | CPU s | speed of cnn : others |")
    print("|-|-|-|-|-|-|-|-|-|-|")
    for row in rows:
        found = [row.get(name) for name in SYSTEMS]
        scores = [f"{one['f1']:.3f} ({one['precision']:.2f}/{one['recall']:.2f})" if one else "" for one in found]
        errors = row.get("cnn")
        error = "{calibration_error_before:.2f}, {calibration_error:.2f}".format(**errors) if errors else ""
        sizes = "+".join(str(size) for size in row["passages"].values())
        seconds = " / ".join(str(one["training_cpu_seconds"]) if one else "" for one in found)
        speeds = row["passages_per_cpu_second"]
        others = [f"{speeds['cnn'] / speeds[name]:.2f}" for name in SYSTEMS[:-1] if {name, "cnn"} <= speeds.keys()]
        cells = [row["corpus"], str(row["seed"]), sizes, *scores, error, seconds, ", ".join(others)]
        print("|", " | ".join(cells), "|")


def versions() -> dict[str, str]:
    return {"python": platform.python_version(), "spacy": spacy.__version__, "thinc": thinc.__version__}


if __name__ == "__main__":
    main()
