"""Compare choosing passages with extracting from them: python benchmarks/selecting.py MODEL

`select_passages` and `extract_files` read the same file, in turn, each in a process of its own, which loads the model.
The ratio is that of their processor times, so that other work on the machine matters less. The peak memory of each is
given for a tenth of the passages, too: it does not grow with the pool.
"""

import argparse
import json
import multiprocessing
import resource
import statistics
import tempfile
import time
from pathlib import Path
from typing import Any

from extract import STARTER, read_texts, vary

from spacy_domain_ner import extract_files, select_passages
from spacy_domain_ner.files import replacing

SUMMARY = Path(__file__).parent / "results" / "selecting.json"
WAYS = ("extract", "select")


def main() -> None:
    """Measure, print, and write the figures."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("model", help="trained model's folder or package")
    parser.add_argument("--passages", type=int, default=100_000)
    parser.add_argument("--repetitions", type=int, default=1)
    parser.add_argument("--size", type=int, default=100, help="how many passages are chosen")
    parser.add_argument("--texts", type=Path, nargs="+", default=[STARTER], help="JSON lines files to take texts from")
    arguments = parser.parse_args()
    texts = vary(read_texts(arguments.texts), arguments.passages)
    rows = []
    with tempfile.TemporaryDirectory() as folder:
        for passages in (arguments.passages // 10, arguments.passages):
            pool = Path(folder) / f"{passages}.jsonl"
            pool.write_text("".join(json.dumps({"text": text}) + "\n" for text in texts[:passages]), encoding="utf8")
            for _ in range(arguments.repetitions):
                for way in WAYS:
                    rows.append({"way": way, "passages": passages, **apart(way, arguments.model, pool, arguments.size)})
                    print(json.dumps(rows[-1]), flush=True)
    summary = {"rows": rows, "ratio": ratio([row for row in rows if row["passages"] == arguments.passages])}
    print(json.dumps(summary["ratio"]))
    with replacing(SUMMARY) as stream:
        json.dump(summary, stream, indent=1)
        stream.write("\n")


def apart(way: str, model: str, pool: Path, size: int) -> dict[str, Any]:
    """Run one way in a process of its own."""
    with multiprocessing.get_context("spawn").Pool(1) as process:
        return process.apply(run, (way, model, pool, size))


def run(way: str, model: str, pool: Path, size: int) -> dict[str, Any]:
    """Run one way, from the loading of the model to the finished file."""
    output = pool.with_name(f"{way}.jsonl")
    output.unlink(missing_ok=True)
    started, spent = time.perf_counter(), time.process_time()
    if way == "select":
        select_passages([pool], output, model=model, size=size)
    else:
        extract_files(model, [pool], output)
    return {
        "seconds": round(time.perf_counter() - started, 1),
        "cpu_seconds": round(time.process_time() - spent, 1),
        "peak_megabytes": round(resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024),
    }


def ratio(rows: list[dict[str, Any]]) -> float:
    """The median of the ratios of processor time, of runs one after the other."""
    pairs = zip(rows[::2], rows[1::2], strict=True)
    return round(statistics.median(two["cpu_seconds"] / one["cpu_seconds"] for one, two in pairs), 3)


if __name__ == "__main__":
    main()
