"""The verbs as users run them: exit codes, messages without tracebacks, and old outputs that stay after a failure.

One test of each kind starts the real command; the long tables call the command's own entry point in this process.
"""

import json
import os
import subprocess
import sys
from pathlib import Path

import pytest
import srsly
from helpers.memorized import memorized
from helpers.outcome import Outcome

from spacy_domain_ner.components.biluo_ner import FACTORY
from spacy_domain_ner.corpus import read_passages, write_passages

TYPES = "entity_types: [{name: SERVICE}, {name: INFRA}]\n"
GOOD = {"text": "Redis is down", "spans": [{"start": 0, "end": 5, "label": "INFRA"}]}
LINE = json.dumps(GOOD) + "\n"


@pytest.fixture
def project(tmp_path, passages, monkeypatch) -> Path:
    """A folder with entity types, annotations and the quickest config to tokenize with: the present folder."""
    monkeypatch.chdir(tmp_path)
    (tmp_path / "entity_types.yml").write_text(TYPES)
    (tmp_path / "training").mkdir()
    (tmp_path / "training/config.cfg").write_text('[nlp]\nlang = "xx"\n')
    write_passages(tmp_path / "annotations.jsonl", passages)
    return tmp_path


def refused(outcome: Outcome, *expected: str) -> None:
    """Exit code 1, a message on standard error, and what to do below it."""
    assert outcome.code == 1, outcome
    assert "Traceback" not in outcome.out + outcome.err
    for words in expected:
        assert words in outcome.out + outcome.err, (words, outcome)
    assert len(outcome.err.strip().splitlines()) >= 2, outcome.err


def test_the_command_within_spacy_lists_the_verbs(run):
    done = run("python", "-m", "spacy", "domain-ner", "--help")
    assert done.returncode == 0, done.stderr
    for name in ("check", "split", "convert", "train", "learning-curve", "evaluate", "package", "try", "extract"):
        assert f" {name} " in done.stdout


def test_a_sound_corpus_exits_with_0(run, project, cnn_config):
    cnn_config.replace(project / "training/config.cfg")
    done = run("domain-ner", "check", "annotations.jsonl")
    assert (done.returncode, done.stderr) == (0, "")


@pytest.mark.parametrize("command", [["python", "-m", "spacy", "domain-ner"], ["domain-ner"]])
def test_a_corpus_with_a_fault_exits_with_1_and_no_traceback(run, project, command):
    (project / "bad.jsonl").write_text(LINE + '{"text": "Redis')
    done = run(*command, "check", "bad.jsonl", "--output", "check.json")
    refused(Outcome(done.returncode, done.stdout, done.stderr), "bad.jsonl:2: not valid JSON", "check.json")
    assert srsly.read_json(project / "check.json")["findings"][0]["line"] == 2


