"""Extraction on Spark: what is left after kills, how fast it is beside `extract`, and how much memory a worker takes.

python benchmarks/spark.py kills MODEL        kills -9 workers, executors, the JVM and the driver of `spark-extract`
python benchmarks/spark.py speed MODEL        beside `extract --workers N`, on the same passages and cores, in turn
python benchmarks/spark.py partitions MODEL   the same passages in 2 to 200 partitions

The passages are those of a file of texts, with words cut out of them at random, so that all of them differ.
"""

import argparse
import json
import os
import random
import signal
import statistics
import subprocess
import sys
import tempfile
import time
from collections import Counter
from collections.abc import Iterator
from contextlib import contextmanager
from functools import partial
from pathlib import Path
from typing import Any

import pyarrow
from pyarrow import parquet

STARTER = Path(__file__).parents[1] / "assets" / "software" / "starter.jsonl"
COMMAND = [sys.executable, "-m", "spacy_domain_ner"]
ODD = [
    None,
    "",
    " \t",
    "\0\x1b[31mRedis\x7f",
    "🚀👩‍💻 Redis",
    "a" * 50_000,
    "Redis waits. " * 2000,
    "\u202eKafka\ufeff\r\n",
]
# A part of the command line of each kind of process.
KINDS = {
    "worker": "pyspark.daemon",
    "executor": "CoarseGrainedExecutorBackend",
    "jvm": "deploy.SparkSubmit",
    "driver": "",
}


