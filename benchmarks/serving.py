"""Measure the HTTP server: python benchmarks/serving.py MODEL

Each repetition measures all ways once, one after the other, with the same passages, each of which every way has read
once before; a ratio is the median of the ratios within a repetition. The clients are a process of their own on the same
machine, so they take a part of its cores.

- speed: 32 clients that send one passage after the other, against `extract` with one worker, and against the
  application that people write by hand (an async function around `nlp.pipe`, below).
  With wrk installed, it is asked, too, which takes less of the cores than the clients here.
- time: requests at half of that speed, against one passage in the same process; and /health while 32 clients ask.
- memory: many passages with words that never came before, through one process.
- loss: SIGTERM, reloads and kill -9 while clients ask.
- webhook: what Label Studio tells, while the run that it has asked for trains in a copy of --project. What it pulls is
  the starter corpus.
"""

import argparse
import asyncio
import json
import os
import platform
import random
import shutil
import signal
import socket
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from threading import Thread
from typing import Any

import spacy

from spacy_domain_ner import Extractor

STARTER = Path(__file__).parents[1] / "assets" / "software" / "starter.jsonl"
CLIENTS, WORDS, BATCH = 32, 25, 1_000
TOKEN = "benchmark"
PARTS = ["speed", "memory", "loss", "webhook"]
BARS = {
    "to extract": ("at least", 0.8),
    "to an async endpoint around nlp.pipe": ("at least", 3.0),
    "p50 over in-process, ms": ("at most", 5.0),
    "p99, ms": ("at most", 50.0),
    "health at full load, p99, ms": ("at most", 50.0),
    "memory growth": ("at most", 0.05),
    "lost in ends": ("at most", 0),
    "lost in reloads": ("at most", 0),
    "webhook while training, p99, ms": ("at most", 100.0),
}

# What one finds in blog posts: the model runs in the event loop.
BY_HAND = """
import sys
import spacy, uvicorn
from fastapi import FastAPI
from pydantic import BaseModel

nlp = spacy.load(sys.argv[1])
app = FastAPI()

class Request(BaseModel):
    text: str

@app.get("/ready")
async def ready():
    return {}

@app.post("/extract")
async def extract(request: Request):
    for doc in nlp.pipe([request.text]):
        return {"entities": [
            {"name": ent.text, "type": ent.label_, "start": ent.start_char, "end": ent.end_char} for ent in doc.ents
        ]}

uvicorn.run(app, port=int(sys.argv[2]), log_level="warning")
"""