@pytest.mark.slow
def test_every_verb_does_its_part_of_the_path(domain_ner, project, cnn_config):
    cnn_config.replace(project / "training/config.cfg")
    assert domain_ner("check", "annotations.jsonl", "--output", "metrics/check.json").code == 0
    assert srsly.read_json(project / "metrics/check.json")["types"]["SERVICE"]["mentions"] == 20
    split = domain_ner("split", "annotations.jsonl", "corpus", "--state", "assets/split.json")
    assert split.code == 0, split
    sides = [(project / f"corpus/{side}.jsonl").read_text().count("\n") for side in ("train", "dev", "eval")]
    assert sum(sides) == 20
    assert all(sides)
    converted = domain_ner("convert", *(f"corpus/{side}.jsonl" for side in ("train", "dev", "eval")))
    assert converted.code == 0, converted
    assert converted.out.count("0 span(s) that training can't use") == 3
    trained = domain_ner("train", "training/config.cfg", "training", "--train", "corpus/train.spacy", "--dev",
                   "corpus/dev.spacy", "--max-epochs", 3, "--training.dropout", 0.123)  # fmt: skip
    assert trained.code == 0, trained
    assert "dropout = 0.123\n" in (project / "training/model-best/config.cfg").read_text()
    curve = domain_ner("learning-curve", "training/config.cfg", "--sizes", "0.8,0.9,1", "--max-epochs", 1)
    assert curve.code == 0, curve
    done = domain_ner("evaluate", "training/model-best", "corpus/eval.jsonl", "--train", "corpus/train.jsonl",
                "--output", "metrics/metrics.json", "--errors", "metrics/errors.jsonl", "--report",
                "metrics/report.html", "--predictions", "metrics/predictions.jsonl", "--learning-curve",
                "metrics/learning_curve.json")  # fmt: skip
    assert done.code == 0, done
    assert 'id="curve"' in (project / "metrics/report.html").read_text()
    assert "SERVICE" in (project / "metrics/report.html").read_text()
    assert "SERVICE" in (project / "metrics/report.md").read_text()
    assert len(read_passages(project / "metrics/predictions.jsonl").passages) == sides[2]
    errors = read_passages(project / "metrics/errors.jsonl").passages
    assert all(error.meta["model_errors"] for error in errors)
    metrics = srsly.read_json(project / "metrics/metrics.json")
    assert metrics["passages"] == sides[2]
    assert list(metrics["types"]) == ["SERVICE", "INFRA"]
    assert metrics["types"]["INFRA"]["trained_on"] == sides[0]
    assert metrics["learning_curve"]["points"][-1]["passages"] == sides[0]
    # A curve of another evaluation set is none of this one.
    done = domain_ner("evaluate", "training/model-best", "corpus/dev.jsonl", "--output", "metrics/metrics.json",
                "--learning-curve", "metrics/learning_curve.json")  # fmt: skip
    assert done.code == 0, done
    assert "weasel run learning-curve" in done.out
    assert srsly.read_json(project / "metrics/metrics.json")["learning_curve"] is None


def test_a_curve_that_is_not_there_yet_is_no_fault_and_one_that_is_spoilt_is_named(domain_ner, project):
    arguments = ("evaluate", "blank:en", "annotations.jsonl", "--output", "m.json", "--learning-curve", "curve.json")
    done = domain_ner(*arguments)
    assert done.code == 0, done
    assert "curve" not in done.out + done.err
    assert srsly.read_json(project / "m.json")["learning_curve"] is None
    (project / "curve.json").write_text("{}")
    (project / "m.json").write_text("old")
    refused(domain_ner(*arguments), "curve.json is not a learning curve", "weasel run learning-curve")
    assert (project / "m.json").read_text() == "old"


def test_a_second_split_moves_nothing_and_names_what_it_leaves_out(domain_ner, project):
    assert domain_ner("split", "annotations.jsonl", "corpus", "--state", "split.json").code == 0
    state = (project / "split.json").read_bytes()
    before = {side: (project / f"corpus/{side}.jsonl").read_text() for side in ("train", "dev", "eval")}
    source = json.loads(before["train"].splitlines()[0])["meta"]["source"]
    text = json.loads(before["eval"].splitlines()[0])["text"]
    with (project / "annotations.jsonl").open("a") as stream:
        stream.write(json.dumps({"text": text, "meta": {"source": source}}) + "\n")
    done = domain_ner("split", "annotations.jsonl", "corpus", "--state", "split.json")
    assert "annotations.jsonl:21: left out, the same text is on another side" in done.out
    assert (project / "split.json").read_bytes() == state
    assert {side: (project / f"corpus/{side}.jsonl").read_text() for side in before} == before


