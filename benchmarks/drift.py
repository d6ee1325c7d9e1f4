"""False alarms and missed changes of `monitor drift`, on corpora whose text is shuffled, and changed on purpose.

    python benchmarks/drift.py [--data CORPORA] [--corpora bc5cdr ...]

A model is trained on a part of a corpus; of the rest, some passages at random are the evaluation set that the reference
is made of, and the others are the live text. Windows are drawn from it as it is (what is alarming there is a false
alarm) and after a change. What matters (the least changes) and the shares of false alarms were chosen on bc5cdr and
stackoverflow_ner; the others confirm them.
"""

import argparse
import json
import random
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy
from live_corpora import CORPORA, DATA, RESULTS, divide, live_text

from spacy_domain_ner.corpus import Passage
from spacy_domain_ner.corpus.passage import Span
from spacy_domain_ner.evaluation.analysis import Predicted, analyse
from spacy_domain_ner.extraction.extractor import Extractor
from spacy_domain_ner.files import replacing
from spacy_domain_ner.models import load_model
from spacy_domain_ner.monitoring.live import Found
from spacy_domain_ner.monitoring.measures import Measures, Sums
from spacy_domain_ner.monitoring.reference import Reference, make_reference
from spacy_domain_ner.monitoring.statistics import compare
from spacy_domain_ner.schema import EntitySchema, EntityType

OUTPUT = Path(__file__).parent / "results" / "drift.json"
SIZES = (100, 300, 1000)
# How often the live text is divided anew, with two windows each; and windows per change.
DIVISIONS, CHANGED = 50, 20
EVALUATION = 500
FEWEST_HELD = 200
# Fewer passages than this are not a text that windows can be drawn from.
FEWEST_CHANGED = 100
SEED = 7


