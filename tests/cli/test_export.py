"""`domain-ner export` of annotations: what is said, and what does not go together."""

import json
import shlex
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


def test_what_the_patterns_fill_in_is_counted_and_a_push_is_told_with_the_same_options(tmp_path):
    (tmp_path / "reports.csv").write_text("no,remarks\n1,Redis is down\n2,Ask about Redis\n")
    (tmp_path / "infra.txt").write_text("Redis\n")
    options = ("--patterns", "INFRA=infra.txt", "--text-key", "remarks")
    done = export(tmp_path, "label-studio", "reports.csv", *options, "--output", "tasks.json")
    assert done.returncode == 0, done
    assert "2 task(s) for label-studio in tasks.json" in done.stdout
    assert "Filled in by the patterns, to be corrected: INFRA 2" in done.stdout
    tasks = json.loads((tmp_path / "tasks.json").read_text())
    assert {task["predictions"][0]["model_version"] for task in tasks} == {"patterns"}
    (tmp_path / "entity_types.yml").write_text("entity_types: [{name: INFRA, definition: a system}]\n")
    assert "--url http://localhost:8080 --token TOKEN --project TITLE" in done.stdout
    push = shlex.split(done.stdout[done.stdout.index("domain-ner label-studio push") :])[1:]
    push[push.index("http://localhost:8080")] = "http://127.0.0.1:1"
    # The column is found, and then the server is not.
    sent = subprocess.run(
        [sys.executable, "-m", "spacy_domain_ner", *push], cwd=tmp_path, capture_output=True, text=True
    )
    assert "Can't reach http://127.0.0.1:1" in sent.stderr
    nothing = export(tmp_path, "doccano", "a.jsonl", "--patterns", "INFRA=infra.txt", "--output", "t.jsonl")
    assert "Filled in by the patterns, to be corrected: nothing, they fit no passage" in nothing.stdout


def test_the_next_command_has_what_the_project_tells(tmp_path, monkeypatch):
    project = tmp_path / "pumps"
    (project / "configs").mkdir(parents=True)
    (project / "project.yml").write_text("vars: {}\n")
    (project / "configs/cnn.cfg").write_text('[nlp]\nlang = "de"\n')
    (project / "entity_types.yml").write_text("entity_types: [{name: INFRA, definition: a system}, {name: X}]\n")
    monkeypatch.setenv("LABEL_STUDIO_URL", "http://labels:8080")
    monkeypatch.setenv("LABEL_STUDIO_TOKEN", "geheim")
    told = export(project, "prodigy", "a.jsonl", "-o", "my tasks.jsonl").stdout
    assert "prodigy ner.manual pumps blank:de 'my tasks.jsonl' --label INFRA,X" in told
    told = export(project, "label-studio", "a.jsonl", "-o", "t.json").stdout
    assert "domain-ner label-studio push a.jsonl --project pumps" in told
