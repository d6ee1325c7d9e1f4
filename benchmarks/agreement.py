"""How well two annotations of the starter corpus agree: python benchmarks/agreement.py

`agreement/` holds 320 passages as they were annotated first, and as they were annotated again from the bare text, both
before the differences were decided. The figure is the F1 of the one scored against the other, per type: start, end and
type must all be the same. It does not matter which of the two is taken for the truth.
"""

from pathlib import Path

from spacy_domain_ner.corpus import read_valid_passages
from spacy_domain_ner.evaluation.scores import score
from spacy_domain_ner.schema import read_schema

HERE = Path(__file__).parent


def main() -> None:
    first, second = (read_valid_passages(HERE / "agreement" / f"{name}.jsonl") for name in ("first", "second"))
    labels = read_schema(HERE.parent / "assets" / "software" / "entity_types.yml").labels
    found = score(first, [list(passage.spans) for passage in second], labels)
    print(f"{len(first)} passages")
    for name, one in {**found.types, "all": found.micro}.items():
        print(f"{name:8} {one.f1:.3f}  {one.support} mentions in the first annotation")


if __name__ == "__main__":
    main()