def main() -> None:
    """Measure each corpus, and write the results."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--data", type=Path, default=DATA)
    parser.add_argument("--models", type=Path, default=RESULTS, help="Trained models and what they found are kept here")
    parser.add_argument("--corpora", nargs="*", default=[name for name in CORPORA if (DATA / name).exists()])
    parser.add_argument("--output", type=Path, default=OUTPUT)
    arguments = parser.parse_args()
    results: dict[str, Any] = json.loads(arguments.output.read_text()) if arguments.output.exists() else {}
    for number, name in enumerate(arguments.corpora):
        other = arguments.corpora[number - 1] if len(arguments.corpora) > 1 else CORPORA[CORPORA.index(name) - 1]
        print(name, flush=True)
        results[name] = measure(arguments.data, name, other, arguments.models)
        with replacing(arguments.output) as stream:
            stream.write(json.dumps(results, indent=2) + "\n")


def measure(data: Path, name: str, other: str, models: Path) -> dict[str, Any]:
    """Draw windows of a corpus, as they are and changed."""
    model, live, rows = live_text(data / name, SEED, models)
    training, _, _ = divide(data / name, SEED)
    evaluation = min(EVALUATION, len(live) // 2)
    reference = reference_of(model, training, live[:evaluation], rows[:evaluation])
    measures = Measures(reference.vocabulary, reference.labels)
    results: dict[str, Any] = {"live": len(live), "reference": reference.passages, "types": len(reference.labels)}
    everything = counts(measures, rows)
    rng = numpy.random.default_rng(SEED)
    for size in SIZES:
        # Of a small corpus, what a window leaves is the evaluation set.
        if (held := min(evaluation, len(live) - size)) >= FEWEST_HELD:
            results[f"unchanged {size}"] = unchanged(reference, everything, held, size, rng)
            print(f"  unchanged {size}", json.dumps(results[f"unchanged {size}"]), flush=True)
    extractor = Extractor(model)
    for change, make in CHANGES.items():
        changed = make(live[evaluation:], training)[:2500]
        if len(changed) < FEWEST_CHANGED:
            print(f"  {change}: only {len(changed)} passages", flush=True)
            continue
        results[change] = of_changed(extractor, measures, reference, changed, rng)
        print(f"  {change}", json.dumps(results[change]), flush=True)
    _, _, foreign = divide(data / other, SEED)
    results["another corpus"] = {"from": other, **of_changed(extractor, measures, reference, foreign[:1500], rng)}
    print("  another corpus", json.dumps(results["another corpus"]), flush=True)
    return results


def unchanged(
    reference: Reference, rows: Sums, evaluation: int, size: int, rng: numpy.random.Generator
) -> dict[str, Any]:
    """Divide the live text anew into an evaluation set and a rest, and draw two windows from the rest."""
    found, twice = [], 0
    for _ in range(DIVISIONS):
        order = rng.permutation(len(rows))
        divided = replace(reference, rows=rows[order[:evaluation]])
        rest = order[evaluation:]
        pair = [window(divided, rows[rng.choice(rest, size, replace=False)]) for _ in range(2)]
        found += pair
        first, second = ({(name, score > 0) for name, _, score in one} for one in pair)
        twice += bool(first & second) and not any(state == "far out" for one in pair for _, state, _ in one)
    return {**summary(found), "alarms of two in a row": twice}


def reference_of(model: Path, train: list[Passage], passages: list[Passage], rows: list[dict[str, Any]]) -> Reference:
    """Make the reference of a model, from what it has found in the evaluation set."""
    predicted = [
        Predicted(list(found), confidences=found)
        for row in rows
        for found in [{Span(one["start"], one["end"], one["type"]): one["confidence"] for one in row["entities"]}]
    ]
    labels = sorted({span.label for passage in train for span in passage.spans})
    schema = EntitySchema(entity_types=[EntityType(name=label) for label in labels])
    return make_reference(load_model(model), analyse(passages, predicted, labels, train), train, schema)


def counts(measures: Measures, rows: list[dict[str, Any]]) -> Sums:
    """Count each row."""
    return numpy.array([
        measures.count(
            row["text"], [Found(one["start"], one["end"], one["type"], one["confidence"]) for one in row["entities"]],
            row["expected"],
        )
        for row in rows
    ])  # fmt: skip


def window(reference: Reference, rows: Sums) -> list[tuple[str, str, float]]:
    """Compare a window, and return what is not usual."""
    found = compare(rows.sum(axis=0), reference.rows, reference.labels, rows=rows)
    return [(one.statistic.name, one.state, round(one.score, 1)) for one in found if one.state != "usual"]


def of_changed(
    extractor: Extractor, measures: Measures, reference: Reference, passages: list[Passage], rng: numpy.random.Generator
) -> dict[str, Any]:
    """Let the model read changed passages, and draw windows of 300 from them."""
    texts = [passage.text for passage in passages]
    rows = [
        {"text": text, "entities": [entity.to_dict() for entity in entities], "expected": expected}
        for text, entities, expected in zip(texts, extractor(texts), extractor.expected(texts), strict=True)
    ]
    pool = counts(measures, rows)
    drawn = (pool[rng.choice(len(pool), 300, replace=len(pool) < 300)] for _ in range(CHANGED))
    return {"passages": len(passages), **summary([window(reference, rows) for rows in drawn])}


def summary(windows: list[list[tuple[str, str, float]]]) -> dict[str, Any]:
    """Count the windows with an alarm, and what raised it."""
    alarms = [[name for name, state, _ in found if state == "far out"] for found in windows]
    unusual = [name for found in windows for name, _, _ in found]
    names = [name for found in alarms for name in found]
    return {
        "windows": len(windows),
        "alarms": sum(map(bool, alarms)),
        "unusual": sum(map(bool, windows)),
        "because of": {name: names.count(name) for name in sorted(set(names), key=names.count, reverse=True)[:6]},
        "unusual in": {name: unusual.count(name) for name in sorted(set(unusual), key=unusual.count, reverse=True)[:4]},
    }


def lower(live: list[Passage], train: list[Passage]) -> list[Passage]:
    """The live text without capitals."""
    return [Passage(passage.text.lower()) for passage in live]


def invented_names(live: list[Passage], train: list[Passage]) -> list[Passage]:
    """The live passages with another name in the place of each: invented, as long, with its capitals and digits."""
    rng = random.Random(SEED)
    made: dict[str, str] = {}

    def invent(name: str) -> str:
        if name not in made:
            letters = {True: "bcdfghjklmnprstvwxz", False: "aeiou"}
            made[name] = "".join(
                str(rng.randrange(10)) if old.isdigit()
                else (new.upper() if old.isupper() else new) if old.isalpha() and old.isascii()
                else old
                for number, old in enumerate(name)
                for new in [rng.choice(letters[number % 2 == 0])]
            )  # fmt: skip
        return made[name]

    changed = []
    for passage in live:
        text, end = "", 0
        for span in sorted(passage.spans):
            text += passage.text[end : span.start] + invent(passage.surface(span))
            end = span.end
        changed.append(Passage(text + passage.text[end:]))
    return changed


def new_names(live: list[Passage], train: list[Passage]) -> list[Passage]:
    """The live passages with names all of which are new."""
    known = {passage.surface(span).lower() for passage in train for span in passage.spans}
    return [
        passage
        for passage in live
        if passage.spans and not any(passage.surface(span).lower() in known for span in passage.spans)
    ]


CHANGES: dict[str, Callable[[list[Passage], list[Passage]], list[Passage]]] = {
    "lower-cased": lower,
    "new names": new_names,
    "invented names": invented_names,
}

if __name__ == "__main__":
    main()
