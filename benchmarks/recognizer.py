"""Measure the template's recognizer against spaCy's own `ner` on the same token network: F1, calibration, speed.

    python benchmarks/recognizer.py --seeds 7 8

F1: both train on 1,000 passages of a corpus with the template's CPU config and differ in nothing but the recognizer;
they stop early on the same others and are scored on the same held-out ones, as in cpu_config.py. The starter corpus is
scored on real passages that none of it was written from.

Calibration: the expected calibration error of the held-out predictions, before and after the line that the
early-stopping set gives.

Speed: passages of 25 words a second of CPU time, with the starter corpus's 6 types and with 27 that are made of them,
all in turn in one process; and what tokenizer and token network alone would allow.

Each run leaves a JSON file and its model in the results folder and is not repeated while that file is there. Run it
with OMP_NUM_THREADS=1 OPENBLAS_NUM_THREADS=1 BLIS_NUM_THREADS=1, so that threads are not what is timed.
"""

import argparse
import hashlib
import json
import statistics
import time
from collections.abc import Callable
from functools import partial
from pathlib import Path
from typing import Any

import spacy
from cpu_config import CORPORA, MAX_EPOCHS, REPOSITORY, Division, divide, once, versions, write_template_config
from starter_corpus import PACK, draw

from spacy_domain_ner.confidence import (
    expected_calibration_error,
    find_recognizer,
    judge_predictions,
    risk_coverage,
    surest,
)
from spacy_domain_ner.corpus import Passage, Span, load_tokenizing_pipeline, read_valid_passages, write_docs
from spacy_domain_ner.evaluation.scores import predict_spans, score
from spacy_domain_ner.files import replacing
from spacy_domain_ner.training import train

SUMMARY = REPOSITORY / "benchmarks" / "results" / "recognizer.json"
RECOGNIZERS = ("ner", "biluo")
PARSER = {
    "@architectures": "spacy.TransitionBasedParser.v2", "state_type": "ner", "extra_state_tokens": False,
    "hidden_width": 64, "maxout_pieces": 2, "use_upper": False, "nO": None,
}  # fmt: skip
STARTER = "starter"
NUMBERS_OF_TYPES = (6, 27)
WORDS, TIMED_PASSAGES, TIMED_EPOCHS, SPEED_ROUNDS = 25, 2000, 2, 5


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    shared = REPOSITORY / ".." / "shared" / "data"
    parser.add_argument("--data", type=Path, default=shared / "corpora")
    parser.add_argument("--real", type=Path, default=shared / "real-passages" / "open.jsonl")
    parser.add_argument("--corpora", nargs="+", default=[*CORPORA, STARTER])
    parser.add_argument("--seeds", nargs="+", type=int, default=[7, 8])
    parser.add_argument("--recognizers", nargs="+", default=list(RECOGNIZERS), choices=RECOGNIZERS)
    parser.add_argument("--skip-speed", action="store_true")
    parser.add_argument("--results", type=Path, default=REPOSITORY / "build" / "recognizer")
    arguments = parser.parse_args()
    rows = []
    for seed in arguments.seeds:
        for corpus in arguments.corpora:
            for recognizer in arguments.recognizers:
                folder = arguments.results / f"{corpus}-{seed}-{recognizer}"
                row = once(folder.with_suffix(".json"), partial(run, recognizer, corpus, seed, folder, arguments))
                rows.append({"corpus": corpus, "seed": seed, "recognizer": recognizer, **row})
                print("{corpus:>18} {seed} {recognizer:<6} F1 {f1:.3f}".format(**rows[-1]), flush=True)
    if arguments.skip_speed:
        return
    summary = {"versions": versions(), "rows": rows, "passages_per_cpu_second": speed(arguments.results)}
    print(json.dumps(summary["passages_per_cpu_second"], indent=2))
    with replacing(SUMMARY) as stream:
        json.dump(summary, stream, indent=2)
        stream.write("\n")


def run(recognizer: str, corpus: str, seed: int, folder: Path, arguments: argparse.Namespace) -> dict[str, Any]:
    """Train a recognizer and score it on held-out passages."""
    if corpus == STARTER:
        starter = read_valid_passages(PACK / "starter.jsonl")
        division: Division = (*draw(starter, len(starter), seed), read_valid_passages(arguments.real))
    else:
        division = divide(arguments.data / corpus, seed)
    model, seconds = fit(recognizer, division, folder, seed, MAX_EPOCHS)
    nlp = spacy.load(model)
    row = {
        **score(division[2], predict_spans(nlp, division[2]), []).micro.to_dict(),
        "f1_early_stopping": score(division[1], predict_spans(nlp, division[1]), []).micro.to_dict()["f1"],
        "training_seconds": round(seconds),
    }
    component = find_recognizer(nlp)
    return row if component is None else {**row, **calibration(nlp, component, division[2])}


