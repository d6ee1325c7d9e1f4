"""`domain-ner export` of annotations: what is said, and what does not go together."""

import json
import subprocess
import sys

import pytest

NESTED = {"start": 8, "end": 15, "label": "X"}
ROWS = [
    {"text": "MyRedis Cluster", "spans": [{"start": 2, "end": 15, "label": "INFRA"}, NESTED]},
    {"text": "All quiet", "spans": []},
]


def export(folder, *arguments):
    (folder / "a.jsonl").write_text("".join(json.dumps(row) + "\n" for row in ROWS), encoding="utf8")
    command = [sys.executable, "-m", "spacy_domain_ner", "export", *arguments]
    return subprocess.run(command, cwd=folder, capture_output=True, text=True)


def test_what_was_written_changed_and_left_out_is_said(tmp_path):
    done = export(tmp_path, "conll", "a.jsonl", "-o", "a.conll")
    assert done.returncode == 0, done
    assert "2 passage(s) with 1 span(s) as conll in a.conll" in done.stdout
    assert "left out: a.jsonl:1: X overlaps INFRA 'Redis Cluster', which is longer: 'Cluster'" in done.stdout
    assert "changed: a.jsonl:1: INFRA: a token is cut at its edge: 'Redis Cluster'" in done.stdout


@pytest.mark.parametrize(
    ("arguments", "said"),
    [
        (("brat", "a.jsonl", "-o", "out", "--model", "m"), "--model is for labelling tools, and brat is not one"),
        (("doccano", "a.jsonl", "-o", "out", "--config", "c.cfg"), "--config is not used for doccano"),
    ],
    ids=["a model for annotations", "a tokenizer for tasks"],
)
def test_options_that_do_not_go_together_are_refused(tmp_path, arguments, said):
    done = export(tmp_path, *arguments)
    assert done.returncode == 1
    assert said in done.stdout + done.stderr
    assert not (tmp_path / "out").exists()
