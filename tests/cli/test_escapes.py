"""What a terminal would obey, and what nobody sees, is printed as escapes, wherever it comes from."""

import json
import re
import zipfile
from pathlib import Path

import pytest

from spacy_domain_ner.cli._messages import Messages

# Colours, a link, a bell, a backspace, a carriage return, a C1 control, an override of direction, a delete.
HOSTILE = "\x1b[31mX\x1b]8;;http://evil.example\x07l\x1b]8;;\x07\x08\r\x9b2J\u202eabc\u2066\x7f"
OBEYED = re.compile("[\x00-\x08\x0b-\x1f\x7f-\x9f\u200e\u200f\u202a-\u202e\u2066-\u2069]")
LABEL = HOSTILE.replace("\r", "")
TASK = {
    "id": HOSTILE, "data": {"text": "Redis is slow", HOSTILE: 1}, "annotations": [{
        "id": 1, "completed_by": HOSTILE, "result": [
            {"id": HOSTILE, "type": kind, "from_name": "l", "to_name": "t", "value": {
                "start": 0, "end": 5, "labels": [HOSTILE]
            }} for kind in ("labels", HOSTILE)
        ]}],
}  # fmt: skip
REFERRED = {"data": {"text": f"/data/local-files/?d={HOSTILE}"}, "annotations": TASK["annotations"]}
SPAN = {"start": 0, "end": 5, "label": HOSTILE}
ROWS = [
    {"text": "Redis is slow", "spans": [SPAN], "meta": {"source": HOSTILE}},
    {"text": f"Redis {HOSTILE}", "spans": [{**SPAN, "end": 900}], "id": HOSTILE},
    {"text": HOSTILE, "spans": HOSTILE},
    {HOSTILE: 1},
    {"text": "Redis", "answer": HOSTILE},
    {"text": "Redis", "spans": [HOSTILE]},
    {"text": "Redis", "spans": [{**SPAN, "start": HOSTILE}]},
]
TWO_PEOPLE = [
    {"text": f"Redis {HOSTILE}", "spans": [{**SPAN, "label": label}], "meta": {"annotator": who, "source": HOSTILE}}
    for label, who in (("SERVICE", f"a{HOSTILE}"), (HOSTILE, f"b{HOSTILE}"))
]


@pytest.fixture
def hostile(tmp_path, monkeypatch) -> Path:
    """A folder of hostile files: the present folder."""
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("NO_COLOR", "1")
    (tmp_path / "entity_types.yml").write_text("entity_types: [{name: SERVICE, definition: A service.}]\n")
    lines = {"rows.jsonl": ROWS, f"a{LABEL}".replace("/", "") + ".jsonl": ROWS[:1], "people.jsonl": TWO_PEOPLE}
    for name, rows in lines.items():
        (tmp_path / name).write_text("".join(json.dumps(row) + "\n" for row in rows) + f"{{{HOSTILE}\n")
    for name, value in {"task.json": [TASK], "referred.json": [REFERRED], "keys.json": [{HOSTILE: 1}]}.items():
        (tmp_path / name).write_text(json.dumps(value))
    (tmp_path / "c.conll").write_text(f"Redis B-{LABEL}\nis O\n\nKafka {LABEL}-SERVICE\n")
    brat = tmp_path / "brat"
    brat.mkdir()
    (brat / "d\x1b[31m.ann").write_text(f"T1\t{LABEL.replace(' ', '')} 0 5\tRedis\nX{LABEL}\n")
    (brat / "d\x1b[31m.txt").write_text("Redis is slow")
    with zipfile.ZipFile(tmp_path / "z.zip", "w") as archive:
        archive.writestr("m\x1b[31m\x07.jsonl", json.dumps({"text": "Redis", "spans": [{**SPAN, "end": 50}]}) + "\n")
        archive.writestr("n\x1b[2J\x9b.json", "{")
    (tmp_path / "name.yml").write_text(json.dumps({"entity_types": [{"name": HOSTILE, "definition": "x"}]}))
    (tmp_path / "key.yml").write_text(json.dumps({"entity_types": [{"name": "A", f"x{HOSTILE}": HOSTILE}]}))
    (tmp_path / "gaps.yml").write_text(
        json.dumps({"entity_types": [{"name": "A", "definition": HOSTILE, "examples": [{"text": HOSTILE}]}]})
    )
    (tmp_path / "broken.yml").write_text("entity_types: [\x1b[31m")
    return tmp_path


@pytest.mark.parametrize(
    "file",
    ["rows.jsonl", "a*.jsonl", "people.jsonl", "task.json", "referred.json", "keys.json", "c.conll", "brat", "z.zip"],
)
def test_no_verb_prints_what_a_terminal_obeys(hostile, domain_ner, file):
    path = next(Path.cwd().glob(file))
    said = ""
    for command in (
        ["import", path, "--output", "out.jsonl"],
        ["import", path, "--output", "out.jsonl", "--strict", "--unknown-labels", "keep"],
        ["agreement", path],
        ["split", path, "corpus"],
        ["export", "label-studio", path, "--output", "tasks.json"],
        ["check", path],
    ):
        outcome = domain_ner(*command)
        assert OBEYED.search(outcome.out + outcome.err) is None, (command, outcome)
        said += outcome.out + outcome.err
    assert "\\x1b" in said


@pytest.mark.parametrize("schema", ["name.yml", "key.yml", "gaps.yml", "broken.yml", "nope\x1b[31m.yml"])
def test_no_verb_prints_what_a_terminal_obeys_in_entity_types(hostile, domain_ner, schema):
    for command in (
        ["guide", "--schema", schema, "--title", HOSTILE],
        ["interface", "label-studio", "--schema", schema, "--output", f"x{LABEL.replace('/', '')}"],
        ["check", "rows.jsonl", "--schema", schema],
        ["import", "rows.jsonl", "--output", "out.jsonl", "--schema", schema],
    ):
        outcome = domain_ner(*command)
        assert OBEYED.search(outcome.out + outcome.err) is None, (command, outcome)


def test_tables_and_plain_lines_show_escapes_and_keep_their_own_colours(capsys, monkeypatch):
    monkeypatch.delenv("NO_COLOR", raising=False)
    messages = Messages()
    messages.table([(LABEL, 1)], header=("\x1b", "count"), footer=(LABEL, 2), divider=True)
    messages.plain(LABEL)
    assert OBEYED.search(capsys.readouterr().out) is None
    messages.show_color = True
    messages.good(f"a{LABEL}", LABEL)
    assert OBEYED.search(re.sub(r"^\x1b\[38;5;\d+m|\x1b\[0m$", "", capsys.readouterr().out, flags=re.M)) is None
