"""The output that is written beside its place: what is resumed after an interruption, and what may not be replaced."""

import json
import os
from contextlib import suppress
from pathlib import Path

import pytest
from spacy.language import Language

from spacy_domain_ner.errors import UserError
from spacy_domain_ner.extraction.output import ResumableOutput, identify_run
from spacy_domain_ner.reading.source import Source
from spacy_domain_ner.reading.texts import TextFile, find_texts


def write(output: ResumableOutput, rows: bytes) -> None:
    count = rows.count(b"\n")
    output.write(rows, lines=count + 1, passages=count, entities=2 * count, refused=1)


def interrupt(path: Path, run: str, *batches: bytes) -> None:
    with suppress(KeyboardInterrupt), ResumableOutput(path, run) as output:
        for batch in batches:
            write(output, batch)
        raise KeyboardInterrupt


@pytest.fixture
def path(tmp_path: Path) -> Path:
    return tmp_path / "new" / "entities.jsonl"


def test_nothing_stands_in_the_output_s_place_until_all_is_done(path: Path) -> None:
    with ResumableOutput(path, "run") as output:
        write(output, b"a\n")
        assert not path.exists()
    assert path.read_bytes() == b"a\n"
    assert os.listdir(path.parent) == [path.name]


def test_the_same_run_is_resumed_after_the_last_whole_batch(path: Path) -> None:
    interrupt(path, "run", b"a\nb\n", b"c\n")
    with (path.parent / "entities.jsonl.partial").open("ab") as partial:
        partial.write(b"half of a batch that was not finis")
    with ResumableOutput(path, "run") as output:
        assert (output.lines_done, output.passages, output.entities, output.refused) == (5, 3, 6, 2)
        write(output, b"d\n")
    assert path.read_bytes() == b"a\nb\nc\nd\n"


def test_another_run_starts_anew_and_an_old_output_stays_until_it_is_done(path: Path) -> None:
    path.parent.mkdir()
    path.write_bytes(b"old\n")
    interrupt(path, "run", b"a\n")
    with ResumableOutput(path, "another") as output:
        assert output.lines_done == 0
        assert path.read_bytes() == b"old\n"
        write(output, b"z\n")
    assert path.read_bytes() == b"z\n"


def test_a_journal_is_not_taken_to_speak_of_another_run_s_rows(path: Path) -> None:
    interrupt(path, "run", b"a\n")
    with suppress(KeyboardInterrupt), ResumableOutput(path, "another") as output:
        # As if it was killed between the rows and the journal.
        output._stream.write(b"another run's rows\n")
        raise KeyboardInterrupt
    assert ResumableOutput(path, "run").lines_done == 0


@pytest.mark.parametrize("journal", ["", "{", "[]", '{"run": "run"}', '{"run": "run", "bytes": 999, "lines": 1}', None])
def test_a_journal_that_does_not_fit_starts_anew(path: Path, journal: str | None) -> None:
    interrupt(path, "run", b"a\n")
    beside = path.parent / "entities.jsonl.partial.json"
    if journal is None:
        beside.unlink()
    else:
        beside.write_text(journal)
    with ResumableOutput(path, "run") as output:
        assert output.lines_done == 0
        write(output, b"a\n")
    assert path.read_bytes() == b"a\n"


def test_a_link_stays_a_link(tmp_path: Path) -> None:
    (tmp_path / "real.jsonl").write_bytes(b"old\n")
    link = tmp_path / "link.jsonl"
    link.symlink_to("real.jsonl")
    with ResumableOutput(link, "run") as output:
        write(output, b"a\n")
    assert link.is_symlink()
    assert (tmp_path / "real.jsonl").read_bytes() == b"a\n"


def test_a_folder_or_a_device_is_not_replaced(tmp_path: Path) -> None:
    (tmp_path / "folder").mkdir()
    os.mkfifo(tmp_path / "pipe")
    for path in (tmp_path / "folder", tmp_path / "pipe", Path("/dev/null")):
        with pytest.raises(UserError, match="is not a file"), ResumableOutput(path, "run"):
            pass
    assert sorted(os.listdir(tmp_path)) == ["folder", "pipe"]


def test_a_place_that_can_not_be_written_is_named(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("")
    with pytest.raises(UserError, match=r"Can't write .*file/out\.jsonl"):
        ResumableOutput(tmp_path / "file" / "out.jsonl", "run").__enter__()


def test_a_run_is_the_same_only_with_the_same_model_inputs_and_options(nlp: Language, tmp_path: Path) -> None:
    path = tmp_path / "in.txt"
    path.write_text("one\n")

    def run(*options: object, file_format: str | None = None) -> str:
        with find_texts([path], file_format=file_format) as texts:
            return identify_run(nlp, texts.files, *options)

    first = run("text")
    assert run("text") == first
    assert run("body") != first
    assert run("text", file_format="jsonl") != first
    once = TextFile(Source(path, "<stdin>"), "text", can_be_read_again=False)
    assert identify_run(nlp, [once]) != identify_run(nlp, [once])
    path.write_text("two\n")
    os.utime(path, (1, 1))
    assert run("text") != first
    labelled = json.loads(json.dumps(nlp.meta["description"]))
    before = run("text")
    nlp.meta["description"] = f"{labelled} changed"
    assert run("text") != before
    nlp.meta["description"] = labelled