def main() -> None:
    """Measure, print, and write the figures if asked to."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("model", help="trained model's folder or package")
    parser.add_argument("--parts", nargs="+", default=PARTS[:3], choices=PARTS)
    parser.add_argument("--seconds", type=float, default=10.0, help="how long clients ask, per way")
    parser.add_argument("--repetitions", type=int, default=3)
    parser.add_argument("--passages", type=int, default=1_000_000, help="of the memory test")
    parser.add_argument("--project", type=Path, help="of the webhook test: a generated project, which is copied")
    parser.add_argument("--ends", type=int, default=20, help="SIGTERMs and reloads of the loss test")
    parser.add_argument("--output", type=Path, help="JSON file for the figures")
    arguments = parser.parse_args()
    figures: dict[str, Any] = {}
    if "speed" in arguments.parts:
        figures |= measure_speed(arguments.model, arguments.seconds, arguments.repetitions)
    if "memory" in arguments.parts:
        figures |= measure_memory(arguments.model, arguments.passages)
    if "loss" in arguments.parts:
        figures |= measure_loss(arguments.model, arguments.ends)
    if "webhook" in arguments.parts:
        figures |= measure_webhook(arguments.model, arguments.project)
    for name, value in figures.items():
        if name in BARS:
            kind, bar = BARS[name]
            holds = value >= bar if kind == "at least" else value <= bar
            print(f"{'✔' if holds else '✘'} {name}: {value} ({kind} {bar})")
        else:
            print(f"  {name}: {value}")
    if arguments.output:
        machine = {
            "processor": platform.processor() or platform.machine(),
            "cores": os.cpu_count(),
            "load": os.getloadavg(),
            "python": platform.python_version(),
            "spacy": spacy.__version__,
        }
        arguments.output.write_text(json.dumps({"machine": machine, **figures}, indent=2) + "\n", encoding="utf8")


def distinct() -> list[str]:
    """Passages of 25 words of the starter corpus."""
    lines = STARTER.read_text(encoding="utf8").splitlines()
    words = [word for line in lines for word in json.loads(line)["text"].split()]
    return [" ".join(words[start : start + WORDS]) for start in range(0, len(words) - WORDS, WORDS)]


def passages() -> Iterator[str]:
    """These passages in an order that does not end."""
    texts, draw = distinct(), random.Random(0)
    while True:
        yield draw.choice(texts)


def measure_speed(model: str, seconds: float, repetitions: int) -> dict[str, Any]:
    """Passages per second of the ways, and times at half load."""
    rounds = []
    for _ in range(repetitions):
        found: dict[str, float] = {"extract": in_process(model, seconds)}
        with by_hand(model) as port:
            asyncio.run(ask_each(port))
            found["by hand"] = asyncio.run(ask_all(port, seconds)).speed
        with served(model) as (port, _):
            asyncio.run(ask_each(port))
            load = asyncio.run(ask_all(port, seconds, health=True))
            found["served"] = load.speed
            found["health"], found["cores of the clients"] = load.percentile(0.99, load.health), load.cores
            half = asyncio.run(ask_paced(port, seconds, load.speed / 2))
            found["p50"], found["p99"] = half.percentile(0.5), half.percentile(0.99)
            if shutil.which("wrk"):
                found["wrk"] = by_wrk(port, seconds)
        found["alone"] = one_by_one(model)
        rounds.append(found)
        print(found, file=sys.stderr)
    median = statistics.median
    by_wrk_too = {"to extract, by wrk": round(median(one["wrk"] / one["extract"] for one in rounds), 3)}
    return {
        "rounds": rounds,
        **(by_wrk_too if shutil.which("wrk") else {}),
        "to extract": round(median(one["served"] / one["extract"] for one in rounds), 3),
        "to an async endpoint around nlp.pipe": round(median(one["served"] / one["by hand"] for one in rounds), 2),
        "p50 over in-process, ms": round(median(one["p50"] - one["alone"] for one in rounds), 2),
        "p99, ms": round(median(one["p99"] for one in rounds), 2),
        "health at full load, p99, ms": round(median(one["health"] for one in rounds), 2),
    }


def in_process(model: str, seconds: float) -> float:
    """Passages per second of an extractor, which is what `extract --workers 1` runs, after its first second."""
    code = f"""
import sys, time
sys.path.insert(0, {str(Path(__file__).parent)!r})
from serving import distinct, passages
from spacy_domain_ner import Extractor
extractor = Extractor({model!r})
list(extractor(distinct()))
done, start = 0, None
for _ in extractor(passages()):
    now = time.perf_counter()
    if start is None:
        begin = start = now
    if now - begin > {seconds} + 1:
        break
    if now - begin > 1:
        if not done:
            start = now
        done += 1
print(done / (time.perf_counter() - start))
"""
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    return float(done.stdout)


def one_by_one(model: str) -> float:
    """The median time of one passage in one process, in milliseconds."""
    extractor, times = Extractor(model), []
    list(extractor(distinct()))
    for _, text in zip(range(300), passages(), strict=False):
        start = time.perf_counter()
        list(extractor([text]))
        times.append(1_000 * (time.perf_counter() - start))
    return statistics.median(times[100:])


def by_wrk(port: int, seconds: float) -> float:
    """Passages per second as wrk counts them."""
    with tempfile.TemporaryDirectory() as folder:
        bodies, script = Path(folder, "bodies"), Path(folder, "post.lua")
        bodies.write_text("".join(json.dumps({"text": text}) + "\n" for text in distinct()), encoding="utf8")
        script.write_text(f"""