def calibration(nlp: spacy.Language, component: Any, passages: list[Passage]) -> dict[str, Any]:
    """How far confidence is from precision, and the precision of the surest 80 %."""
    calibrated = judge_predictions(nlp, passages)
    kept, component.calibration = component.calibration, None
    plain = judge_predictions(nlp, passages)
    component.calibration = kept
    points = risk_coverage(calibrated)
    return {
        "calibration_error": round(expected_calibration_error(calibrated) or 0, 4),
        "calibration_error_before": round(expected_calibration_error(plain) or 0, 4),
        "precision_of_surest_80_percent": round(surest(points, 0.8).precision, 4) if points else None,
    }


def fit(recognizer: str, division: Division, folder: Path, seed: int, epochs: int) -> tuple[Path, float]:
    """Train a recognizer. RETURNS: Its best model, and the seconds of wall time."""
    folder.mkdir(parents=True, exist_ok=True)
    config = folder / "config.cfg"
    write_template_config(config)
    if recognizer == "ner":
        values = spacy.util.load_config(config, interpolate=False)
        tok2vec = values["components"]["ner"]["model"]["tok2vec"]
        values["components"]["ner"] = {"factory": "ner", "model": {**PARSER, "tok2vec": tok2vec}}
        values.to_disk(config)
    nlp = load_tokenizing_pipeline(config)
    paths = [folder / "train.spacy", folder / "dev.spacy"]
    for passages, path in zip(division, paths, strict=False):
        write_docs(nlp, passages, path)
    started = time.perf_counter()
    train(config, folder / "model", *paths, max_epochs=epochs, seed=seed)
    return folder / "model" / "model-best", time.perf_counter() - started


def speed(results: Path) -> dict[str, Any]:
    """The passages per second of CPU time of each recognizer and number of types."""
    starter = read_valid_passages(PACK / "starter.jsonl")
    pieces = [passage.text.split()[n : n + WORDS] for passage in starter for n in range(0, len(passage.text), WORDS)]
    texts = [" ".join(words) for words in pieces if len(words) == WORDS][:TIMED_PASSAGES]
    models = {}
    for count in NUMBERS_OF_TYPES:
        passages = [with_types(passage, count) for passage in starter]
        for name in RECOGNIZERS:
            folder = results / f"speed-{name}-{count}"
            if not (folder / "model" / "model-best").exists():
                fit(name, (passages[200:], passages[:200], []), folder, 7, TIMED_EPOCHS)
            models[name, count] = spacy.load(folder / "model" / "model-best")
    nlp = models["biluo", NUMBERS_OF_TYPES[0]]
    docs = [nlp.make_doc(text) for text in texts]
    tok2vec = nlp.get_pipe("ner").model.get_ref("tok2vec")
    ways: dict[str, Callable[[], Any]] = {
        f"{name}, {count} types": partial(lambda nlp: list(nlp.pipe(texts)), nlp)
        for (name, count), nlp in models.items()
    }
    ways["tokenizer alone"] = lambda: [nlp.make_doc(text) for text in texts]
    ways["token network alone"] = lambda: [tok2vec.predict(docs[n : n + 64]) for n in range(0, len(docs), 64)]
    seconds: dict[str, list[float]] = {name: [] for name in ways}
    for number in range(SPEED_ROUNDS + 1):
        for name, work in ways.items():
            started = time.process_time()
            work()
            if number:  # the first round only warms up
                seconds[name].append(time.process_time() - started)
    figures = {name: round(len(texts) / statistics.median(times), 1) for name, times in seconds.items()}
    ratios = {
        f"biluo : ner, {count} types": round(
            statistics.median(
                slow / fast
                for slow, fast in zip(seconds[f"ner, {count} types"], seconds[f"biluo, {count} types"], strict=True)
            ),
            2,
        )
        for count in NUMBERS_OF_TYPES
    }
    return {"passages": len(texts), "words": WORDS, **figures, **ratios}


def with_types(passage: Passage, count: int) -> Passage:
    """A passage as it is, or with as many types, a name always being of the same."""
    if count == NUMBERS_OF_TYPES[0]:
        return passage

    def number(span: Span) -> int:
        return int(hashlib.md5(passage.surface(span).encode("utf8")).hexdigest(), 16) % count

    return Passage(passage.text, [Span(span.start, span.end, f"TYPE_{number(span)}") for span in passage.spans])


if __name__ == "__main__":
    main()
