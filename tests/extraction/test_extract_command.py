"""The extract command as a process: standard input, a full disk, kills, Ctrl-C and memory, with one worker and two."""

import json
import os
import signal
import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path

import pytest

from spacy_domain_ner import extract_files

Start = Callable[..., "subprocess.Popen[bytes]"]
Command = Callable[..., tuple[int, bytes, str]]
needs_proc = pytest.mark.skipif(not Path("/proc/self/stat").exists(), reason="looks for processes in /proc")


@pytest.mark.slow
@pytest.mark.parametrize("workers", [1, 2])
def test_the_command_reads_standard_input_of_both_kinds(model: Path, command: Command, workers: int) -> None:
    stdin = "Redis 😀\n\nsvc1\n".encode()
    code, output, errors = command("extract", model, "-", "--workers", workers, stdin=stdin)
    rows = [json.loads(line) for line in output.decode().splitlines()]
    assert [(row["text"], row["meta"]["line"], len(row["entities"])) for row in rows] == [
        ("Redis 😀", 1, 1),
        ("svc1", 3, 1),
    ]
    assert rows[0]["meta"]["source"] == "<stdin>"
    assert code == 0
    assert errors.startswith("2 passages, 2 entities (")
    assert errors.endswith(" passages per second)\n")
    code, output, errors = command("extract", model, "-", stdin=b'\xef\xbb\xbf{"id": 1, "text": "Redis"}\n{broken\n')
    assert code == 0
    assert json.loads(output)["id"] == 1
    assert "<stdin>:2: not valid JSON" in errors
    assert "1 passage, 1 entity, 1 line(s) not read (" in errors


@pytest.mark.slow
def test_strict_makes_a_broken_line_an_error_after_all_is_written(
    model: Path, command: Command, tmp_path: Path
) -> None:
    (tmp_path / "in.jsonl").write_text('{"text": "Redis"}\n{broken\n{"text": "Kafka"}\n')
    code, _, errors = command("extract", model, "in.jsonl", "-o", "out.jsonl", "--strict")
    assert code == 1
    assert "in.jsonl:2: not valid JSON" in errors
    assert "1 line(s) could not be read." in errors
    assert (tmp_path / "out.jsonl").read_bytes().count(b"\n") == 2


@pytest.mark.slow
@pytest.mark.parametrize("workers", [1, 2])
def test_a_reader_that_has_seen_enough_ends_the_command_quietly(
    model: Path, many: Path, start: Start, workers: int
) -> None:
    process = start("extract", model, many, "--workers", workers, "-b", 100)
    assert process.stdout is not None
    assert process.stdout.readline().startswith(b'{"id": 0')
    process.stdout.close()
    _, errors = process.communicate()
    assert "Traceback" not in errors.decode()
    assert "Exception" not in errors.decode()
    assert process.returncode == 0


@pytest.mark.slow
@pytest.mark.skipif(not Path("/dev/full").exists(), reason="no /dev/full here")
def test_a_full_disk_is_said_without_a_traceback(model: Path, many: Path, start: Start, tmp_path: Path) -> None:
    with open("/dev/full", "wb") as full:
        process = start("extract", model, many, stdout=full)
        errors = process.communicate()[1].decode()
    assert process.returncode == 1
    assert "Can't write to standard output: No space left on device" in errors
    assert "Traceback" not in errors
    limited = f"ulimit -f 100; exec '{Path(sys.executable).parent}/domain-ner' extract '{model}' '{many}' -o out.jsonl"
    done = subprocess.run(["bash", "-c", limited], cwd=tmp_path, capture_output=True, text=True, check=False)
    assert done.returncode == 1
    assert "Can't write out.jsonl: File too large" in done.stderr
    assert "Traceback" not in done.stderr
    assert not (tmp_path / "out.jsonl").exists()


@pytest.fixture(scope="session")
def whole(model: Path, many: Path, tmp_path_factory: pytest.TempPathFactory) -> bytes:
    """The output of an uninterrupted run."""
    output = tmp_path_factory.mktemp("whole") / "out.jsonl"
    extract_files(model, [many], output)
    rows = output.read_bytes()
    numbers = [json.loads(row)["id"] for row in rows.splitlines()]
    assert numbers == [number for number in range(30_000) if number not in (3, 20_000)]
    return rows