local bodies = {{}}
for line in io.lines("{bodies}") do bodies[#bodies + 1] = line end
wrk.method = "POST"
wrk.headers["Authorization"] = "Bearer {TOKEN}"
wrk.headers["Content-Type"] = "application/json"
function request() return wrk.format(nil, nil, nil, bodies[math.random(#bodies)]) end
""")
        command = [
            "wrk",
            "-t1",
            f"-c{CLIENTS}",
            f"-d{round(seconds)}",
            "-s",
            script,
            f"http://127.0.0.1:{port}/extract",
        ]
        told = subprocess.run(command, capture_output=True, text=True, check=True).stdout
    assert "Non-2xx" not in told, told
    return float(told.partition("Requests/sec:")[2].split()[0])


@contextmanager
def by_hand(model: str) -> Iterator[int]:
    """The application that people write by hand."""
    with socket.create_server(("127.0.0.1", 0)) as free:
        port = free.getsockname()[1]
    process = subprocess.Popen([sys.executable, "-c", BY_HAND, model, str(port)])
    try:
        for _ in range(600):
            with suppress(OSError), socket.create_connection(("127.0.0.1", port), 1):
                break
            time.sleep(0.1)
        yield port
    finally:
        process.kill()
        process.wait()


@contextmanager
def served(model: str, *options: str, **environment: str) -> Iterator[tuple[int, "subprocess.Popen[str]"]]:
    """The server, as a user starts it."""
    command = [sys.executable, "-m", "spacy_domain_ner", "serve", model, "--port", "0", *options]
    process = subprocess.Popen(
        command, stderr=subprocess.PIPE, text=True, env={**os.environ, "DOMAIN_NER_TOKEN": TOKEN, **environment}
    )
    try:
        line = process.stderr.readline()  # type: ignore[union-attr]
        yield int(line.partition("127.0.0.1:")[2].partition(",")[0]), process
    finally:
        if process.poll() is None:
            process.terminate()
            process.wait(120)


class Load:
    """What clients have seen.

    Attributes:
        times: Milliseconds of each answer.
        health: Milliseconds of each answer of /health.
        lost: Requests that got no answer on a connection that had been answered on.
        refused: Connections that were not accepted.
        speed: Answers per second.
        cores: How much of a core the clients took.
    """

    def __init__(self) -> None:
        self.times: list[float] = []
        self.health: list[float] = []
        self.lost = 0
        self.refused = 0
        self.speed = 0.0
        self.cores = 0.0

    @staticmethod
    def _at(values: list[float], share: float) -> float:
        return round(sorted(values)[min(len(values) - 1, int(share * len(values)))], 2)

    def percentile(self, share: float, values: list[float] | None = None) -> float:
        """A percentile of the times, in milliseconds."""
        return self._at(self.times if values is None else values, share)


class Client:
    """One connection, kept open, as far as the server allows."""

    def __init__(self, port: int) -> None:
        self.port = port
        self.reader: asyncio.StreamReader | None = None
        self.writer: asyncio.StreamWriter | None = None

    async def ask(self, method: str, path: str, body: bytes = b"") -> tuple[int, bytes]:
        """Send a request and read its answer."""
        if self.writer is None:
            self.reader, self.writer = await asyncio.open_connection("127.0.0.1", self.port)
        assert self.reader is not None
        self.writer.write(
            f"{method} {path} HTTP/1.1\r\nHost: a\r\nAuthorization: Bearer {TOKEN}\r\n"
            f"Content-Type: application/json\r\nContent-Length: {len(body)}\r\n\r\n".encode()
            + body
        )
        head = await self.reader.readuntil(b"\r\n\r\n")
        lower = head.lower()
        length = int(lower.partition(b"content-length:")[2].partition(b"\r\n")[0])
        answer = await self.reader.readexactly(length)
        if b"connection: close" in lower:
            self.close()
        return int(head.split(b" ", 2)[1]), answer

    def close(self) -> None:
        """Close the connection."""
        if self.writer is not None:
            self.writer.close()
        self.reader = self.writer = None


async def ask_each(port: int) -> None:
    """Let clients ask each passage once."""
    texts = iter(distinct())

    async def run() -> None:
        client = Client(port)
        for text in texts:
            await client.ask("POST", "/extract", json.dumps({"text": text}).encode())
        client.close()

    await asyncio.gather(*(run() for _ in range(CLIENTS)))


async def ask_all(port: int, seconds: float, *, health: bool = False, clients: int = CLIENTS) -> Load:
    """Let clients ask one passage after the other; the first second does not count."""
    load, texts, begin, used = Load(), passages(), time.perf_counter(), time.process_time()
    measured = begin + 1
    end = measured + seconds

    async def run() -> None:
        client = Client(port)
        while (start := time.perf_counter()) < end:
            body = json.dumps({"text": next(texts)}).encode()
            status, _ = await client.ask("POST", "/extract", body)
            assert status == 200, status
            if measured < start and (now := time.perf_counter()) < end:
                load.times.append(1_000 * (now - start))
        client.close()

    async def probe() -> None:
        client = Client(port)
        while (start := time.perf_counter()) < end:
            await client.ask("GET", "/health")
            load.health.append(1_000 * (time.perf_counter() - start))
            await asyncio.sleep(0.02)
        client.close()

    await asyncio.gather(*(run() for _ in range(clients)), *([probe()] if health else []))
    load.speed = round(len(load.times) / seconds, 1)
    load.cores = round((time.process_time() - used) / (time.perf_counter() - begin), 2)
    return load


async def ask_paced(port: int, seconds: float, speed: float) -> Load:
    """Send so many requests per second, whether or not the ones before are answered."""
    load, texts, free = Load(), passages(), [Client(port) for _ in range(200)]
    draw = random.Random(0)
    tasks = set()

    async def one(client: Client, text: str) -> None:
        start = time.perf_counter()
        await client.ask("POST", "/extract", json.dumps({"text": text}).encode())
        load.times.append(1_000 * (time.perf_counter() - start))
        free.append(client)

    begin = due = time.perf_counter()
    while due < begin + seconds:
        if (left := due - time.perf_counter()) > 0:
            await asyncio.sleep(left)
        task = asyncio.ensure_future(one(free.pop(), next(texts)))
        tasks.add(task)
        task.add_done_callback(tasks.discard)
        due += draw.expovariate(speed)
    await asyncio.gather(*tasks)
    return load


def measure_memory(model: str, count: int) -> dict[str, Any]:
    """Resident memory after the first 50,000 passages, and the highest after that.

    A process that has met many words is replaced: while the next one is loaded, both are there, which is told apart.
    """
    first, step = min(50_000, count // 5), max(BATCH, count // 100)
    rows: list[tuple[int, float, int]] = []
    with served(model) as (port, process):
        for start in range(0, count, step):
            asyncio.run(feed(port, start, start + step))
            pids = readers(process.pid)
            rows.append((start + step, round(resident({process.pid, *pids}) / 1e6, 1), len(pids)))
            print(rows[-1], file=sys.stderr)
    before = next(size for passages, size, processes in rows if passages >= first and processes == 1)
    after = [size for passages, size, processes in rows if passages > first and processes == 1]
    return {
        "memory rows": rows,
        "memory passages": rows[-1][0],
        "memory MB at first, highest, last": [before, max(after), after[-1]],
        "memory MB while a process is replaced": max(size for _, size, _ in rows),
        "memory growth": round(max(after) / before - 1, 4),
    }


async def feed(port: int, start: int, end: int) -> None:
    """Send passages with words that no other one has."""
    texts, draw = passages(), random.Random(start)

    async def run(numbers: Iterator[int]) -> None:
        client = Client(port)
        for number in numbers:
            batch = []
            for offset in range(BATCH):
                words = next(texts).split()
                words[draw.randrange(len(words))] = f"svc-{number + offset}-{draw.randrange(10**6)}"
                words[draw.randrange(len(words))] = f"Q{draw.randrange(10**9)}x"
                batch.append(" ".join(words))
            status, _ = await client.ask("POST", "/extract", json.dumps({"passages": batch}).encode())
            assert status == 200, status
        client.close()

    numbers = iter(range(start, end, BATCH))
    await asyncio.gather(*(run(numbers) for _ in range(2)))


def resident(pids: set[int]) -> int:
    """The resident memory of processes in bytes."""
    pages = sum(int(Path(f"/proc/{pid}/statm").read_text().split()[1]) for pid in pids)
    return pages * os.sysconf("SC_PAGE_SIZE")


def measure_loss(model: str, times: int) -> dict[str, Any]:
    """Requests without an answer in ends, reloads, and when a worker is killed."""
    lost = answered = 0
    codes = set()
    for number in range(times):
        with served(model, *(["--workers", "2"] if number % 4 == 3 else [])) as (port, process):
            load = asyncio.run(ask_until_gone(port, process))
            process.wait(120)
            lost, answered = lost + load.lost, answered + len(load.times)
            codes.add(process.returncode)
    figures: dict[str, Any] = {"lost in ends": lost, "answered in ends": answered, "exit codes": sorted(codes)}
    with served(model) as (port, _):
        load = asyncio.run(ask_while_reloading(port, times))
        figures |= {"lost in reloads": load.lost, "answered in reloads": len(load.times)}
    with served(model, "--workers", "2") as (port, process):
        load = asyncio.run(ask_while_killed(port, process))
        figures |= {"lost when a worker is killed": load.lost, "answered then": len(load.times)}
    return figures


async def ask_until_gone(port: int, process: "subprocess.Popen[str]") -> Load:
    """Clients ask; after a second the server is told to end."""
    load, texts = Load(), passages()

    async def run() -> None:
        client = Client(port)
        while True:
            try:
                if client.writer is None:
                    client.reader, client.writer = await asyncio.open_connection("127.0.0.1", port)
            except OSError:
                return
            try:
                await client.ask("POST", "/extract", json.dumps({"text": next(texts)}).encode())
                load.times.append(0)
            except (OSError, asyncio.IncompleteReadError):
                load.lost += 1
                return

    async def end() -> None:
        await asyncio.sleep(random.uniform(0.5, 1.0))
        process.send_signal(signal.SIGTERM)

    await asyncio.gather(*(run() for _ in range(CLIENTS)), end())
    return load


async def ask_while_reloading(port: int, times: int) -> Load:
    """Clients ask while the model is loaded again and again."""
    load, texts, ends = Load(), passages(), asyncio.Event()

    async def run() -> None:
        client = Client(port)
        while not ends.is_set():
            try:
                status, _ = await client.ask("POST", "/extract", json.dumps({"text": next(texts)}).encode())
                load.times.append(0)
                load.lost += status != 200
            except (OSError, asyncio.IncompleteReadError):
                load.lost += 1
                client.close()
        client.close()

    async def reload() -> None:
        client = Client(port)
        for _ in range(times):
            status, answer = await client.ask("POST", "/model/reload")
            assert status == 200, answer
        ends.set()

    await asyncio.gather(*(run() for _ in range(CLIENTS)), reload())
    return load


async def ask_while_killed(port: int, process: "subprocess.Popen[str]") -> Load:
    """Clients ask while one of two workers is killed, until there are two again."""
    load, texts, ends = Load(), passages(), asyncio.Event()

    async def run() -> None:
        client = Client(port)
        while not ends.is_set():
            try:
                await client.ask("POST", "/extract", json.dumps({"text": next(texts)}).encode())
                load.times.append(0)
            except (OSError, asyncio.IncompleteReadError):
                load.lost += 1
                client.close()
        client.close()

    async def kill() -> None:
        await asyncio.sleep(1)
        before = readers(process.pid)
        os.kill(min(before), signal.SIGKILL)
        client = Client(port)
        for _ in range(600):
            await asyncio.sleep(0.1)
            _, text = await client.ask("GET", "/metrics")
            if b"domain_ner_workers 2" in text and readers(process.pid) != before:
                break
        client.close()
        ends.set()

    await asyncio.gather(*(run() for _ in range(CLIENTS)), kill())
    return load


def measure_webhook(model: str, project: Path) -> dict[str, Any]:
    """Milliseconds until webhooks are answered while a model is trained."""
    with tempfile.TemporaryDirectory() as folder, annotated() as url:
        copy, named = Path(folder, "project"), Path(folder, "model")
        shutil.copytree(project, copy)
        shutil.copytree(model, named)
        environment = {"LABEL_STUDIO_URL": url, "LABEL_STUDIO_TOKEN": "0" * 40}
        with served(str(named), "--label-studio", "--train-in", str(copy), **environment) as (port, _):
            load = asyncio.run(tell_while_training(port, copy))
        state = json.loads((copy / "label_studio" / "training.json").read_text())
    return {
        "webhooks while training": len(load.times),
        "webhook while training, p99, ms": load.percentile(0.99),
        "webhook while training, longest, ms": max(load.times),
        "run": [state["state"], state["what"]],
    }


async def tell_while_training(port: int, project: Path) -> Load:
    """Begin to train, and tell of annotations, and ask to train again, until the run has ended."""
    load, client = Load(), Client(port)
    for number in range(1_000_000):
        action = "START_TRAINING" if number % 20 == 0 else "ANNOTATION_CREATED"
        start = time.perf_counter()
        status, answer = await client.ask("POST", "/webhook", json.dumps({"action": action, "project": 1}).encode())
        load.times.append(round(1_000 * (time.perf_counter() - start), 2))
        assert status == 200, answer
        if json.loads((project / "label_studio" / "training.json").read_text())["state"] != "running":
            break
        await asyncio.sleep(0.05)
    client.close()
    return load


@contextmanager
def annotated() -> Iterator[str]:
    """What of Label Studio a pull asks: a project whose tasks are the starter corpus."""
    tasks = []
    for number, line in enumerate(STARTER.read_text(encoding="utf8").splitlines(), 1):
        row = json.loads(line)
        spans = [
            {"from_name": "label", "to_name": "text", "type": "labels", "id": str(place),
             "value": {"start": each["start"], "end": each["end"], "labels": [each["label"]]}}
            for place, each in enumerate(row["spans"])
        ]  # fmt: skip
        tasks.append({"id": number, "data": {"text": row["text"]}, "annotations": [{"id": number, "result": spans}]})
    answers = {
        "/api/version": {"release": "1.23.2"},
        "/api/projects/1/": {"id": 1, "title": "benchmark", "num_tasks_with_annotations": len(tasks)},
        "/api/projects/1/export": tasks,
    }

    class Handler(BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            body = json.dumps(answers.get(self.path.partition("?")[0])).encode()
            self.send_response(200)
            self.send_header("Content-Type", "application/json")
            self.send_header("Content-Length", str(len(body)))
            self.end_headers()
            self.wfile.write(body)

        def log_message(self, *_: object) -> None:
            pass

    with ThreadingHTTPServer(("127.0.0.1", 0), Handler) as server:
        Thread(target=server.serve_forever, daemon=True).start()
        yield f"http://127.0.0.1:{server.server_port}"
        server.shutdown()


def readers(pid: int) -> set[int]:
    """The processes that read, which threads of the server's process may have started."""
    listed = [path.read_text() for path in Path(f"/proc/{pid}/task").glob("*/children")]
    return {int(each) for each in " ".join(listed).split()}


if __name__ == "__main__":
    main()
