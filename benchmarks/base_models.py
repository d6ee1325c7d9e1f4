"""Measure the transformer presets against spaCy's quickstart config and Hugging Face's recipe with the same weights.

    python benchmarks/base_models.py --seeds 7 8

The weights are those of all-MiniLM-L6-v2, or of the model that --model names. All train on the same 500 passages of a
corpus, stop early on the same 150 others, and are scored on the same held-out ones by the annotation's own character
offsets.

- quickstart: `spacy init config --optimize accuracy --gpu` with these weights. On so few passages its patience of
  1,600 steps is hundreds of epochs, hours on a CPU: it is cut off after --quickstart-steps.
- huggingface-3, huggingface-15: transformers' Trainer with its defaults (learning rate 5e-5 falling to 0, batches of 8)
  over all of 3 and 15 epochs. The best epoch by the early-stopping set is kept; the usual recipe keeps the last.
- minilm: the template's transformer.cfg as `domain-ner configure` fills it for these weights.
- minilm-huggingface: the same with the framework huggingface; only if --only names it.
- cnn: the template's CPU config.

Each run leaves a JSON file and its model in the results folder, and is not repeated while that file is there: an
interrupted benchmark resumes where it was, and --only runs a part. The summary is made of all runs that are there.
Seconds of single runs can be compared only if nothing else was running. Speeds are measured last: the seconds of three
epochs of training, and passages per second of inference on one corpus, in turn in one process, beside transformers' own
pipeline.
"""

import argparse
import json
import statistics
import time
from functools import partial
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

import spacy
import torch
import transformers
from cpu_config import REPOSITORY, Division, divide, once, versions, write_template_config
from spacy.cli.init_config import init_config
from spacy.cli.train import train as spacy_train

from spacy_domain_ner.corpus import Passage
from spacy_domain_ner.corpus.jsonl import write_passages
from spacy_domain_ner.corpus.spacy_docs import load_tokenizing_pipeline, write_docs
from spacy_domain_ner.evaluation.scores import predict_spans, score
from spacy_domain_ner.files import replacing
from spacy_domain_ner.training import Recipe, train
from spacy_domain_ner.training.configure import configure

CONFIGS = REPOSITORY / "{{cookiecutter.domain}}" / "configs"
SUMMARY = REPOSITORY / "benchmarks" / "results" / "base_models.json"
CORPORA = ("stackoverflow_ner", "wnut17", "bc5cdr")
COMPARED = ("cnn", "minilm", "huggingface-3", "huggingface-15", "quickstart")
SYSTEMS = (*COMPARED, "minilm-huggingface")
SIZES = (500, 150, 600)
MAX_EPOCHS = 30
PATIENCE = 5
# The systems whose speed is measured, over a few epochs and a few rounds.
TIMED = ("cnn", "minilm", "huggingface-15")
TIMED_EPOCHS = 3
SPEED_ROUNDS = 3


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--model", default="sentence-transformers/all-MiniLM-L6-v2", help="hub name, or a folder")
    parser.add_argument("--data", type=Path, default=REPOSITORY / ".." / "shared" / "data" / "corpora")
    parser.add_argument("--corpora", nargs="+", default=list(CORPORA))
    parser.add_argument("--seeds", nargs="+", type=int, default=[7, 8])
    parser.add_argument("--only", nargs="+", default=list(COMPARED), choices=SYSTEMS)
    parser.add_argument("--quickstart-steps", type=int, default=600)
    parser.add_argument("--results", type=Path, default=REPOSITORY / "build" / "base_models")
    arguments = parser.parse_args()
    for seed in arguments.seeds:
        for corpus in arguments.corpora:
            division = divide(arguments.data / corpus, seed, SIZES)
            for system in arguments.only:
                folder = arguments.results / f"{corpus}-{seed}-{system}"
                row = once(folder / "run.json", partial(run, system, division, folder, seed, arguments))
                print(f"{corpus:>18} {seed} {system:<20} {row['f1']:.3f}  {row['training_seconds']:>5} s", flush=True)
    timed = arguments.results / "speed.json"
    if set(TIMED) <= set(arguments.only):
        once(timed, partial(speed, arguments.corpora[0], arguments.seeds[0], arguments))
    rows = []
    for path in sorted(arguments.results.glob("*/run.json")):
        corpus, seed, system = path.parent.name.split("-", 2)
        rows.append({"corpus": corpus, "seed": int(seed), "system": system, **json.loads(path.read_text("utf8"))})
    summary = {
        "versions": {**versions(), "torch": torch.__version__, "transformers": transformers.__version__},
        "quickstart_steps": arguments.quickstart_steps,
        "rows": rows,
        "speed": json.loads(timed.read_text("utf8")) if timed.exists() else None,
    }
    with replacing(SUMMARY) as stream:
        json.dump(summary, stream, indent=2)
        stream.write("\n")


