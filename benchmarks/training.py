"""Measure the CPU seconds that training `cnn` takes, against those of an earlier commit.

    python benchmarks/training.py --data ../shared/data/corpora --before 318d8a5 --seeds 7 8

Both sides train by their own config and their own code on the same passages with the same seed, each in a process of
its own, and stop early on the same others. `starter` is the software pack's corpus, of which an eighth stops training;
it is scored on the annotated real passages that --real names. The other corpora are divided as in cpu_config.py.

Seconds are those of `train` on the CPU, of all threads, from the call to the calibrated model. A step is one batch; its
milliseconds are those seconds divided by the steps, with everything between them: evaluation, saving, calibration.

Each run leaves a JSON file and its model in the results folder, and is not repeated while that file is there. Run it
with OMP_NUM_THREADS=1 OPENBLAS_NUM_THREADS=1 BLIS_NUM_THREADS=1, so that threads are not what is timed.
"""

import argparse
import json
import os
import subprocess
import sys
import time
from functools import partial
from pathlib import Path
from typing import Any

from cpu_config import CORPORA, MAX_EPOCHS, REPOSITORY, TEMPLATE_CONFIG, Division, divide, once, versions
from spacy.language import Language
from starter_corpus import PACK, draw

from spacy_domain_ner.corpus import read_valid_passages, write_passages
from spacy_domain_ner.corpus.spacy_docs import load_tokenizing_pipeline, write_docs
from spacy_domain_ner.evaluation.scores import predict_spans, score
from spacy_domain_ner.files import replacing
from spacy_domain_ner.models import load_model
from spacy_domain_ner.training import Recipe, train

SUMMARY = REPOSITORY / "benchmarks" / "results" / "training.json"
SHARED = REPOSITORY / ".." / "shared" / "data"
STARTER = "starter"
SETS = ("train", "dev", "test")
SIDES = ("before", "now")


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--data", type=Path, default=SHARED / "corpora")
    parser.add_argument("--real", type=Path, default=SHARED / "real-passages" / "open.jsonl")
    parser.add_argument("--corpora", nargs="+", default=[STARTER, *CORPORA])
    parser.add_argument("--seeds", nargs="+", type=int, default=[7])
    parser.add_argument("--before", default="318d8a5", help="the commit to compare with")
    parser.add_argument("--sides", nargs="+", default=list(SIDES), choices=SIDES)
    parser.add_argument("--results", type=Path, default=REPOSITORY / "build" / "training")
    parser.add_argument("--one", type=Path, help=argparse.SUPPRESS)
    arguments = parser.parse_args()
    if arguments.one:
        print(json.dumps(measure(arguments.one, arguments.seeds[0])))
        return
    code = {
        "before": check_out(arguments.before, arguments.results / arguments.before),
        "now": Path(os.environ.get("NOW", REPOSITORY)),
    }
    for seed in arguments.seeds:
        for corpus in arguments.corpora:
            for side in arguments.sides:
                folder = arguments.results.resolve() / f"{corpus}-{seed}-{side}"
                compute = partial(run, code[side], arguments.data / corpus, arguments.real, seed, folder)
                print(corpus, seed, side, once(folder.with_suffix(".json"), compute), flush=True)
    rows = []
    for path in sorted(arguments.results.glob(f"*-{SIDES[0]}.json")):
        corpus, seed, _ = path.stem.rsplit("-", 2)
        sides = {side: path.with_name(f"{corpus}-{seed}-{side}.json") for side in SIDES}
        if all(map(Path.exists, sides.values())):
            found = {side: json.loads(file.read_text("utf8")) for side, file in sides.items()}
            share = found["now"]["cpu_seconds"] / found["before"]["cpu_seconds"]
            rows.append({"corpus": corpus, "seed": int(seed), **found, "share_of_cpu_seconds": round(share, 3)})
    with replacing(SUMMARY) as stream:
        commits = {"before": arguments.before, "now": head()}
        json.dump({"versions": versions(), "commits": commits, "rows": rows}, stream, indent=2)
        stream.write("\n")
    print_table(rows)