def main() -> None:
    """Measure, print, and write the figures if asked to."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("what", choices=["kills", "speed", "partitions"])
    parser.add_argument("model", help="trained model's folder or package")
    parser.add_argument("--passages", type=int, default=50_000)
    parser.add_argument("--files", type=int, default=40)
    parser.add_argument("--texts", type=Path, default=STARTER, help="JSON lines file to take texts from")
    parser.add_argument("--cores", type=int, default=2)
    parser.add_argument("--repetitions", type=int, default=3)
    parser.add_argument("--kills", type=int, default=20)
    parser.add_argument("--master", help="for kills: local[2,20], or local-cluster[2,1,1024] to kill executors, too")
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--output", type=Path, help="JSON file for the figures")
    arguments = parser.parse_args()
    with tempfile.TemporaryDirectory() as folder:
        rows = make_passages(arguments)
        write(rows, Path(folder), arguments.files)
        figures = {"kills": kills, "speed": speed, "partitions": partitions}[arguments.what](arguments, Path(folder))
    figures = {"passages": arguments.passages, "files": arguments.files, "cores": arguments.cores, **figures}
    print(json.dumps(figures, indent=2))
    if arguments.output:
        arguments.output.write_text(json.dumps(figures, indent=2) + "\n", encoding="utf8")


def make_passages(arguments: argparse.Namespace) -> list[dict[str, Any]]:
    """Passages of 8 to 60 words; for kills, one of 200 is missing, empty, long or hostile."""
    generator = random.Random(arguments.seed)
    texts = [json.loads(line)["text"].split(" ") for line in arguments.texts.read_text(encoding="utf8").splitlines()]
    rows = []
    for number in range(arguments.passages):
        words = generator.choice(texts)
        start = generator.randrange(len(words))
        text: str | None = " ".join(words[start : start + generator.randrange(8, 60)]).strip() or "Redis"
        if arguments.what == "kills" and number % 200 == 7:
            text = ODD[number // 200 % len(ODD)]
        rows.append({"id": number, "text": text})
    return rows


def write(rows: list[dict[str, Any]], folder: Path, files: int) -> None:
    """Write the passages as Parquet and as JSON lines."""
    (folder / "parquet").mkdir()
    schema = pyarrow.schema([("id", pyarrow.int64()), ("text", pyarrow.string())])
    for number in range(files):
        table = pyarrow.Table.from_pylist(rows[number::files], schema)
        parquet.write_table(table, folder / "parquet" / f"{number:04d}.parquet")
    lines = (json.dumps(row, ensure_ascii=False) + "\n" for row in rows)
    (folder / "passages.jsonl").write_text("".join(lines), encoding="utf8")


def kills(arguments: argparse.Namespace, folder: Path) -> dict[str, Any]:
    """Run the verb again and again, and kill a part of it at a random moment, until all kills are done."""
    generator = random.Random(arguments.seed)
    extracted = folder / "extracted.jsonl"
    subprocess.run([*COMMAND, "extract", arguments.model, str(folder / "passages.jsonl"), "-o", str(extracted)])
    master = arguments.master or "local[2,100]"
    command = [
        *COMMAND, "spark-extract", str(folder / "parquet"), str(folder / "out"), "--model", arguments.model,
        "--checkpoint", str(folder / "checkpoint"), "--files-per-batch", "2", "--master", master,
        "--conf", "spark.task.maxFailures=100",
    ]  # fmt: skip
    mortal = [kind for kind in KINDS if kind != "executor" or master.startswith("local-cluster")]
    done: Counter[str] = Counter()
    runs, remained = 0, 0
    while True:
        runs += 1
        with (folder / "log").open("w") as log:
            process = subprocess.Popen(command, stdout=log, stderr=log, start_new_session=True)
            while process.poll() is None and done.total() < arguments.kills:
                kind = mortal[done.total() % len(mortal)]
                # Not before it works: a start that is killed shows nothing.
                if not wait_for_work(process):
                    break
                time.sleep(generator.uniform(0, 8))
                family = descendants(process.pid)
                victims = family_of(kind, family, process.pid)
                if process.poll() is not None or not victims:
                    continue
                victim = generator.choice(victims)
                try:
                    os.kill(victim, signal.SIGKILL)
                except ProcessLookupError:
                    continue
                done[kind] += 1
                print(f"kill {done.total()}: {kind}", file=sys.stderr, flush=True)
                if kind in ("jvm", "driver"):
                    process.wait(timeout=120)
                    remained += wait_for_end(family)
            code = process.wait()
        if code == 0 and done.total() >= arguments.kills:
            break
        if code == 0:
            print("finished before all kills: give more passages", file=sys.stderr)
            break
    return {
        "master": master,
        "kills": dict(done),
        "runs": runs,
        "processes_left": remained,
        **compare(folder, extracted),
    }


def compare(folder: Path, extracted: Path) -> dict[str, int]:
    """The output row for row beside what `extract` finds."""
    wanted = {row["id"]: row["entities"] for row in map(json.loads, extracted.read_text(encoding="utf8").splitlines())}
    given = {row["id"]: row["text"] for row in map(json.loads, (folder / "passages.jsonl").open(encoding="utf8"))}
    found: Counter[int] = Counter()
    different = errors = 0
    for path in sorted((folder / "out").glob("*.parquet")):
        for row in parquet.read_table(path).to_pylist():
            found[row["id"]] += 1
            errors += row["error"] is not None
            different += row["entities"] != wanted.get(row["id"]) or row["text"] != given[row["id"]]
    doubled = sum(count > 1 for count in found.values())
    return {
        "rows": found.total(), "lost": len(given.keys() - found.keys()), "doubled": doubled, "different": different,
        "errors": errors,
    }  # fmt: skip


def wait_for_work(process: "subprocess.Popen[bytes]") -> bool:
    """Wait until there are Python workers; gives whether the job still runs."""
    while process.poll() is None:
        if family_of("worker", descendants(process.pid), process.pid):
            return True
        time.sleep(0.3)
    return False


def wait_for_end(family: dict[int, str], seconds: int = 60) -> int:
    """Wait for processes to end, which have lost who started them; gives how many have not."""
    for _ in range(seconds):
        if not (left := [pid for pid in family if command_line(pid)]):
            return 0
        time.sleep(1)
    return len(left)


def family_of(kind: str, family: dict[int, str], driver: int) -> list[int]:
    if kind == "driver":
        return [driver]
    return [pid for pid, command in family.items() if KINDS[kind] in command]


def descendants(pid: int) -> dict[int, str]:
    """The processes that a process has started, and those that these have, each with its command line."""
    children: dict[int, list[int]] = {}
    for each in Path("/proc").iterdir():
        if each.name.isdigit():
            try:
                parent = int((each / "stat").read_text().rpartition(")")[2].split()[1])
            except (OSError, IndexError):
                continue
            children.setdefault(parent, []).append(int(each.name))
    found, waiting = {}, [pid]
    while waiting:
        for child in children.get(waiting.pop(), ()):
            found[child] = command_line(child)
            waiting.append(child)
    return found


def command_line(pid: int) -> str:
    try:
        return (Path("/proc") / str(pid) / "cmdline").read_bytes().replace(b"\0", b" ").decode("utf8", "replace")
    except OSError:
        return ""


def speed(arguments: argparse.Namespace, folder: Path) -> dict[str, Any]:
    """Passages per second of both, in turn: of `extract` once all workers are busy, as `extract.py` has it."""
    sys.path.insert(0, str(Path(__file__).parent))
    from extract import batches, steady

    from spacy_domain_ner import Extractor
    from spacy_domain_ner.extraction.lines import batch_extractor
    from spacy_domain_ner.processes import in_processes

    with session(arguments.cores) as (spark, started):
        begun = time.perf_counter()
        df = found_by(spark, arguments.model, folder, 10 * arguments.cores)
        checked = time.perf_counter() - begun
        speeds: dict[str, list[float]] = {"spark": [], "extract": []}
        memory = []
        size = Extractor(arguments.model).batch_size
        for _ in range(arguments.repetitions):
            speeds["spark"].append(arguments.passages / seconds_of(df))
            memory.append(largest_worker())
            make = partial(batch_extractor, arguments.model)
            read = in_processes(make, batches(folder / "passages.jsonl", size), arguments.cores)
            speeds["extract"].append(steady((result for _, result in read), arguments.passages))
    ratios = [one / other for one, other in zip(*speeds.values(), strict=True)]
    return {
        "seconds_to_start": round(started, 1), "seconds_to_load_and_check": round(checked, 1),
        "passages_per_second": {name: round(statistics.median(each)) for name, each in speeds.items()},
        "ratio": round(statistics.median(ratios), 3), "megabytes_of_a_worker": memory, "load": os.getloadavg(),
    }  # fmt: skip


def partitions(arguments: argparse.Namespace, folder: Path) -> dict[str, Any]:
    """Passages per second by the number of partitions, with one core and with all."""
    found: dict[str, dict[int, int]] = {}
    for cores in sorted({1, arguments.cores}):
        with session(cores) as (spark, _):
            # The first run loads the model and warms the JVM.
            seconds_of(found_by(spark, arguments.model, folder, 2))
            found[f"{cores} core(s)"] = {
                number: round(arguments.passages / seconds_of(found_by(spark, arguments.model, folder, number)))
                for number in (2, 4, 8, 20, 50, 200)
            }
    return {"passages_per_second": found, "load": os.getloadavg()}


def found_by(spark: Any, model: str, folder: Path, number: int) -> Any:
    from spacy_domain_ner.spark import extract_entities_df

    df = spark.read.parquet(str(folder / "parquet"))
    return df.transform(extract_entities_df, model=model, partitions=number)


def seconds_of(df: Any) -> float:
    start = time.perf_counter()
    df.write.format("noop").mode("overwrite").save()
    return time.perf_counter() - start


def largest_worker() -> int:
    """The most memory that a Python worker has taken, in MB."""
    sizes = []
    for pid in family_of("worker", descendants(os.getpid()), os.getpid()):
        try:
            status = (Path("/proc") / str(pid) / "status").read_text()
        except OSError:
            continue
        sizes += [int(line.split()[1]) // 1024 for line in status.splitlines() if line.startswith("VmHWM")]
    return max(sizes, default=0)


@contextmanager
def session(cores: int) -> Iterator[tuple[Any, float]]:
    """A session of Spark on some cores of this machine, and how many seconds it took to start."""
    from pyspark.sql import SparkSession

    os.environ.setdefault("PYSPARK_PYTHON", sys.executable)
    start = time.perf_counter()
    builder = SparkSession.builder.master(f"local[{cores}]").config("spark.ui.enabled", "false")
    spark = builder.config("spark.ui.showConsoleProgress", "false").getOrCreate()
    yield spark, time.perf_counter() - start
    spark.stop()


if __name__ == "__main__":
    main()
