"""A file is there whole or not at all, whatever happens while it is written."""

import errno
import os
import shutil
import signal
import sqlite3
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

from spacy_domain_ner import files
from spacy_domain_ner.errors import UserError
from spacy_domain_ner.files import at_work, clear_leftovers, replacing, replacing_path, scratch_folder, write_together


def names_below(folder: Path) -> set[str]:
    return {path.relative_to(folder).as_posix() for path in folder.rglob("*")}


def interrupted(written: object, error: BaseException) -> None:
    assert written
    raise error


def test_a_file_is_written_with_its_folders_as_utf8_with_line_feeds(tmp_path):
    with replacing(tmp_path / "a/b/c.txt") as stream:
        stream.write("ä\n\u2028東京\n")
    assert (tmp_path / "a/b/c.txt").read_bytes() == "ä\n\u2028東京\n".encode()
    assert names_below(tmp_path) == {"a", "a/b", "a/b/c.txt"}


@pytest.mark.parametrize("error", [ValueError("a bug"), KeyboardInterrupt(), SystemExit(1), OSError(None, "")])
def test_an_interrupted_write_leaves_the_old_file_and_nothing_else(tmp_path, error):
    path = tmp_path / "out.txt"
    path.write_text("old")
    with pytest.raises(type(error)), replacing(path) as stream:
        interrupted(stream.write("half of the new"), error)
    assert path.read_text() == "old"
    assert names_below(tmp_path) == {"out.txt"}


def test_text_that_is_no_unicode_leaves_the_old_file(tmp_path):
    path = tmp_path / "out.txt"
    path.write_text("old")
    with pytest.raises(UnicodeEncodeError), replacing(path) as stream:
        stream.write("good, then \ud800")
    assert path.read_text() == "old"


def test_the_old_file_is_there_until_the_new_one_is_complete(tmp_path):
    path = tmp_path / "out.txt"
    path.write_text("old")
    with replacing(path) as stream:
        stream.write("new")
        assert path.read_text() == "old"
    assert path.read_text() == "new"


def test_a_folder_takes_the_place_of_a_folder(tmp_path):
    (tmp_path / "out").mkdir()
    (tmp_path / "out/old").write_text("old")
    with replacing_path(tmp_path / "out", folder=True) as beside:
        beside.mkdir()
        (beside / "new").write_text("new")
        assert (tmp_path / "out/old").exists()
    assert names_below(tmp_path) == {"out", "out/new"}


def test_an_interrupted_folder_leaves_the_old_one(tmp_path):
    (tmp_path / "out").mkdir()
    (tmp_path / "out/old").write_text("old")
    with pytest.raises(KeyboardInterrupt), replacing_path(tmp_path / "out", folder=True) as beside:
        interrupted(shutil.copytree(tmp_path / "out", beside), KeyboardInterrupt())
    assert names_below(tmp_path) == {"out", "out/old"}


def test_a_folder_that_can_not_be_moved_in_leaves_the_old_one(tmp_path, monkeypatch):
    (tmp_path / "out").mkdir()
    (tmp_path / "out/old").write_text("old")
    real = Path.rename

    def rename(path: Path, target: Path) -> Path:
        if path.name == "new":
            raise OSError(errno.EACCES, "in use", str(path))
        return real(path, target)

    monkeypatch.setattr(files, "_exchange", lambda one, other: False)
    monkeypatch.setattr(Path, "rename", rename)
    with pytest.raises(UserError, match="in use"), replacing_path(tmp_path / "out", folder=True) as beside:
        beside.mkdir()
    assert names_below(tmp_path) == {"out", "out/old"}


# A run that writes to argv[1] and is killed at argv[2]: "writing", "renaming" (nothing has the name) or "removing".
KILLED = """
import os, pathlib, shutil, signal, sys
from spacy_domain_ner import files

def die(*_):
    os.kill(os.getpid(), signal.SIGKILL)

rename = pathlib.Path.rename
if sys.argv[2] == "renaming":
    files._exchange = lambda one, other: False
    pathlib.Path.rename = lambda path, target: die() if path.name == "new" else rename(path, target)
if sys.argv[2] == "removing":
    shutil.rmtree = die
with files.replacing_path(pathlib.Path(sys.argv[1]), folder=True) as beside:
    beside.mkdir()
    (beside / "text").write_text("of the killed run")
    (beside.parent / "scratch").mkdir()
    if sys.argv[2] == "writing":
        die()
"""


def kill_a_run(path: Path, moment: str) -> int:
    process = subprocess.Popen([sys.executable, "-c", KILLED, str(path), moment])
    assert process.wait() == -signal.SIGKILL
    return process.pid


def write_folder(path: Path, text: str) -> None:
    with replacing_path(path, folder=True) as beside:
        beside.mkdir()
        (beside / "text").write_text(text)


