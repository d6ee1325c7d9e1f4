"""Measure how well two annotations of the packs' starter corpora agree: python benchmarks/agreement.py

`agreement/` holds passages of each pack as they were annotated first, and as they were annotated again from the bare
text, both before the differences were decided. A folder `later` has passages that were written later, annotated
twice in a second round. The figures are those of `domain-ner agreement`: for each type the F1
of one annotation scored against the other, where start, end and type must be the same, and Krippendorff's alpha over
words. It does not matter which of the two counts as the truth. results/agreement.json says where they differ.
"""

import json
from pathlib import Path

from spacy_domain_ner import measure_agreement
from spacy_domain_ner.files import replacing

HERE = Path(__file__).parent
PACKS = HERE.parent / "assets"
KEPT = ("passages", "all", "types", "pairs_of_types")


def main() -> None:
    figures = {}
    for second in sorted((HERE / "agreement").rglob("second.jsonl"), key=lambda path: path.parent):
        round_of = second.parent.relative_to(HERE / "agreement").as_posix()
        both = [second.with_name("first.jsonl"), second]
        result = measure_agreement(both, schema=PACKS / round_of.split("/")[0] / "entity_types.yml")
        print(f"{round_of}, {result.measured} passages")
        for name, one in {**result.types, "all": result.all}.items():
            print(f"  {name:12} F1 {one.f1:.3f}  alpha {one.alpha:.3f}  {one.mentions} mentions in both annotations")
        figures[round_of] = {key: value for key, value in result.to_dict().items() if key in KEPT}
    with replacing(HERE / "results" / "agreement.json") as stream:
        stream.write(json.dumps(figures, indent=2) + "\n")


if __name__ == "__main__":
    main()
