"""What `domain-ner import` says, and how it ends."""

import dataclasses
import json
import os
import pty
import re
import subprocess
import sys
from pathlib import Path

import pytest
import typer

from spacy_domain_ner.cli._app import app
from spacy_domain_ner.exchange.policies import Policies

SPAN = {"start": 0, "end": 5, "label": "INFRA"}


def tasks(*texts: str) -> str:
    return "".join(json.dumps({"text": text, "spans": [SPAN], "answer": "accept"}) + "\n" for text in texts)


def test_an_import_names_the_format_the_counts_and_the_report(run, tmp_path):
    (tmp_path / "export.jsonl").write_text(tasks("Redis is down", "Redis is down", "Kafka is up"), encoding="utf8")
    result = run("domain-ner", "import", "export.jsonl", "-o", "annotations.jsonl")
    assert result.returncode == 0, result.stderr
    assert "export.jsonl: Prodigy JSONL" in result.stdout
    assert re.search(r"read +3 +3\n", result.stdout)
    assert "annotations.jsonl: 2 added. Spans: INFRA 2" in result.stdout
    assert "annotations.import.json" in result.stdout
    assert len((tmp_path / "annotations.jsonl").read_text(encoding="utf8").splitlines()) == 2
    assert "counts" in json.loads((tmp_path / "annotations.import.json").read_text(encoding="utf8"))
    again = run("domain-ner", "import", "export.jsonl", "-o", "annotations.jsonl")
    assert "2 unchanged" in again.stdout


def test_what_is_refused_is_shown_with_its_place(run, tmp_path):
    (tmp_path / "export.conll").write_text("Ann B-PER\nsat O\n\nx y z v\n\nKiel B-LOC\nis O\nby O\n", encoding="utf8")
    result = run("domain-ner", "import", "export.conll", "-o", "out.jsonl")
    assert result.returncode == 0
    assert "refused: export.conll:4: line 4 ('x y z v') has no tag in column 2" in result.stdout
    assert "CoNLL / BIO (IOB2 tags in column 2 of 2, tokens in 1, separated by blanks)" in result.stdout


def test_a_table_that_is_left_out_names_the_option_for_its_columns(run, tmp_path):
    (tmp_path / "tagged.csv").write_text("word,tag\nRedis,B-INFRA\nhums,O\n", encoding="utf8")
    (tmp_path / "words.csv").write_text("id,word,pos\n1,It,PRP\n1,hums,VBZ\n", encoding="utf8")
    result = run("domain-ner", "import", "tagged.csv", "words.csv", "-o", "out.jsonl")
    assert result.returncode == 0, result.stderr
    assert 'tagged.csv: CoNLL / BIO (IOB2 tags in column 2 "tag" of 2, tokens in 1 "word"' in result.stdout
    assert "is a table of 3 columns separated by commas (1 'id', 2 'word', 3 'pos')" in result.stdout
    assert "say in which columns: --columns token=1,tag=2" in result.stdout


