"""Measure what a pack is worth on real text: with 100 passages of a corpus, against 300 of them alone.

    python benchmarks/packs.py --data ../shared/data/corpora --seeds 7 8

- pack: the pack's starter corpus and 100 passages of the corpus, which count as the user's own.
- blank: 300 passages of the corpus, without the pack and its tokenizer rules.
- starter: the starter corpus alone.

Both have the template's config `cnn`. The labels of the corpus are mapped to the pack's types (`CORPORA`); what is not
mapped is left out, and only mapped types are scored, by exact start, end and type, on the same held-out passages. As in
a project, an eighth of all passages stops training early, of the pack's as of the others.

bc5cdr is tokens joined by blanks; its train side is drawn from and its dev side scored. indian_legal_ner has only a dev
side: a quarter of it is held out, drawn by the seed; it does not say which passages are of one document. Of fin_sec's
four types only ORG is one of the pack's (COMPANY), and it marks roles such as "the Bank" as ORG, which the pack's guide
calls nothing: a poor judge of finance.

Each run leaves a JSON file and its model in the results folder, and is not repeated while that file is there. Use
OMP_NUM_THREADS=1.
"""

import argparse
import json
import random
from dataclasses import replace
from functools import partial
from pathlib import Path
from typing import Any

import spacy
from cpu_config import MAX_EPOCHS, REPOSITORY, divide, once, versions, write_template_config

from spacy_domain_ner.corpus import Passage
from spacy_domain_ner.corpus.jsonl import read_line
from spacy_domain_ner.corpus.spacy_docs import load_tokenizing_pipeline, write_docs
from spacy_domain_ner.evaluation.scores import predict_spans, score
from spacy_domain_ner.files import replacing
from spacy_domain_ner.projects.pack import pack_labels, read_pack
from spacy_domain_ner.projects.packs import annotations
from spacy_domain_ner.training import Recipe, train

SUMMARY = REPOSITORY / "benchmarks" / "results" / "packs.json"
CORPORA = {
    "biomedical": ("bc5cdr", {"Chemical": "CHEMICAL", "Disease": "DISEASE"}),
    "legal": (
        "indian_legal_ner",
        {"COURT": "COURT", "JUDGE": "JUDGE", "LAWYER": "LAWYER", "PETITIONER": "PARTY", "RESPONDENT": "PARTY",
         "STATUTE": "STATUTE", "PROVISION": "PROVISION", "PRECEDENT": "CASE"},
    ),
    "financial": ("fin_sec", {"ORG": "COMPANY"}),
}  # fmt: skip
SYSTEMS = {"pack": 100, "blank": 300, "starter": 0}
SCORED = 1500
EARLY_STOPPING = 8


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--data", type=Path, default=REPOSITORY / ".." / "shared" / "data" / "corpora")
    parser.add_argument("--packs", nargs="+", default=list(CORPORA), choices=list(CORPORA))
    parser.add_argument("--seeds", nargs="+", type=int, default=[7])
    parser.add_argument("--systems", nargs="+", default=["pack", "blank"], choices=list(SYSTEMS))
    parser.add_argument("--results", type=Path, default=REPOSITORY / "build" / "packs")
    arguments = parser.parse_args()
    for seed in arguments.seeds:
        for pack in arguments.packs:
            for system in arguments.systems:
                folder = arguments.results / f"{pack}-{seed}-{system}"
                compute = partial(measure, pack, system, seed, arguments.data, folder)
                row = once(folder.with_suffix(".json"), compute)
                print(pack, seed, system, row["passages"], json.dumps(row["micro"]), flush=True)
    rows = [json.loads(path.read_text("utf8")) for path in sorted(arguments.results.glob("*.json"))]
    with replacing(SUMMARY) as stream:
        json.dump({"versions": versions(), "rows": rows}, stream, indent=2)
        stream.write("\n")


def measure(pack: str, system: str, seed: int, data: Path, folder: Path) -> dict[str, Any]:
    """Train on a pack and some passages of its corpus, or on these alone, and score on others."""
    corpus, mapping = CORPORA[pack]
    real, _, scored = (mapped(side, mapping) for side in divide(data / corpus, seed, (1000, 1, SCORED)))
    real = real[: SYSTEMS[system]]
    starter = [] if system == "blank" else starter_passages(pack)
    random.Random(seed).shuffle(starter)
    stopping = [*real[: len(real) // EARLY_STOPPING], *starter[: len(starter) // EARLY_STOPPING]]
    training = [*starter[len(starter) // EARLY_STOPPING :], *real[len(real) // EARLY_STOPPING :]]
    folder.mkdir(parents=True, exist_ok=True)
    config = folder / "config.cfg"
    rules = [] if system == "blank" else read_pack(REPOSITORY / "assets" / pack).rules
    write_template_config(config, rules=rules)
    nlp = load_tokenizing_pipeline(config)
    paths = [folder / "train.spacy", folder / "dev.spacy"]
    for passages, path in zip((training, stopping), paths, strict=True):
        write_docs(nlp, passages, path)
    train(Recipe(config, *paths, max_epochs=MAX_EPOCHS, seed=seed), folder / "model")
    labels = sorted({*mapping.values()})
    best = spacy.load(folder / "model" / "model-best")
    predicted = [[span for span in spans if span.label in labels] for spans in predict_spans(best, scored)]
    found = score(scored, predicted, labels)
    return {
        "pack": pack, "corpus": corpus, "system": system, "seed": seed, "passages": len(training) + len(stopping),
        "real_passages": len(real), "scored": len(scored), "micro": found.micro.to_dict(),
        "types": {name: one.to_dict() for name, one in found.types.items()},
    }  # fmt: skip


def starter_passages(pack: str) -> list[Passage]:
    """The passages that a new project of the pack has."""
    folder = REPOSITORY / "assets" / pack
    return [read_line(line, pack, 0) for line in annotations(folder, pack_labels(folder))]


def mapped(passages: list[Passage], mapping: dict[str, str]) -> list[Passage]:
    """The passages with the labels of the pack's types; spans of other labels are left out."""
    return [
        replace(
            passage,
            spans=[replace(span, label=mapping[span.label]) for span in passage.spans if span.label in mapping],
        )
        for passage in passages
    ]


if __name__ == "__main__":
    main()