CORRUPT: dict[str, tuple[bytes, str]] = {
    "cut off in the middle": (LINE.encode() + b'{"text": "Redis is d', ":2: not valid JSON (Unterminated string"),
    "binary": (bytes(range(256)), ":2: this is not UTF-8 text"),
    "latin-1": (LINE.encode() + '{"text": "café"}\n'.encode("latin1"), ":2: this is not UTF-8 text"),
    "UTF-16": (LINE.encode("utf16"), "iconv -f utf16"),
    "UTF-16 without a mark": (LINE.encode("utf-16-le"), ":1: not valid JSON"),
    "a JSON array": (f"[{LINE.strip()}]".encode(), "domain-ner import"),
    "pretty-printed JSON": (json.dumps(GOOD, indent=2).encode(), "domain-ner import"),
    "null bytes": (LINE.encode() + b"\0\0\0", ":2: not valid JSON"),
    "old Mac line ends": (LINE.replace("\n", "\r").encode() * 2, ":1: not valid JSON (Extra data"),
    "CSV": (b"text,start,end,label\nRedis is down,0,5,INFRA\n", ":1: not valid JSON"),
    "a huge number": (LINE.encode() + b'{"text": "a", "n": ' + b"9" * 5000 + b"}", ":2: a number of thousands"),
    "nested too deeply": (b'{"text": ' + b"[" * 100_000, ":1: JSON that is nested too deeply"),
    "a lone surrogate": (LINE.encode() + b'{"text": "a\\ud800"}', ":2: half of a surrogate pair at offset 1"),
    "a lone surrogate in a label": (LINE.replace("INFRA", "\\ud800").encode(), ":1: half of a surrogate pair"),
    "a very long text": (json.dumps({**GOOD, "text": "a" * 1_000_001}).encode(), ":1: a text of 1000001 characters"),
    "nothing": (b"", "no annotation yet (0 passage(s) read)"),
    "blank lines only": (b"\n \n\n", "no annotation yet (0 passage(s) read)"),
    "no annotation": (b'{"text": "Redis is down"}\n', "no annotation yet (1 passage(s) read)"),
}
SPANS = {
    "NaN": (float("nan"), 5, "whole numbers, not nan and 5"),
    "infinite": (0, float("inf"), "whole numbers, not 0 and inf"),
    "fractions": (0, 4.5, "whole numbers, not 0 and 4.5"),
    "strings": ("0", "5", "whole numbers, not '0' and '5'"),
    "booleans": (False, True, "whole numbers, not False and True"),
    "lists": ([0], [5], "whole numbers, not [0] and [5]"),
    "null": (0, None, "whole numbers, not 0 and None"),
    "inverted": (5, 0, "ends before it starts"),
    "negative": (-5, 5, "lies outside the text of 13 characters"),
    "beyond C": (0, 10**30, "lies outside the text of 13 characters"),
    "a float beyond C": (0, 1e300, "lies outside the text of 13 characters"),
}
for _name, (_start, _end, _expected) in SPANS.items():
    _record = {**GOOD, "spans": [{"start": _start, "end": _end, "label": "INFRA"}]}
    CORRUPT[f"offsets that are {_name}"] = ((LINE + json.dumps(_record)).encode(), _expected)


@pytest.mark.parametrize(("content", "expected"), CORRUPT.values(), ids=CORRUPT.keys())
def test_a_corrupted_file_is_refused_with_the_place_and_what_to_do(domain_ner, project, content, expected):
    (project / "bad.jsonl").write_bytes(content)
    refused(domain_ner("check", "bad.jsonl"), "bad.jsonl", expected)


def test_a_project_without_labels_hears_what_to_do_before_it_has_a_config(domain_ner, project):
    (project / "training/config.cfg").unlink()
    (project / "assets").mkdir(exist_ok=True)
    (project / "assets/annotations.jsonl").write_text("")
    refused(domain_ner("check"), "assets/annotations.jsonl has no annotation yet", "domain-ner export")
    (project / "assets/annotations.jsonl").write_text(LINE)
    refused(domain_ner("check"), "There is no config training/config.cfg", "weasel run configure")


@pytest.mark.parametrize(("content", "expected"), CORRUPT.values(), ids=CORRUPT.keys())
def test_no_corrupted_file_makes_a_later_verb_fail_with_a_traceback(domain_ner, project, content, expected):
    for side in ("train", "dev", "eval"):
        (project / f"corpus-{side}").mkdir()
    (project / "bad.jsonl").write_bytes(content)
    for arguments in (["split", "bad.jsonl", "corpus"], ["convert", "bad.jsonl"]):
        outcome = domain_ner(*arguments)
        assert outcome.code in (0, 1)
        if outcome.code:
            refused(outcome)


