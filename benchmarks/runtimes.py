"""Measure what runs a model at work: F1, speed, megabytes to install, and seconds to the first entity, side by side.

    python benchmarks/runtimes.py --threads 2
    python benchmarks/runtimes.py --threads 2 --install

Weights are those of all-MiniLM-L6-v2, or of the model that --model names; all train on the same 500 passages of a
corpus and stop early on the same 150 others.

- cnn: the template's CPU model.
- before: minilm in PyTorch with the batches of spacy-transformers, as the template's transformer.cfg had them first:
  512 tokens of passages with about the same number of tokens.
- torch: minilm in PyTorch as it is now.
- onnx: minilm packaged with the runtime onnx.
- onnx-int8: the same with the runtime onnx-int8; if that loses too much F1, it is onnx once more.
- huggingface: the same weights trained by transformers, as a component of ours.
- huggingface-onnx: that model packaged with the runtime onnx.
- transformers: that model in transformers' own pipeline, in batches of 32.

F1 is that on the corpus's held-out passages. Speed is that on their words in passages of --words words: the systems
take turns in one process, each with so many threads, and the median of the rounds counts. The ratios to `before` and
`transformers` are of the same run. Models are kept in the results folder: an interrupted run resumes with what is
there.

--install makes the packages, installs each into a fresh environment (PyTorch's CPU build), and times `spacy.load` and
one text in a new process there, the best of three.
"""

import argparse
import json
import os
import shutil
import statistics
import subprocess
import time
import venv
from collections.abc import Callable
from functools import partial
from pathlib import Path
from typing import Any

# Numbers of threads are read when the libraries are imported.
parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
parser.add_argument("--threads", type=int, default=2)
parser.add_argument("--model", default="sentence-transformers/all-MiniLM-L6-v2", help="hub name, or a folder")
parser.add_argument("--data", type=Path, default=Path(__file__).parents[1] / ".." / "shared" / "data" / "corpora")
parser.add_argument("--corpus", default="stackoverflow_ner")
parser.add_argument("--seed", type=int, default=7)
parser.add_argument("--epochs", type=int, default=15)
parser.add_argument("--words", type=int, default=25, help="words in a passage whose reading is timed")
parser.add_argument("--passages", type=int, default=400, help="passages whose reading is timed")
parser.add_argument("--rounds", type=int, default=5)
parser.add_argument("--install", action="store_true", help="also install each package and time its first entity")
parser.add_argument("--results", type=Path, default=Path(__file__).parents[1] / "build" / "runtimes")
ARGUMENTS = parser.parse_args()
for variable in ("OMP_NUM_THREADS", "OPENBLAS_NUM_THREADS", "MKL_NUM_THREADS"):
    os.environ[variable] = str(ARGUMENTS.threads)

import spacy  # noqa: E402
import srsly  # noqa: E402
import torch  # noqa: E402
import transformers  # noqa: E402
from base_models import SIZES, fit, predict  # noqa: E402
from cpu_config import REPOSITORY, Division, divide, versions  # noqa: E402

from spacy_domain_ner import package_model  # noqa: E402
from spacy_domain_ner.corpus.jsonl import write_passages  # noqa: E402
from spacy_domain_ner.deployment.onnx_pipeline import ONNX, ONNX_INT8, TORCH, to_int8, to_onnx  # noqa: E402
from spacy_domain_ner.evaluation.scores import predict_spans, score  # noqa: E402
from spacy_domain_ner.files import replacing  # noqa: E402
from spacy_domain_ner.models import PADDED_BATCHES, load_model  # noqa: E402

SUMMARY = REPOSITORY / "benchmarks" / "results" / "runtimes.json"
# What is trained, and under which name its model lies in the results folder.
TRAINED = {"cnn": "cnn", "torch": "minilm", "huggingface": "minilm-huggingface"}
# The models in onnxruntime, and what each is made of.
IN_ONNX = {ONNX: "torch", ONNX_INT8: "torch", "huggingface-onnx": "huggingface"}
FIRST = """
import time
started = time.perf_counter()
import sys, spacy
assert spacy.load(sys.argv[1])("How do I sort a numpy array in Python?") is not None
print(time.perf_counter() - started)
"""


def main() -> None:
    torch.set_num_threads(ARGUMENTS.threads)
    division = divide(ARGUMENTS.data / ARGUMENTS.corpus, ARGUMENTS.seed, SIZES)
    folders = models(division)
    loaded = {name: load_model(folder) for name, folder in folders.items() if name != "before"}
    # Not by `load_model`, which would make batches of word pieces of its own.
    loaded["before"] = spacy.load(folders["before"])
    rows: dict[str, dict[str, Any]] = {
        name: {"f1": score(division[2], predict_spans(nlp, division[2]), []).micro.to_dict()["f1"]}
        for name, nlp in loaded.items()
    }
    for name, speed in speeds(division, loaded, folders["huggingface"]).items():
        rows.setdefault(name, {})["passages_per_second"] = speed
    for base in ("before", "transformers"):
        for row in rows.values():
            row[f"times_{base}"] = round(row["passages_per_second"] / rows[base]["passages_per_second"], 2)
    if ARGUMENTS.install:
        for name, figures in installed(division, folders).items():
            rows.setdefault(name, {}).update(figures)
    for name, row in rows.items():
        print(f"{name:<16}", row)
    summary = {
        "versions": {**versions(), "torch": torch.__version__, "transformers": transformers.__version__},
        "settings": {key: value for key, value in vars(ARGUMENTS).items() if isinstance(value, int)},
        "corpus": ARGUMENTS.corpus,
        "rows": rows,
    }
    with replacing(SUMMARY) as stream:
        json.dump(summary, stream, indent=2)
        stream.write("\n")