@pytest.mark.parametrize("moment", ["writing", "renaming", "removing"])
def test_the_next_run_succeeds_and_removes_what_killed_ones_left_even_under_their_process_id(
    tmp_path, moment, monkeypatch
):
    write_folder(tmp_path / "out", "first")
    for _ in range(2):
        pid = kill_a_run(tmp_path / "out", moment)
    assert names_below(tmp_path) != {"out", "out/text"}
    monkeypatch.setattr(os, "getpid", lambda: pid)
    write_folder(tmp_path / "out", "next")
    assert (tmp_path / "out/text").read_text() == "next"
    assert names_below(tmp_path) == {"out", "out/text"}


@pytest.mark.parametrize(
    ("moment", "expected"), [("writing", "first"), ("renaming", "first"), ("removing", "of the killed run")]
)
def test_after_a_kill_the_old_folder_or_the_new_one_is_there_whole(tmp_path, moment, expected):
    write_folder(tmp_path / "out", "first")
    kill_a_run(tmp_path / "out", moment)
    assert (tmp_path / "out").exists() == (moment != "renaming")
    clear_leftovers(tmp_path / "out")
    assert (tmp_path / "out/text").read_text() == expected
    assert names_below(tmp_path) == {"out", "out/text"}


def test_a_folder_is_replaced_in_one_step_where_the_system_can(tmp_path, monkeypatch):
    (tmp_path / "one").mkdir()
    (tmp_path / "other").mkdir()
    if not files._exchange(tmp_path / "one", tmp_path / "other"):
        pytest.skip("this file system can't exchange two folders")
    monkeypatch.setattr(Path, "rename", lambda path, target: pytest.fail("moved in two steps"))
    write_folder(tmp_path / "one", "new")
    assert names_below(tmp_path) == {"one", "one/text", "other"}


def test_two_runs_at_once_leave_each_other_alone(tmp_path):
    with replacing_path(tmp_path / "out", folder=True) as first:
        first.mkdir()
        (first / "text").write_text("first")
        write_folder(tmp_path / "out", "second")
        assert (tmp_path / "out/text").read_text() == "second"
    assert (tmp_path / "out/text").read_text() == "first"
    assert names_below(tmp_path) == {"out", "out/text"}


def test_names_that_only_look_like_left_over_ones_are_left_alone(tmp_path):
    kept = {".out.tmp", ".out.more.abcd0123.tmp", ".output.abcd0123.tmp", ".out.ABCD0123.tmp", ".out.abcd0123.tmp.old"}
    for name in kept:
        (tmp_path / name).mkdir()
    (tmp_path / ".out.linked_1.tmp").symlink_to(".out.tmp")
    (tmp_path / ".out.ofauser1.tmp").write_text("a file")
    write_folder(tmp_path / "out", "new")
    assert names_below(tmp_path) == {*kept, ".out.linked_1.tmp", ".out.ofauser1.tmp", "out", "out/text"}


@pytest.mark.parametrize(
    ("name", "expected"),
    [
        ("file/below", "file"),
        ("folder", "it is a folder"),
        ("loop", "leads to itself"),
        ("other-loop/below", "leads to itself"),
        ("x" * 255, "too long"),
        ("/", "it is a folder"),
        ("/proc/no-such-place/file", "No such file"),
    ],
)
def test_a_place_that_can_not_be_written_is_named_with_the_reason(tmp_path, name, expected):
    (tmp_path / "file").write_text("a file")
    (tmp_path / "folder/kept").mkdir(parents=True)
    (tmp_path / "loop").symlink_to("other-loop")
    (tmp_path / "other-loop").symlink_to("loop")
    before = names_below(tmp_path)
    with pytest.raises(UserError) as raised, replacing(tmp_path / name) as stream:
        stream.write("new")
    assert str(tmp_path / name) in raised.value.what
    assert expected in raised.value.what
    assert "Errno" not in raised.value.what
    assert raised.value.hint
    assert names_below(tmp_path) == before
    assert (tmp_path / "file").read_text() == "a file"


@pytest.mark.skipif(os.geteuid() == 0, reason="root may write everywhere")
def test_a_folder_without_permission_is_named(tmp_path):
    locked = tmp_path / "locked"
    locked.mkdir()
    (locked / "out.txt").write_text("old")
    locked.chmod(0o500)
    try:
        with pytest.raises(UserError, match="Permission denied"), replacing(locked / "out.txt") as stream:
            stream.write("new")
    finally:
        locked.chmod(0o700)
    assert (locked / "out.txt").read_text() == "old"


def test_a_full_disk_is_named_and_the_old_file_stays(tmp_path):
    path = tmp_path / "out.txt"
    path.write_text("old")
    with pytest.raises(UserError, match="No space left"), replacing(path):
        raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))
    assert path.read_text() == "old"