@pytest.mark.slow
@needs_proc
@pytest.mark.parametrize("workers", [1, 2])
def test_killed_in_the_middle_and_run_again_every_passage_is_there_once(
    model: Path, many: Path, start: Start, command: Command, tmp_path: Path, whole: bytes, workers: int
) -> None:
    arguments = ("extract", model, many, "-o", "out.jsonl", "--workers", workers, "--batch-size", 100)
    process = start(*arguments)
    wait_for(lambda: lines_done(tmp_path) > 1000)
    process.kill()
    process.wait()
    assert not (tmp_path / "out.jsonl").exists()
    wait_for(lambda: not processes_of(process.pid))
    assert 0 < lines_done(tmp_path) < 30_000
    code, _, errors = command(*arguments)
    assert code == 0
    assert "Resumed after" in errors
    assert "29998 passages, 59996 entities, 2 line(s) not read" in errors
    assert (tmp_path / "out.jsonl").read_bytes() == whole
    assert os.listdir(tmp_path) == ["out.jsonl"]


@pytest.mark.slow
@needs_proc
def test_a_worker_that_is_killed_is_a_clear_error_and_a_run_again_completes(
    model: Path, many: Path, start: Start, command: Command, tmp_path: Path, whole: bytes
) -> None:
    arguments = ("extract", model, many, "-o", "out.jsonl", "--workers", 2, "--batch-size", 100)
    process = start(*arguments)
    wait_for(lambda: lines_done(tmp_path) > 1000)
    os.kill(workers_of(process.pid)[0], signal.SIGKILL)
    errors = process.communicate()[1].decode()
    assert process.returncode == 1
    assert "A worker process was killed" in errors
    assert "Traceback" not in errors
    wait_for(lambda: not processes_of(process.pid))
    assert command(*arguments)[0] == 0
    assert (tmp_path / "out.jsonl").read_bytes() == whole


@pytest.mark.slow
@needs_proc
@pytest.mark.parametrize(("workers", "moment"), [(1, "in the middle"), (2, "in the middle"), (2, "workers start")])
def test_after_ctrl_c_there_is_no_traceback_and_a_run_again_completes(
    model: Path, many: Path, start: Start, command: Command, tmp_path: Path, whole: bytes, workers: int, moment: str
) -> None:
    arguments = ("extract", model, many, "-o", "out.jsonl", "--workers", workers, "--batch-size", 100)
    process = start(*arguments)
    if moment == "workers start":
        wait_for(lambda: len(workers_of(process.pid)) == 2)
    else:
        wait_for(lambda: lines_done(tmp_path) > 1000)
    # A terminal sends it to the workers as well.
    os.killpg(process.pid, signal.SIGINT)
    errors = process.communicate()[1].decode()
    assert "Traceback" not in errors
    assert "Interrupted. Run the same command again." in errors
    assert process.returncode == 130
    wait_for(lambda: not processes_of(process.pid))
    assert command(*arguments)[0] == 0
    assert (tmp_path / "out.jsonl").read_bytes() == whole


@pytest.mark.slow
@pytest.mark.skipif(not hasattr(os, "wait4"), reason="the memory of a process can't be told here")
@pytest.mark.parametrize("kind", ["words that are all new", "long passages"])
def test_memory_does_not_grow_with_the_input(model: Path, tmp_path: Path, kind: str) -> None:
    def peak(count: int) -> int:
        """In MB."""
        path = tmp_path / "in.txt"
        with path.open("w") as stream:
            for number in range(count):
                if kind == "long passages":
                    stream.write(f"svc{number} waits. " * 2_000 + "\n")
                else:
                    stream.write(" ".join(f"w{number}x{place}" for place in range(10)) + "\n")
        script = str(Path(sys.executable).parent / "domain-ner")
        process = subprocess.Popen(
            [script, "extract", str(model), str(path), "-o", str(tmp_path / "out.jsonl")], stderr=subprocess.DEVNULL
        )
        _, status, usage = os.wait4(process.pid, 0)
        process.returncode = os.waitstatus_to_exitcode(status)
        assert process.returncode == 0
        return usage.ru_maxrss // 1024

    few, more = (300, 900) if kind == "long passages" else (10_000, 40_000)
    assert peak(more) - peak(few) < 30


def lines_done(folder: Path) -> int:
    try:
        return json.loads((folder / "out.jsonl.partial.json").read_text())["lines"]
    except FileNotFoundError:
        return 0


def processes_of(session: int) -> list[int]:
    """The living processes of a session."""
    found = []
    for entry in Path("/proc").iterdir():
        if entry.name.isdigit():
            try:
                state, _, _, of = (entry / "stat").read_text().rpartition(")")[2].split()[:4]
            except OSError:
                continue
            if int(of) == session and state != "Z":
                found.append(int(entry.name))
    return found


def workers_of(session: int) -> list[int]:
    return [
        process
        for process in processes_of(session)
        if b"multiprocessing.spawn" in Path(f"/proc/{process}/cmdline").read_bytes()
    ]


def wait_for(condition: Callable[[], bool], seconds: float = 90) -> None:
    end = time.monotonic() + seconds
    while not condition():
        assert time.monotonic() < end, "waited in vain"
        time.sleep(0.01)