@pytest.mark.parametrize("prefix", [b"\xef\xbb\xbf", b""])
@pytest.mark.parametrize("end", ["\n", "\r\n"])
def test_a_byte_order_mark_and_windows_line_ends_are_no_fault(domain_ner, project, prefix, end):
    (project / "a.jsonl").write_bytes(prefix + LINE.replace("\n", end).encode())
    assert domain_ner("check", "a.jsonl").code == 0


@pytest.mark.parametrize(
    ("content", "expected"),
    [
        pytest.param(TYPES + "colours: red\n", "the key 'colours' is not known", id="unknown key"),
        pytest.param("entity_types: [{name: A}, {name: a}]", "'A' and 'a' have the same name", id="duplicate"),
        pytest.param("entity_types: {name: A}", "entity_types: Input should be a valid list", id="wrong type"),
        pytest.param("entity_types:\n\t- name: A", "line 2, column 1", id="syntax"),
        pytest.param("entity_types: [*none]", "undefined alias", id="anchor"),
        pytest.param("", "holds no entity types", id="empty"),
    ],
)
def test_faulty_entity_types_are_refused_before_the_corpus_is_read(domain_ner, project, content, expected):
    (project / "entity_types.yml").write_text(content)
    refused(domain_ner("check", "annotations.jsonl"), "entity_types.yml", expected)


MISSING = [
    ("check", "missing.jsonl"),
    ("check", "no_such_folder/"),
    ("check", "training"),
    ("check", "x" * 300),
    ("check", "annotations.jsonl", "--schema", "missing.yml"),
    ("check", "annotations.jsonl", "--schema", "."),
    ("check", "annotations.jsonl", "--config", "missing.cfg"),
    ("check", "annotations.jsonl", "--config", "."),
    ("check", "annotations.jsonl", "--output", "."),
    ("check", "annotations.jsonl", "--output", "entity_types.yml/report.json"),
    ("split", "missing.jsonl", "corpus"),
    ("split", "annotations.jsonl", "entity_types.yml"),
    ("split", "annotations.jsonl", "corpus", "--state", "."),
    ("split", "annotations.jsonl", "corpus", "--state", "entity_types.yml"),
    ("split", "annotations.jsonl", "corpus", "--eval-fraction", "1.5"),
    ("split", "annotations.jsonl", "corpus", "--dev-fraction", "nan"),
    ("convert", "missing.jsonl"),
    ("convert", "annotations.jsonl", "--config", "missing.cfg"),
    ("train", "missing.cfg", "training", "--train", "annotations.spacy", "--dev", "annotations.spacy"),
    ("train", "training/config.cfg", "training", "--train", "missing.spacy", "--dev", "missing.spacy"),
    ("train", "training/config.cfg", "training", "--train", "a", "--dev", "a", "--max-epochs", "0"),
    ("train", "training/config.cfg", "training", "--train", "a", "--dev", "a", "--dropout", "1"),
    ("learning-curve", "missing.cfg", "--train", "annotations.jsonl", "--dev", "annotations.jsonl"),
    ("learning-curve", "training/config.cfg"),
    ("learning-curve", "training/config.cfg", "--train", "annotations.jsonl", "--sizes", "0.5,1"),
    ("evaluate", "missing", "annotations.jsonl"),
    ("evaluate", "blank:en", "missing.jsonl"),
    ("evaluate", "blank:en", "annotations.jsonl", "--schema", "missing.yml"),
    ("evaluate", "blank:en", "annotations.jsonl", "--train", "missing.jsonl"),
    ("evaluate", "blank:en", "annotations.jsonl", "--learning-curve", "."),
    ("evaluate", "blank:en", "annotations.jsonl", "--gate", "0.5"),
    ("evaluate", "blank:en", "annotations.jsonl", "--fail-under", "85"),
    ("evaluate", "blank:en", "annotations.jsonl", "--output", "."),
    ("package", "missing", "packages", "--name", "a"),
    ("try", "missing"),
]


