"""What verbs that need no pipeline import: spaCy alone takes longer to import than they take to work."""

import json
import subprocess
import sys

VERBS = """
import sys
import spacy_domain_ner as ner

ner.write_guide()
ner.write_interface("prodigy")
ner.import_annotations(["new.jsonl"], "annotations.jsonl")
ner.split("annotations.jsonl", "corpus")
ner.export_tasks("prodigy", ["annotations.jsonl"], "tasks.jsonl")
print(*sorted({name.partition(".")[0] for name in sys.modules}))
"""


def test_labels_are_prepared_read_and_split_without_spacy(tmp_path):
    (tmp_path / "entity_types.yml").write_text("entity_types: [{name: INFRA}]\n")
    span = {"start": 0, "end": 5, "label": "INFRA"}
    rows = [{"text": f"Redis {number} is down", "spans": [span], "answer": "accept"} for number in range(20)]
    (tmp_path / "new.jsonl").write_text("".join(json.dumps(row) + "\n" for row in rows))
    done = subprocess.run([sys.executable, "-c", VERBS], cwd=tmp_path, capture_output=True, text=True)
    assert done.returncode == 0, done.stderr
    assert (tmp_path / "corpus/train.jsonl").read_text()
    assert not {"spacy", "thinc", "torch", "transformers"} & {*done.stdout.split()}