def run(system: str, division: Division, folder: Path, seed: int, arguments: argparse.Namespace) -> dict[str, Any]:
    """Train a system and score its best model."""
    seconds = fit(system, division, folder, seed, arguments)
    best = spacy.load(folder / "model-best")
    return {
        **score(division[2], predict_spans(best, division[2]), []).micro.to_dict(),
        "f1_early_stopping": score(division[1], predict_spans(best, division[1]), []).micro.to_dict()["f1"],
        "training_seconds": round(seconds),
    }


def fit(
    system: str, division: Division, folder: Path, seed: int, arguments: argparse.Namespace, epochs: int = MAX_EPOCHS
) -> float:
    """Train a system.

    Returns:
        Seconds of wall time.
    """
    folder.mkdir(parents=True, exist_ok=True)
    config = write_config(system, folder, arguments.model)
    nlp = load_tokenizing_pipeline(config)
    paths = [folder / "train.spacy", folder / "dev.spacy"]
    for passages, path in zip(division, paths, strict=False):
        write_docs(nlp, passages, path)
        write_passages(path.with_suffix(".jsonl"), passages)
    started = time.perf_counter()
    if system == "quickstart":
        overrides = {
            "paths.train": str(paths[0]),
            "paths.dev": str(paths[1]),
            "training.max_steps": arguments.quickstart_steps,
            "system.seed": seed,
            "training.seed": seed,
        }
        spacy_train(config, folder, overrides=overrides)
    else:
        plain = system.startswith("huggingface-")
        epochs = min(epochs, int(system.rpartition("-")[2])) if plain else epochs
        patience = epochs if plain else PATIENCE
        train(Recipe(config, *paths, epochs, patience, seed, gpu_id=-1), folder)
    return time.perf_counter() - started


def speed(corpus: str, seed: int, arguments: argparse.Namespace) -> dict[str, Any]:
    """Time a few epochs of training of three systems, one after the other, and the inference of the models."""
    division = divide(arguments.data / corpus, seed, SIZES)
    with TemporaryDirectory() as folder:
        folders = {system: Path(folder) / system for system in TIMED}
        seconds = {
            system: round(fit(system, division, place, seed, arguments, TIMED_EPOCHS), 1)
            for system, place in folders.items()
        }
        models = {system: place / "model-best" for system, place in folders.items()}
        passages_per_second = time_inference(division[2], models)
    return {
        "corpus": corpus,
        "seed": seed,
        f"seconds_of_{TIMED_EPOCHS}_epochs": seconds,
        "passages_per_second": passages_per_second,
    }


def write_config(system: str, folder: Path, model: str) -> Path:
    """Write a system's training config.

    Returns:
        Its path.
    """
    config = folder / "config.cfg"
    if system == "cnn":
        write_template_config(config)
    elif system == "quickstart":
        quickstart = init_config(lang="en", pipeline=["ner"], optimize="accuracy", gpu=True)
        quickstart["components"]["transformer"]["model"] |= {"name": model, "mixed_precision": False}
        quickstart.to_disk(config)
    else:
        write_transformer_config(config, model, "huggingface" if "huggingface" in system else "spacy")
        if system.startswith("huggingface-"):
            plain = spacy.util.load_config(config)
            plain["huggingface"]["training"] = {"learning_rate": 5e-5, "per_device_train_batch_size": 8}
            plain.to_disk(config)
    return config


def write_transformer_config(config: Path, model: str, framework: str = "spacy") -> None:
    """Write what `domain-ner configure` makes of the template's configs for a base model."""
    configs = config.parent / "configs"
    configs.mkdir(exist_ok=True)
    for name in ("transformer.cfg", "huggingface.cfg"):
        text = (
            (CONFIGS / name)
            .read_text("utf8")
            .replace("{{ cookiecutter.language }}", "en")
            .replace("{{ cookiecutter.__rules_in_config }}", '["software"]')
        )
        (configs / name).write_text(text, "utf8")
    configure(model, configs, config, framework=framework)


def time_inference(passages: list[Passage], models: dict[str, Path]) -> dict[str, float]:
    """Measure the passages per second of each model and of transformers' pipeline, which take turns."""
    texts = [passage.text for passage in passages]
    loaded = {name: spacy.load(path) for name, path in models.items()}
    plain = models["huggingface-15"]
    pipeline = transformers.pipeline(
        "token-classification", model=str(plain / "spacy_domain_ner_huggingface"), aggregation_strategy="simple"
    )
    systems = {name: partial(predict, nlp) for name, nlp in loaded.items()}
    systems["transformers pipeline, batches of 32"] = lambda texts: list(pipeline(texts, batch_size=32))
    seconds: dict[str, list[float]] = {name: [] for name in systems}
    for number in range(SPEED_ROUNDS + 1):
        for name, extract in systems.items():
            started = time.perf_counter()
            extract(texts)
            if number:  # the first round only warms up
                seconds[name].append(time.perf_counter() - started)
    return {name: round(len(texts) / statistics.median(times), 1) for name, times in seconds.items()}


def predict(nlp: spacy.Language, texts: list[str]) -> None:
    for _ in nlp.pipe(texts):
        pass


if __name__ == "__main__":
    main()