@pytest.mark.parametrize(
    "error",
    [
        OSError(errno.ENOSPC, os.strerror(errno.ENOSPC)),
        OSError(errno.EDQUOT, os.strerror(errno.EDQUOT)),
        OSError(errno.EFBIG, os.strerror(errno.EFBIG)),
        shutil.Error([("a", "b", "[Errno 28] No space left on device")]),
        RuntimeError("[enforce fail at inline_container.cc:664] . PytorchStreamWriter failed writing file data/1"),
        sqlite3.OperationalError("database or disk is full"),
        sqlite3.OperationalError("disk I/O error"),
        UserError("The wheel could not be built:\nOSError: [Errno 28] No space left on device"),
    ],
)
def test_a_full_disk_is_told_as_that_also_by_what_blames_something_else(tmp_path, error):
    def blame() -> None:
        try:
            raise error
        except Exception as caught:
            raise UserError("Training failed: a value does not fit", "Fix the config.") from caught

    with pytest.raises(UserError, match=r"Can't write .*out") as raised, replacing_path(tmp_path / "out", folder=True):
        blame()
    assert "config" not in str(raised.value)
    assert raised.value.hint.endswith("run the same command again.")
    assert names_below(tmp_path) == set()


def test_files_that_belong_together_are_all_new_or_all_old(tmp_path):
    contents = {tmp_path / "one": "1", tmp_path / "new/two": "2", tmp_path / "three": "3"}
    write_together(contents)
    assert {path: path.read_text() for path in contents} == contents

    def parts() -> Iterator[str]:
        yield "half"
        raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))

    with pytest.raises(UserError, match=r"Can't write .*two: No space left on device \(.* MB free"):
        write_together({tmp_path / "one": ["new"], tmp_path / "new/two": parts(), tmp_path / "three": ["new"]})
    with pytest.raises(KeyboardInterrupt):
        write_together(
            {tmp_path / "one": ["new"]}, before_placing=lambda: interrupted("what is written last", KeyboardInterrupt())
        )
    assert {path: path.read_text() for path in contents} == contents
    assert names_below(tmp_path) == {"one", "new", "new/two", "three"}


AT_WORK = """
import sys, time
from spacy_domain_ner.files import at_work
with at_work(sys.argv[3]):
    print("begun", flush=True)
    time.sleep(60)
"""


def test_a_run_is_refused_while_another_is_at_work_however_that_one_ends(tmp_path):
    path = tmp_path / "new/out.txt"
    command = [sys.executable, "-c", AT_WORK, "import", "a.json", str(path), "--token", "secret"]
    with subprocess.Popen(command, stdout=subprocess.PIPE) as other:
        assert other.stdout.readline() == b"begun\n"
        with pytest.raises(UserError) as raised, at_work(path):
            pytest.fail("two runs at once")
        other.kill()
    assert f"{path}: process {other.pid} on " in raised.value.what
    assert raised.value.what.endswith(f": import a.json {path}")
    assert "Wait" in raised.value.hint
    assert names_below(tmp_path) != {"new"}
    with at_work(path):
        path.write_text("written")
    assert names_below(tmp_path) == {"new", "new/out.txt"}


def test_outputs_beside_each_other_and_devices_are_not_the_same_work(tmp_path):
    with at_work(tmp_path / "one"), at_work(tmp_path / "two"), at_work("/dev/null"), at_work("/dev/null"):
        pass
    assert names_below(tmp_path) == set()


def test_work_that_can_not_be_written_is_refused_before_it_begins(tmp_path):
    (tmp_path / "file").write_text("a file")
    with pytest.raises(UserError, match=r"Can't write .*below"), at_work(tmp_path / "file/below"):
        pytest.fail("begun")


def test_a_scratch_folder_is_removed_at_once_or_by_the_next_run(tmp_path, monkeypatch):
    monkeypatch.setattr("tempfile.tempdir", str(tmp_path))
    code = f"""
import os, signal, tempfile
tempfile.tempdir = {str(tmp_path)!r}
from spacy_domain_ner.files import scratch_folder
with scratch_folder() as folder:
    (folder / "wheel").mkdir()
    os.kill(os.getpid(), signal.SIGKILL)
"""
    assert subprocess.run([sys.executable, "-c", code], check=False).returncode == -signal.SIGKILL
    assert len(names_below(tmp_path)) == 2
    with scratch_folder() as folder:
        (folder / "file").write_text("of this run")
        assert len(names_below(tmp_path)) == 2
    assert names_below(tmp_path) == set()


def test_an_error_about_another_file_is_not_taken_for_one_of_writing(tmp_path):
    with pytest.raises(FileNotFoundError), replacing(tmp_path / "out.txt"):
        (tmp_path / "input/missing.txt").read_text()


def test_a_device_is_written_to_and_not_replaced(tmp_path):
    with replacing(Path("/dev/null")) as stream:
        stream.write("gone")
    assert not Path("/dev/null").is_file()


def test_a_link_stays_a_link_to_what_is_replaced(tmp_path):
    (tmp_path / "real.txt").write_text("old")
    (tmp_path / "link.txt").symlink_to("real.txt")
    with replacing(tmp_path / "link.txt") as stream:
        stream.write("new")
    assert (tmp_path / "link.txt").is_symlink()
    assert (tmp_path / "real.txt").read_text() == "new"


def test_a_path_without_a_folder_is_one_in_the_present_folder(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    with replacing(Path("out.txt")) as stream:
        stream.write("new")
    assert names_below(tmp_path) == {"out.txt"}
