"""Measure how well two annotations of the starter corpus agree: python benchmarks/agreement.py

`agreement/` holds 320 passages as they were annotated first, and as they were annotated again from the bare text, both
before the differences were decided. The figures are those of `domain-ner agreement`: for each type the F1 of one
annotation scored against the other, where start, end and type must be the same, and Krippendorff's alpha over words. It
does not matter which of the two counts as the truth. results/agreement.json says where they differ.
"""

import json
from pathlib import Path

from spacy_domain_ner import measure_agreement
from spacy_domain_ner.files import replacing

HERE = Path(__file__).parent
SCHEMA = HERE.parent / "assets" / "software" / "entity_types.yml"
KEPT = ("passages", "all", "types", "pairs_of_types")


def main() -> None:
    result = measure_agreement([HERE / "agreement" / f"{name}.jsonl" for name in ("first", "second")], schema=SCHEMA)
    print(f"{result.measured} passages")
    for name, one in {**result.types, "all": result.all}.items():
        print(f"{name:8} F1 {one.f1:.3f}  alpha {one.alpha:.3f}  {one.mentions} mentions in both annotations")
    figures = result.to_dict()
    with replacing(HERE / "results" / "agreement.json") as stream:
        stream.write(json.dumps({key: figures[key] for key in KEPT}, indent=2) + "\n")


if __name__ == "__main__":
    main()
