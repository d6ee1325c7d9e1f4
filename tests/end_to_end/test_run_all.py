"""The whole path, with real parts: bake, train, package, install elsewhere, extract."""

import json
import os
import shutil
import subprocess
import sys
import venv
from pathlib import Path

import pytest
import spacy
import srsly

from spacy_domain_ner import extract_entities

REPOSITORY = Path(__file__).parents[2]
# The steps that are skipped where nothing changed. The guide says each time what is missing.
STEPS = ["configure", "check", "split", "convert", "train", "evaluate", "package", "try"]
SENTENCE = "checkout-api times out whenever Redis evicts keys, and GET /api/v2/orders returns 503."
# A model of a few epochs on an eighth of the passages is no good yet; what is tested here is the path.
QUICK = ("--vars.max_epochs", "5")

pytestmark = pytest.mark.slow


def weasel(project: Path, *arguments: str) -> subprocess.CompletedProcess[str]:
    command = [sys.executable, "-m", "weasel", "run", *arguments]
    environment = {**os.environ, "PYTHONIOENCODING": "utf8"}
    return subprocess.run(command, cwd=project, capture_output=True, encoding="utf8", env=environment, check=False)


def ran(output: str) -> list[str]:
    """The steps that were run, not skipped."""
    divided = [step for step in STEPS if f" {step} =" in output]
    return [step for step in divided if f"Skipping '{step}'" not in output]


