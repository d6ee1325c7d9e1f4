"""The verbs of monitoring as users run them: from live rows to a table, and errors in one line."""

import json
import subprocess
import sys

import pytest
from helpers.live_text import live_row, read_rows, review, write_rows


@pytest.fixture
def folder(tmp_path, monkeypatch):
    """The present folder, with live rows."""
    monkeypatch.chdir(tmp_path)
    write_rows(tmp_path / "live.jsonl", [live_row(number) for number in range(400)])
    return tmp_path


def test_a_sample_is_drawn_reviewed_and_estimated(domain_ner, folder):
    done = domain_ner("monitor", "sample", "live.jsonl", "--size", 80, "--detect", 0.05, "--output", "sample.jsonl")
    assert done.code == 0, done
    assert "80 passages of 400 live rows in sample.jsonl, 16 of them blind" in done.out
    assert "To see a drop of 5 points of F1" in done.out
    assert "domain-ner export label-studio sample.jsonl" in done.out
    review(folder / "sample.jsonl", folder / "done.jsonl")
    metrics = {"precision": 0.95, "recall": 0.97, "f1": 0.96, "support": 200}
    (folder / "m.json").write_text(json.dumps({"micro": metrics, "types": {"INFRA": metrics}}))
    arguments = ("done.jsonl", "live.jsonl", "--metrics", "m.json", "--output", "estimate.json")
    done = domain_ner("monitor", "estimate", *arguments)
    assert done.code == 0, done
    assert "P(drop ≥ 5 points)" in done.out
    assert "0.960 (0.9" in done.out
    assert "80 of 80 sampled passages, for 400 live rows of en_ops 0.2.0 (0a1b2c3d)" in done.out
    kept = json.loads((folder / "estimate.json").read_text())
    assert kept["types"]["INFRA"]["precision"]["low"] < 0.8 < kept["types"]["INFRA"]["precision"]["high"]
    assert kept["micro"]["drop_probability"] > 0.9
    done = domain_ner("monitor", "estimate", "done.jsonl", "--metrics", "m.json", "--json")
    assert {**json.loads(done.out), "created": kept["created"]} == kept


def test_too_few_mentions_are_unknown_and_the_number_of_passages_that_are_missing_is_told(domain_ner, folder):
    domain_ner("monitor", "sample", "live.jsonl", "--size", 20, "--output", "sample.jsonl")
    review(folder / "sample.jsonl", folder / "done.jsonl")
    done = domain_ner("monitor", "estimate", "done.jsonl")
    assert done.code == 0, done
    assert "INFRA: unknown, " in done.out
    assert "more passages" in done.out


def test_reviewers_who_confirm_everything_are_told(domain_ner, folder):
    domain_ner("monitor", "sample", "live.jsonl", "--size", 200, "--output", "sample.jsonl")
    review(folder / "sample.jsonl", folder / "done.jsonl", follow=True)
    done = domain_ner("monitor", "estimate", "done.jsonl")
    assert "Reviewers confirmed" in done.out, done
    assert "against 40 blind passages" in done.out


@pytest.mark.parametrize(
    ("arguments", "what"),
    [
        (("sample", "missing.jsonl", "-o", "s.jsonl"), "There is no file or folder missing.jsonl"),
        (("sample", "live.jsonl", "--size", 3, "-o", "s.jsonl"), "--size is 3"),
        (("sample", "live.jsonl", "--types", "TEAM", "-o", "s.jsonl"), "--types is 'TEAM'"),
        (("sample", "live.jsonl", "--model-version", "7", "-o", "s.jsonl"), "There is no live row of the model 7"),
        (("sample", "live.jsonl", "-o", "live.jsonl"), "is one of the inputs"),
        (("sample", "live.jsonl", "--text-key", "body", "-o", "s.jsonl"), "no 'body' in the record"),
        (("estimate", "live.jsonl"), "No reviewed passages are named"),
        (("estimate", "missing.jsonl"), "missing.jsonl"),
        (("estimate", "notes.txt"), "name it by --format"),
        (("estimate", "reviewed.jsonl", "--format", "brat"), "reviewed.jsonl"),
        (("estimate", "reviewed.jsonl", "--metrics", "live.jsonl"), "live.jsonl does not hold the scores"),
        (("estimate", "reviewed.jsonl", "--drop", 2), "--drop is 2.0"),
    ],
)
def test_an_error_is_one_line_and_what_to_do(domain_ner, folder, arguments, what):
    write_rows(folder / "reviewed.jsonl", [{"text": "Redis", "spans": [], "answer": "accept"}])
    (folder / "notes.txt").write_text("Redis was down, and nobody knew.\n", encoding="utf8")
    done = domain_ner("monitor", *arguments)
    assert done.code == 1
    assert "Traceback" not in done.err
    assert what in done.err, done
    assert len(read_rows(folder / "live.jsonl")) == 400


def test_monitoring_imports_spacy_only_for_a_model(folder):
    review_code = (
        "from helpers.live_text import review; from pathlib import Path; "
        "review(Path('sample.jsonl'), Path('done.jsonl')); "
    )
    code = (
        "import sys; from spacy_domain_ner import sample_for_review, estimate_quality; "
        "sample_for_review(['live.jsonl'], 'sample.jsonl'); " + review_code + "estimate_quality(['done.jsonl']); "
        "print({'spacy', 'thinc', 'torch'} & {*sys.modules})"
    )
    tests = str(__import__("pathlib").Path(__file__).parents[1])
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, env={"PYTHONPATH": tests})
    assert done.stdout == "set()\n", done