def check_out(commit: str, folder: Path) -> Path:
    """Check a commit out, with the entry points by which spaCy finds its parts."""
    if not folder.exists():
        subprocess.run(["git", "worktree", "add", "--detach", folder.resolve(), commit], cwd=REPOSITORY, check=True)
        subprocess.run([sys.executable, "setup.py", "-q", "egg_info"], cwd=folder, check=True)
    return folder.resolve()


def head() -> str:
    """The commit of this code, as far as it is committed."""
    command = ["git", "rev-parse", "--short", "HEAD"]
    return subprocess.run(command, cwd=REPOSITORY, check=True, stdout=subprocess.PIPE, text=True).stdout.strip()


def run(code: Path, corpus: Path, real: Path, seed: int, folder: Path) -> dict[str, Any]:
    """Measure one side in a process of its own."""
    folder.mkdir(parents=True, exist_ok=True)
    template = code / TEMPLATE_CONFIG.relative_to(REPOSITORY)
    config = folder / "config.cfg"
    config.write_text(
        template.read_text("utf8")
        .replace("{{ cookiecutter.language }}", "en")
        .replace("{{ cookiecutter.__rules_in_config }}", '["software"]'),
        "utf8",
    )
    for name, passages in zip(SETS, divided(corpus, real, seed), strict=True):
        write_passages(folder / f"{name}.jsonl", passages)
    command = [sys.executable, __file__, "--one", folder, "--seeds", str(seed)]
    environment = {**os.environ, "PYTHONPATH": str(code)}
    done = subprocess.run(command, env=environment, cwd=folder, check=True, stdout=subprocess.PIPE, text=True)
    result: dict[str, Any] = json.loads(done.stdout.splitlines()[-1])
    return result


def divided(corpus: Path, real: Path, seed: int) -> Division:
    """The passages to train on, to stop early on, and to score."""
    if corpus.name != STARTER:
        return divide(corpus, seed)
    passages = read_valid_passages(PACK / "starter.jsonl")
    training, stopping = draw(passages, len(passages), seed)
    return training, stopping, read_valid_passages(real)


def measure(folder: Path, seed: int) -> dict[str, Any]:
    """Train by the code of this process, count what it costs, and score the best model."""
    config = folder / "config.cfg"
    nlp = load_tokenizing_pipeline(config)
    sets = {name: read_valid_passages(folder / f"{name}.jsonl") for name in SETS}
    paths = [folder / f"{name}.spacy" for name in SETS[:2]]
    for path in paths:
        write_docs(nlp, sets[path.stem], path)
    steps = 0
    update = Language.update

    def counted(*arguments: Any, **settings: Any) -> Any:
        nonlocal steps
        steps += 1
        return update(*arguments, **settings)

    Language.update = counted
    started = time.perf_counter(), time.process_time()
    train(Recipe(config, *paths, max_epochs=MAX_EPOCHS, seed=seed), folder / "model")
    seconds, cpu_seconds = time.perf_counter() - started[0], time.process_time() - started[1]
    best = load_model(folder / "model" / "model-best")
    f1 = {
        name: score(sets[name], predict_spans(best, sets[name]), []).micro.to_dict()["f1"] for name in ("dev", "test")
    }
    return {
        "passages": {name: len(passages) for name, passages in sets.items()},
        "f1_early_stopping": f1["dev"],
        "f1": f1["test"],
        "steps": steps,
        "cpu_seconds": round(cpu_seconds, 1),
        "cpu_milliseconds_per_step": round(1000 * cpu_seconds / steps, 1),
        "seconds": round(seconds, 1),
    }


def print_table(rows: list[dict[str, Any]]) -> None:
    """Print the results as a Markdown table, before and now."""
    print(
        "| corpus | seed | F1, early stopping | F1 | steps | CPU s | CPU ms per step | share of CPU s |\n"
        + "|-" * 8
        + "|"
    )
    for row in rows:
        columns = ("f1_early_stopping", "f1", "steps", "cpu_seconds", "cpu_milliseconds_per_step")
        pairs = [" / ".join(f"{row[side][name]:.4g}" for side in SIDES) for name in columns]
        print("|", " | ".join([row["corpus"], str(row["seed"]), *pairs, f"{row['share_of_cpu_seconds']:.2f}"]), "|")


if __name__ == "__main__":
    main()