@pytest.mark.parametrize("arguments", MISSING, ids=lambda arguments: " ".join(arguments)[:60])
def test_what_is_missing_or_out_of_range_is_named_with_what_to_do(domain_ner, project, arguments):
    before = {path: path.read_bytes() for path in project.rglob("*") if path.is_file()}
    refused(domain_ner(*arguments))
    for path, content in before.items():
        assert path.read_bytes() == content
    assert not [path for path in project.rglob("*") if path.name.endswith(".tmp")]


def test_options_that_are_not_there_exit_with_2(domain_ner, project):
    outcome = domain_ner("check", "annotations.jsonl", "--no-such-option")
    assert outcome.code == 2
    assert "--no-such-option" in outcome.err


@pytest.mark.parametrize("name", ["corpus/train.jsonl", "corpus/eval.jsonl", "split.json"])
def test_a_failed_split_leaves_the_old_sets(domain_ner, project, name):
    (project / "corpus").mkdir()
    (project / name).write_text("old")
    (project / "annotations.jsonl").write_text(LINE * 20 + "broken")
    refused(domain_ner("split", "annotations.jsonl", "corpus"), "annotations.jsonl:21")
    assert (project / name).read_text() == "old"


def test_a_failed_conversion_leaves_the_old_set(domain_ner, project):
    (project / "annotations.spacy").write_text("old")
    (project / "annotations.jsonl").write_text(LINE + "broken")
    refused(domain_ner("convert", "annotations.jsonl"), "annotations.jsonl:2")
    assert (project / "annotations.spacy").read_text() == "old"


def test_a_failed_evaluation_leaves_the_old_scores(domain_ner, project):
    (project / "metrics.json").write_text("old")
    refused(
        domain_ner("evaluate", "missing", "annotations.jsonl", "--output", "metrics.json"), "'missing' can't be loaded"
    )
    refused(domain_ner("evaluate", "blank:en", "annotations.jsonl", "--output", "metrics.json", "--fail-under", "2"))
    refused(domain_ner("evaluate", "blank:en", "annotations.jsonl", "--report", "report.md"), "report.md is not a name")
    assert (project / "metrics.json").read_text() == "old"


def test_a_gate_that_is_missed_exits_with_1_and_keeps_the_scores(domain_ner, project):
    outcome = domain_ner("evaluate", "blank:en", "annotations.jsonl", "--output", "m.json", "--fail-under", "0.5")
    refused(outcome, "F1 is below 0.5 for SERVICE, INFRA")
    assert srsly.read_json(project / "m.json")["micro"]["f1"] == 0


def test_strict_makes_a_warning_an_error(domain_ner, project):
    (project / "a.jsonl").write_text(LINE * 2)
    assert domain_ner("check", "a.jsonl").code == 0
    refused(domain_ner("check", "a.jsonl", "--strict"), "a.jsonl:2: the same passage is also at a.jsonl:1")


def test_many_findings_are_cut_short_and_the_rest_is_pointed_to(domain_ner, project):
    (project / "a.jsonl").write_text("broken\n" * 50)
    refused(domain_ner("check", "a.jsonl"), "and 30 more", "The first 20 are listed above. --output FILE writes all")
    refused(domain_ner("check", "a.jsonl", "--output", "r.json"), "All of them are in r.json")
    assert len(srsly.read_json(project / "r.json")["findings"]) == 50


def test_long_lines_are_not_folded(domain_ner, project):
    name = "a-long-folder-name/" * 6 + "a.jsonl"
    (project / name).parent.mkdir(parents=True)
    (project / name).write_text(f"{LINE}broken\n")
    outcome = domain_ner("check", name)
    assert any(f"{name}:2: not valid JSON (Expecting value at column 1): 'broken'" in line
               for line in outcome.out.splitlines())  # fmt: skip