@pytest.mark.parametrize(
    ("content", "options", "what", "hint"),
    [
        pytest.param("", [], "export.json is empty", "imported", id="empty"),
        pytest.param('[{"id": 1, "data": {"text": "a"}, "annotations": [', [], "ends in the middle", "Export it again",
                     id="cut"),
        pytest.param("<html>", [], "is a web page", "imported", id="a web page"),
        pytest.param("prose", [], "not in a known format", "by --format", id="prose"),
        pytest.param("prose", ["--format", "conll"], "is not in the format CoNLL", "--columns", id="no CoNLL"),
        pytest.param("prose", ["--format", "doccano"], "is not JSON, as doccano", "--format", id="no JSON"),
        pytest.param("prose", ["--format", "word"], "--format is 'word'", "It is one of", id="an unknown format"),
        pytest.param("prose", ["--encoding", "klingon"], "--encoding is 'klingon'", "latin-1", id="no encoding"),
        pytest.param("prose", ["--rename", "PER"], "--rename is 'PER'", "OLD=NEW", id="no pair"),
        pytest.param("prose", ["--offset-unit", "miles"], "--offset-unit is 'miles'", "utf-16", id="an unknown unit"),
        pytest.param("a O\n", ["--columns", "tag=7"], "There is no column 7: the lines have 2", "--columns",
                     id="no such column"),
        pytest.param("a,b\nx,O\ny,B-X\n", ["--columns", "token=c"], "There is no column 'c'", "by --columns, by their",
                     id="no column of that name"),
        pytest.param("id,word,pos\n1,It,PRP\n", [], "is a table of 3 columns", "Nothing was imported", id="no tags"),
        pytest.param("sid,word,label\n1,It,0\n1,is,1\n", [], "has numbers as tags", "--tag-names O,B-NAME,I-NAME",
                     id="numbers"),
        pytest.param(tasks("Redis is"), ["--schema", "none.yml"], "none.yml", "", id="no entity types"),
        pytest.param('{"text": "x", "label": [[5, 9, "A"]]}\n', ["--strict"], "refused; nothing was imported",
                     "leave out --strict", id="strict"),
        pytest.param("caf\u00e9 O\n".encode("latin1"), [], "export.json:1: this is not UTF-8 text",
                     "--encoding latin-1", id="Latin-1"),
    ],
)  # fmt: skip
def test_what_can_not_be_imported_ends_with_one_and_a_word_to_the_user(run, tmp_path, content, options, what, hint):
    (tmp_path / "export.json").write_bytes(content if isinstance(content, bytes) else content.encode())
    (tmp_path / "out.jsonl").write_text(tasks("old one"), encoding="utf8")
    result = run("domain-ner", "import", "export.json", "-o", "out.jsonl", *options)
    assert result.returncode == 1
    assert "Traceback" not in result.stderr + result.stdout
    assert what in result.stderr
    assert hint in result.stderr
    assert "\n\n" not in result.stderr.strip()
    assert (tmp_path / "out.jsonl").read_text(encoding="utf8") == tasks("old one")


@pytest.mark.parametrize(
    ("names", "without"),
    [(["import"], set()), (["label-studio", "pull"], {"predictions", "offset_unit"})],
    ids=["import", "pull"],
)
def test_a_verb_that_imports_has_an_option_for_each_policy_with_its_default(names, without):
    command = typer.main.get_command(app)
    for name in names:
        command = command.get_command(None, name)
    defaults = {parameter.name: parameter.default for parameter in command.params}
    assert not without & set(defaults)
    for policy in dataclasses.fields(Policies):
        if policy.name not in without:
            default = getattr(Policies(), policy.name)
            assert (defaults[policy.name] or type(default)()) == default


def test_missing_files_and_links_to_nothing_are_named(run, tmp_path):
    (tmp_path / "link.json").symlink_to("nothing.json")
    for name in ("missing.json", "link.json"):
        result = run("domain-ner", "import", name, "-o", "out.jsonl")
        assert (result.returncode, result.stderr.count("Traceback")) == (1, 0)
        assert f"There is no file or folder {name}" in result.stderr
    assert not (tmp_path / "out.jsonl").exists()


def test_a_bar_moves_on_a_terminal_and_nowhere_else(run, tmp_path):
    path = tmp_path / "export.jsonl"
    path.write_text(tasks(*(f"Redis {number} is down" for number in range(15_000))), encoding="utf8")
    shown = on_a_terminal(Path(sys.executable).parent / "domain-ner", "import", path, "-o", tmp_path / "out.jsonl")
    percents = [int(percent) for percent in re.findall(r"(\d+)%", shown)]
    assert percents == sorted(percents)
    # It continues when the file has been read to its end.
    assert len({percent for percent in percents if 50 < percent < 100}) >= 2, percents
    assert "%" not in run("domain-ner", "import", path, "-o", "again.jsonl").stderr


def on_a_terminal(*command: str | Path) -> str:
    """What a command writes to a terminal."""
    ours, theirs = pty.openpty()
    environment = {**os.environ, "TERM": "xterm", "COLUMNS": "120"}
    process = subprocess.Popen(command, stdin=theirs, stdout=theirs, stderr=theirs, env=environment)
    os.close(theirs)
    shown = b""
    while True:
        try:
            block = os.read(ours, 65536)
        except OSError:  # the end, on Linux
            break
        if not block:
            break
        shown += block
    os.close(ours)
    assert process.wait() == 0
    return shown.decode("utf8", errors="replace")