def models(division: Division) -> dict[str, Path]:
    """Train what is not there yet, and make the models in other runtimes of it. RETURNS: The folders by name."""
    found = {}
    for name, system in TRAINED.items():
        folder = ARGUMENTS.results / f"{ARGUMENTS.corpus}-{ARGUMENTS.seed}-{system}"
        if not (folder / "model-best").exists():
            fit(system, division, folder, ARGUMENTS.seed, ARGUMENTS, ARGUMENTS.epochs)
        found[name] = folder / "model-best"
    for name, source in {"before": "torch", **IN_ONNX}.items():
        found[name] = ARGUMENTS.results / name
        shutil.rmtree(found[name], ignore_errors=True)
        shutil.copytree(found[source], found[name])
    for name in IN_ONNX:
        to_onnx(found[name], division[2])
    print(to_int8(found[ONNX_INT8], division[2], division[1]))
    config = spacy.util.load_config(found["before"] / "config.cfg")
    config["components"]["transformer"]["model"].pop("places", None)
    config["components"]["transformer"]["model"]["@architectures"] = PADDED_BATCHES
    config["nlp"]["batch_size"] = 128
    config.to_disk(found["before"] / "config.cfg")
    srsly.write_json(found["before"] / "transformer" / "cfg", {"max_batch_items": 512})
    return found


def speeds(division: Division, loaded: dict[str, spacy.Language], plain: Path) -> dict[str, float]:
    """The passages per second of each system, which take turns."""
    words = " ".join(passage.text for passage in division[2]).split()
    starts = range(0, len(words) - ARGUMENTS.words, ARGUMENTS.words)
    texts = [" ".join(words[start : start + ARGUMENTS.words]) for start in starts][: ARGUMENTS.passages]
    pipeline = transformers.pipeline(
        "token-classification",
        model=str(plain / "spacy_domain_ner_huggingface"),
        aggregation_strategy="simple",
        device=-1,
    )
    systems: dict[str, Callable[[list[str]], Any]] = {name: partial(predict, nlp) for name, nlp in loaded.items()}
    systems["transformers"] = lambda texts: list(pipeline(texts, batch_size=32))
    seconds: dict[str, list[float]] = {name: [] for name in systems}
    for number in range(ARGUMENTS.rounds + 1):
        for name, read in systems.items():
            started = time.perf_counter()
            read(texts)
            if number:  # the first round only warms up
                seconds[name].append(time.perf_counter() - started)
    return {name: round(len(texts) / statistics.median(times), 1) for name, times in seconds.items()}


def installed(division: Division, folders: dict[str, Path]) -> dict[str, dict[str, Any]]:
    """The megabytes of an environment with each package, and the seconds to its first entity."""
    told = ARGUMENTS.results / "told"
    told.mkdir(exist_ok=True)
    figures = {"precision": 0.0, "recall": 0.0, "f1": 0.0, "support": 0}
    contents: dict[str, dict[str, Any]] = {
        "metrics": {"passages": 0, "gates": {"production": 0.85, "fallback": 0.8}, "micro": figures, "types": {}},
        "counts": {"passages": 0, "without_entities": 0, "types": {}},
        "about": {},
    }
    for name, content in contents.items():
        srsly.write_json(told / f"{name}.json", content)
    sets = {"eval": told / "eval.jsonl", "dev": told / "dev.jsonl"}
    write_passages(sets["eval"], division[2])
    write_passages(sets["dev"], division[1])
    files = {name: told / f"{name}.json" for name in contents}
    found = {"spacy alone": {"megabytes": _megabytes(_environment("spacy", "spacy"))}}
    for name in ("cnn", "torch", "huggingface", *IN_ONNX):
        runtime = TORCH if name not in IN_ONNX else ONNX_INT8 if name == ONNX_INT8 else ONNX
        package = f"bench_{name.replace('-', '_')}"
        wheel = package_model(
            folders[IN_ONNX.get(name, name)], told / "packages", name=package, runtime=runtime,
            schema=REPOSITORY / "assets/software/entity_types.yml", **sets, **files,
        )  # fmt: skip
        # With a range, pip would take the newest build of PyTorch, which brings several GB for GPUs.
        pinned = [f"torch=={torch.__version__.partition('+')[0]}"] if name in ("torch", "huggingface") else []
        python = _environment(name, *pinned, str(wheel))
        seconds = [_first_entity(python, f"en_{package}") for _ in range(3)]
        found[name] = {"megabytes": _megabytes(python), "seconds_to_first_entity": round(min(seconds), 2)}
    return found


def _environment(name: str, *packages: str) -> Path:
    """A fresh environment with these packages. RETURNS: Its Python."""
    folder = ARGUMENTS.results / "environments" / name
    shutil.rmtree(folder, ignore_errors=True)
    venv.create(folder, with_pip=True)
    python = folder / "bin" / "python"
    subprocess.run([python, "-m", "pip", "install", "--quiet", *packages], check=True)
    return python


def _megabytes(python: Path) -> int:
    files = [path for path in python.parents[1].rglob("*") if path.is_file() and not path.is_symlink()]
    return round(sum(path.stat().st_size for path in files) / 1e6)


def _first_entity(python: Path, package: str) -> float:
    environment = {key: value for key, value in os.environ.items() if key != "PYTHONPATH"}
    done = subprocess.run([python, "-c", FIRST, package], check=True, capture_output=True, text=True, env=environment)
    return float(done.stdout.split()[-1])


if __name__ == "__main__":
    main()