def test_conversion_names_the_spans_that_training_can_not_use(domain_ner, project):
    (project / "a.jsonl").write_text(LINE + json.dumps({**GOOD, "spans": [{"start": 0, "end": 3, "label": "INFRA"}]}))
    outcome = domain_ner("convert", "a.jsonl")
    assert outcome.code == 0
    assert "a.jsonl:2: 'Red' misses token boundaries or overlaps another span (tokens: Redis)" in outcome.out
    assert "2 passages, 1 span(s) that training can't use" in outcome.out


@pytest.mark.slow
def test_a_terminal_that_can_not_show_a_character_gets_its_escape(run, project):
    (project / "a.jsonl").write_text(LINE + '{"text": "東京 🚀", "spans": [{"start": 2, "end": 0, "label": "Ä"}]}\n')
    done = run("domain-ner", "check", "a.jsonl", PYTHONIOENCODING="ascii")
    refused(Outcome(done.returncode, done.stdout, done.stderr), "\\u6771")


@pytest.mark.slow
def test_a_reader_that_goes_away_is_no_error(project):
    (project / "a.jsonl").write_text("broken\n" * 50)
    command = f"{sys.executable} -m spacy domain-ner check a.jsonl | head -1"
    done = subprocess.run(command, shell=True, cwd=project, capture_output=True, text=True, check=False)
    assert "Traceback" not in done.stderr


@pytest.mark.skipif(os.geteuid() == 0, reason="root may write everywhere")
def test_a_folder_without_permission_to_write_is_named(domain_ner, project):
    (project / "locked").mkdir(mode=0o500)
    refused(
        domain_ner("check", "annotations.jsonl", "--output", "locked/check.json"), "locked/check.json", "Permission"
    )


def test_passages_are_selected_in_a_project_without_naming_its_files(domain_ner, project):
    (project / "assets").mkdir()
    (project / "assets/pool").mkdir()
    pool = [f"The {name} service restarts at night without a reason" for name in ("mail", "stock", "tax", "risk")]
    (project / "assets/pool/tickets.txt").write_text("\n".join([*pool, GOOD["text"] + " since last night"]))
    annotated = {**GOOD, "text": pool[0], "spans": []}
    (project / "assets/annotations.jsonl").write_text(json.dumps(annotated) + "\n")
    done = domain_ner("select", "assets/pool", "--size", 9, "--random-share", "1")
    assert done.code == 0, done
    assert "1 left out: labelled already" in done.out
    rows = [json.loads(line) for line in (project / "assets/next.jsonl").read_text().splitlines()]
    assert {row["text"] for row in rows} == {*pool, GOOD["text"] + " since last night"} - {pool[0]}
    refused(domain_ner("select", "assets/pool", "--types", "TEAM"), "Without a --model", "leave out --types")
    refused(domain_ner("select", "missing.txt"), "missing.txt")
    refused(domain_ner("select", "assets/pool", "--model", "missing"), "can't be loaded")


def test_each_passage_that_is_selected_is_shown_in_one_line_with_the_reason_and_the_time(
    domain_ner, project, make_passages
):
    memorized(FACTORY, make_passages()).to_disk(project / "model")
    texts = [f"The {name}-api service\nrestarts and checkout-api, too" for name in ("mail", "stock", "tax")]
    (project / "pool.jsonl").write_text("".join(json.dumps({"text": text}) + "\n" for text in texts))
    done = domain_ner("select", "pool.jsonl", "--size", 2, "--model", "model")
    assert done.code == 0, done
    assert [line for line in done.out.splitlines() if "SERVICE (" in line and "-api service restarts and" in line]
    assert "About 1 minute of labelling" in done.out


def test_a_push_takes_either_a_file_or_what_was_selected(domain_ner, project):
    server = ["--url", "http://127.0.0.1:9", "--token", "x", "--project", "billing"]
    refused(domain_ner("label-studio", "push", *server), "Name either a file of passages or --selected")
    refused(domain_ner("label-studio", "push", "a.txt", "--selected", *server), "Name either")
    refused(domain_ner("label-studio", "push", "--selected", *server), "assets/next.jsonl")