@pytest.fixture(scope="module")
def project(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The default domain, baked and run, with sentences that ask nothing of so quick a model."""
    folder = tmp_path_factory.mktemp("bake")
    command = [sys.executable, "-m", "cookiecutter", str(REPOSITORY), "--no-input", "--output-dir", str(folder)]
    subprocess.run([*command, 'author=Zoë "Z" O\'Neil'], check=True, capture_output=True)
    project = folder / "software"
    annotations = project / "assets/annotations.jsonl"
    lines = annotations.read_text(encoding="utf8").splitlines(keepends=True)
    annotations.write_text("".join(lines[::8]), encoding="utf8")
    (project / "tests/sentences.yml").write_text(f'- text: "{SENTENCE}"\n  not_entities: [times]\n')
    done = weasel(project, "all", ".", *QUICK)
    assert done.returncode == 0, done.stdout + done.stderr
    assert ran(done.stdout) == STEPS
    return project


def test_a_second_run_does_nothing(project):
    done = weasel(project, "all", ".", *QUICK)
    assert done.returncode == 0
    assert ran(done.stdout) == []


@pytest.mark.parametrize(
    ("variable", "value", "expected"),
    [
        ("gate", "0.9", ["evaluate", "package", "try"]),
        ("version", "0.2.0", ["package", "try"]),
        ("eval_fraction", "0.3", STEPS[2:]),
    ],
)
def test_an_overridden_var_runs_what_depends_on_it(project, tmp_path, variable, value, expected):
    copy = shutil.copytree(project, tmp_path / "copy")
    done = weasel(copy, "all", ".", *QUICK, f"--vars.{variable}", value)
    assert done.returncode == 0, done.stdout + done.stderr
    assert ran(done.stdout) == expected


def test_a_changed_input_runs_what_depends_on_it(project, tmp_path):
    def change(name: str, old: str, new: str) -> list[str]:
        # In a copy, so that nothing has to be run again to undo it.
        copy = shutil.copytree(project, tmp_path / "copy")
        path = copy / name
        text = path.read_text(encoding="utf8")
        assert old in text
        path.write_text(text.replace(old, new, 1), encoding="utf8")
        done = weasel(copy, "all", ".", *QUICK)
        assert done.returncode == 0, done.stdout + done.stderr
        shutil.rmtree(copy)
        return ran(done.stdout)

    # Metrics do not change with a definition, so what depends on them alone is skipped; the model card has it.
    assert change("entity_types.yml", "definition: >-", "definition: >-\n      Changed.") == [
        "check", "evaluate", "package", "try"
    ]  # fmt: skip
    assert change("tests/sentences.yml", "not_entities: [times]", "not_entities: [out]") == ["try"]
    # The tokenizer is the same, so the sets are: what is trained on them is not.
    assert change("configs/cnn.cfg", "dropout = 0.", "dropout = 0.0") == [
        "configure", "check", "convert", "train", "evaluate", "package", "try"
    ]  # fmt: skip
    # Metadata changes no set that is trained on; that of a passage that is held out changes a group's score.
    # Half of the passages change all.
    text = (project / "assets/annotations.jsonl").read_text(encoding="utf8")
    held_out = json.loads((project / "corpus/eval.jsonl").read_text(encoding="utf8").split("\n")[0])
    [line] = [line for line in text.split("\n") if line and json.loads(line)["text"] == held_out["text"]]
    assert change("assets/annotations.jsonl", line, line.replace('"genre": ', '"kind": ')) == [
        "check", "split", "convert", "evaluate", "package", "try"
    ]  # fmt: skip
    assert change("assets/annotations.jsonl", text, "".join(text.splitlines(keepends=True)[::2])) == STEPS[1:]


def test_the_scores_are_on_disk_for_every_type(project):
    metrics = srsly.read_json(project / "metrics/metrics.json")
    assert list(metrics["types"]) == ["SERVICE", "INFRA", "TEAM", "CONFIG", "LIBRARY", "ENDPOINT"]
    evaluated = [json.loads(line) for line in (project / "corpus/eval.jsonl").read_text(encoding="utf8").splitlines()]
    assert metrics["passages"] == len(evaluated)
    assert metrics["micro"]["support"] == sum(len(record["spans"]) for record in evaluated)
    assert metrics["micro"]["f1"] > 0.2


def test_a_gate_that_is_missed_stops_the_run_and_keeps_the_scores(project):
    done = weasel(project, "all", ".", *QUICK, "--vars.fail_under", "0.999")
    assert done.returncode == 1
    assert "F1 is below 0.999" in done.stderr
    assert "Traceback" not in done.stdout + done.stderr
    assert (project / "metrics/metrics.json").is_file()
    assert weasel(project, "all", ".", *QUICK).returncode == 0


def test_sentences_that_the_model_gets_wrong_stop_the_run(project):
    sentences = project / "tests/mine.yml"
    sentences.write_text('- text: "Nothing here."\n  entities: {Nothing: SERVICE}\n')
    done = weasel(project, "all", ".", *QUICK)
    sentences.unlink()
    assert done.returncode == 1
    assert "'Nothing' should be SERVICE, is not found" in done.stdout
    assert weasel(project, "all", ".", *QUICK).returncode == 0


def test_the_wheel_works_where_only_spacy_is_installed(project, tmp_path):
    texts = [json.loads(line)["text"] for line in (project / "corpus/eval.jsonl").read_text("utf8").splitlines()]
    texts.append(SENTENCE)
    venv.create(tmp_path / "env", with_pip=True)
    python = tmp_path / "env" / ("Scripts/python.exe" if os.name == "nt" else "bin/python")
    wheel = next((project / "packages").glob("*/dist/*.whl"))
    subprocess.run([python, "-m", "pip", "install", "--quiet", str(wheel)], check=True, capture_output=True)
    script = (
        "import json, sys, spacy, importlib.util\n"
        "assert importlib.util.find_spec('spacy_domain_ner') is None\n"
        "nlp = spacy.load('en_software_ner')\n"
        "docs = nlp.pipe(json.load(sys.stdin))\n"
        "rows = [[[e.text, e.label_, e.start_char, e.end_char, round(e._.confidence, 4)] for e in doc.ents]"
        " for doc in docs]\n"
        "print(json.dumps({'rows': rows, 'meta': nlp.meta}))\n"
    )
    done = subprocess.run(
        [python, "-c", script], input=json.dumps(texts), capture_output=True, text=True, check=True, cwd=tmp_path
    )
    loaded = json.loads(done.stdout)
    trained = spacy.load(project / "training/model-best")
    expected = [[list(entity.values()) for entity in extract_entities(trained, text)] for text in texts]
    assert loaded["rows"] == expected
    assert any(expected)
    assert trained.get_pipe("ner").calibration["slope"] > 0
    assert loaded["meta"]["author"] == 'Zoë "Z" O\'Neil'
    assert loaded["meta"]["performance"]["ents_f"] == srsly.read_json(project / "metrics/metrics.json")["micro"]["f1"]


def test_a_blank_project_stops_at_check_and_says_what_to_do(tmp_path):
    command = [sys.executable, "-m", "cookiecutter", str(REPOSITORY), "--no-input", "-o", str(tmp_path)]
    subprocess.run([*command, "domain=mine", "pack=blank"], check=True, capture_output=True)
    done = weasel(tmp_path / "mine", "all")
    assert done.returncode == 1
    assert "no annotation yet" in done.stderr
    assert "assets/annotations.jsonl" in done.stderr
    assert "Traceback" not in done.stdout + done.stderr
    assert " split =" not in done.stdout


def test_a_model_at_work_is_watched_and_only_one_that_is_not_worse_takes_its_place(project, tmp_path):
    copy = shutil.copytree(project, tmp_path / "copy")
    live = [json.loads(line) for line in (copy / "corpus/dev.jsonl").read_text(encoding="utf8").splitlines()]
    (copy / "live").mkdir()
    nlp = spacy.load(copy / "training/model-best")
    with (copy / "live/monday.jsonl").open("w", encoding="utf8") as rows:
        for record in live * 2:
            entities = extract_entities(nlp, record["text"].lower())
            rows.write(json.dumps({"text": record["text"].lower(), "entities": entities}) + "\n")
    done = weasel(copy, "monitor")
    assert done.returncode == 3, done.stdout + done.stderr
    assert "words that begin with a capital" in done.stdout
    assert "passages for a first review now: the text has changed" in done.stdout
    assert {path.suffix for path in (copy / "monitor").iterdir()} == {".json", ".jsonl", ".html"}

    (copy / "reviewed").mkdir()
    reviewed = {**live[0], "text": "Redis, again: " + live[0]["text"], "spans": [], "meta": {"training_only": True}}
    (copy / "reviewed/export.jsonl").write_text(json.dumps(reviewed) + "\n", encoding="utf8")
    wheel = next((copy / "packages").glob("*/dist/*.whl"))
    before, present = wheel.read_bytes(), (copy / "training/model-best/ner/model").read_bytes()
    # An epoch is not enough.
    done = weasel(copy, "retrain", ".", "--vars.max_epochs", "1")
    assert done.returncode == 3, done.stdout + done.stderr
    assert "The new model is worse" in done.stdout
    assert wheel.read_bytes() == before
    # The model in use is still the one that the other commands work with.
    assert (copy / "training/model-best/ner/model").read_bytes() == present
    assert "Redis, again" in (copy / "corpus/train.jsonl").read_text(encoding="utf8")
