"""What the commands cost before they do anything, as ratios of CPU seconds measured side by side.

Each verb runs on two passages, so that next to nothing is left but its start. In each round every command runs once, in
turn with what it is compared with; the least of the rounds counts, because other work only adds.

    python benchmarks/startup.py
"""

import json
import resource
import subprocess
import sys
from pathlib import Path
from tempfile import TemporaryDirectory

import typer
from rich.console import Console
from rich.table import Table

RESULTS = Path(__file__).parent / "results/startup.json"
SCHEMA = "entity_types: [{name: SERVICE}, {name: INFRA}]\n"
PASSAGES = [
    {"text": f"{name} waits for Redis", "spans": [{"start": 0, "end": len(name), "label": "SERVICE"}]}
    for name in ("checkout-api", "billing-api", "search-api", "orders-api")
]
FRAME = ["-c", "import typer, rich"]
SPACY = ["-c", "import spacy"]
RUN = "from spacy_domain_ner.cli import main; main()"
# Each command, with what it is compared with and the ratio that is aimed at.
COMMANDS: dict[str, tuple[list[str], float | None]] = {
    "--help": (FRAME, 1.5),
    "presets": (FRAME, None),
    "guide": (FRAME, None),
    "interface label-studio": (FRAME, None),
    "import passages.jsonl --output imported.jsonl": (FRAME, None),
    "split passages.jsonl corpus": (FRAME, None),
    "check passages.jsonl --config config.cfg": (SPACY, 1.3),
    "convert passages.jsonl --config config.cfg": (SPACY, 1.3),
}


def main(rounds: int = 5) -> None:
    """Measure, print the ratios and keep them."""
    with TemporaryDirectory() as folder:
        write_inputs(Path(folder))
        verbs: dict[str, list[float]] = {command: [] for command in COMMANDS}
        bases: dict[str, list[float]] = {"import typer, rich": [], "import spacy": []}
        for _ in range(rounds):
            for base in (FRAME, SPACY):
                bases[base[1]].append(cpu_seconds(base, folder))
            for command, times in verbs.items():
                times.append(cpu_seconds(["-c", RUN, *command.split()], folder))
    rows = []
    for command, (base, aim) in COMMANDS.items():
        seconds, against = min(verbs[command]), min(bases[base[1]])
        rows.append(
            {
                "command": f"domain-ner {command}",
                "seconds": round(seconds, 3),
                "against": base[1],
                "ratio": round(seconds / against, 2),
                "aim": aim,
            }
        )
    result = {
        "rounds": rounds,
        "python": sys.version.split()[0],
        "bases": {name: round(min(times), 3) for name, times in bases.items()},
        "commands": rows,
    }
    RESULTS.write_text(json.dumps(result, indent=2) + "\n", encoding="utf8")
    table = Table("command", "CPU seconds", "against", "ratio", "aim")
    for row in rows:
        table.add_row(*("" if value is None else str(value) for value in row.values()))
    Console().print(table)


def write_inputs(folder: Path) -> None:
    """Write the entity types, the passages and the smallest config to tokenize with."""
    (folder / "entity_types.yml").write_text(SCHEMA, encoding="utf8")
    (folder / "passages.jsonl").write_text("".join(json.dumps(row) + "\n" for row in PASSAGES), encoding="utf8")
    (folder / "config.cfg").write_text('[nlp]\nlang = "en"\n', encoding="utf8")


def cpu_seconds(arguments: list[str], folder: str) -> float:
    """The CPU time, user and system, of a Python process."""
    before = resource.getrusage(resource.RUSAGE_CHILDREN)
    subprocess.run([sys.executable, *arguments], cwd=folder, stdout=subprocess.DEVNULL, check=True)
    after = resource.getrusage(resource.RUSAGE_CHILDREN)
    return (after.ru_utime + after.ru_stime) - (before.ru_utime + before.ru_stime)


if __name__ == "__main__":
    typer.run(main)
