"""A file is there whole or not at all, whatever happens while it is written."""

import errno
import os
import shutil
import signal
import subprocess
import sys
from pathlib import Path

import pytest

from spacy_domain_ner import files
from spacy_domain_ner.errors import UserError
from spacy_domain_ner.files import clear_leftovers, replacing, replacing_path


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
    with replacing_path(tmp_path / "out") as beside:
        beside.mkdir()
        (beside / "new").write_text("new")
        assert (tmp_path / "out/old").exists()
    assert names_below(tmp_path) == {"out", "out/new"}


def test_an_interrupted_folder_leaves_the_old_one(tmp_path):
    (tmp_path / "out").mkdir()
    (tmp_path / "out/old").write_text("old")
    with pytest.raises(KeyboardInterrupt), replacing_path(tmp_path / "out") as beside:
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
    with pytest.raises(UserError, match="in use"), replacing_path(tmp_path / "out") as beside:
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
with files.replacing_path(pathlib.Path(sys.argv[1])) as beside:
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
    with replacing_path(path) as beside:
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
    with replacing_path(tmp_path / "out") as first:
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
        ("folder", "Is a directory"),
        ("x" * 255, "too long"),
        ("/", "it is a folder"),
        ("/proc/no-such-place/file", "No such file"),
    ],
)
def test_a_place_that_can_not_be_written_is_named_with_the_reason(tmp_path, name, expected):
    (tmp_path / "file").write_text("a file")
    (tmp_path / "folder/kept").mkdir(parents=True)
    with pytest.raises(UserError) as raised, replacing(tmp_path / name) as stream:
        stream.write("new")
    assert str(tmp_path / name) in raised.value.what
    assert expected in raised.value.what
    assert "Errno" not in raised.value.what
    assert raised.value.hint
    assert names_below(tmp_path) == {"file", "folder", "folder/kept"}
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
