"""Compare the customised tokenizer with spaCy's own: where tokens end, how fast it is, and what hostile input costs.

    python benchmarks/tokenizer.py [PASSAGES.jsonl] [--output FILE]

For the other fields it counts the forms in `tokenizer_forms/` that come out as they stand there, and the mentions that
miss token boundaries: of the pack's corpus, and of a public corpus where it lies beside the repository. Those of bc5cdr
and fin_sec are tokens joined by blanks, which say nothing of what the rules do inside words.

Both tokenizers are as a saved model has them. They take turns on the same text in one run. The fastest repetition
counts, in processor time, so that other work of the machine matters little.
"""

import gc
import platform
import time
from pathlib import Path
from typing import Any

import spacy
import srsly
import typer
from spacy.language import Language
from wasabi import msg

from spacy_domain_ner.corpus import Passage, read_valid_passages
from spacy_domain_ner.corpus.spacy_docs import misaligned_spans
from spacy_domain_ner.tokenization import create_customize_tokenizer, create_customize_tokenizer_v2

REPOSITORY = Path(__file__).parents[1]
REAL = REPOSITORY.parent / "shared/data/real-passages/open.jsonl"
STARTER = REPOSITORY / "assets/software/starter.jsonl"
FORMS = REPOSITORY / "benchmarks" / "tokenizer_forms"
CORPORA = REPOSITORY.parent / "shared" / "data" / "corpora"
FIELDS = {
    "biomedical": CORPORA / "bc5cdr" / "dev.jsonl",
    "legal": CORPORA / "indian_legal_ner" / "dev.jsonl",
    "financial": CORPORA / "fin_sec" / "train.jsonl",
}
HOSTILE = {"/a/a/a…": "/a", "-a-a-a…": "-a", "{{{{…": "{", "a=a=a…": "a=", "aaaa…": "a"}
REPETITIONS = 15


def main(
    passages: Path = typer.Argument(None, help="Annotated passages  [default: the real ones, else the starter corpus]"),
    output: Path = typer.Option(None, help="Write the figures to this JSON file"),
) -> None:
    """Measure both tokenizers and print a table."""
    path = passages or (REAL if REAL.exists() else STARTER)
    annotated = read_valid_passages(path)
    figures: dict[str, Any] = {
        name: {**boundaries(make(), annotated), "hostile_seconds": hostile(make)} for name, make in TOKENIZERS.items()
    }
    for name, speed in speeds([passage.text for passage in annotated]).items():
        figures[name]["tokens_per_second"] = speed
    default, ours = figures["spaCy"], figures["customised"]
    figures["speed_ratio"] = {
        phase: round(ours["tokens_per_second"][phase] / default["tokens_per_second"][phase], 3)
        for phase in default["tokens_per_second"]
    }
    figures["fields"] = {field: measure_field(field, corpus) for field, corpus in FIELDS.items()}
    figures["versions"] = {"spacy": spacy.__version__, "python": platform.python_version()}
    figures["passages"] = path.name
    report(figures)
    if output is not None:
        srsly.write_json(output, figures)


def default_tokenizer() -> Language:
    """spaCy's English tokenizer."""
    return spacy.blank("en").from_bytes(spacy.blank("en").to_bytes())


def customised_tokenizer() -> Language:
    """spaCy's English tokenizer with the plugin's rules."""
    return spacy.blank("en").from_bytes(create_customize_tokenizer()(spacy.blank("en")).to_bytes())


TOKENIZERS = {"spaCy": default_tokenizer, "customised": customised_tokenizer}


def measure_field(field: str, corpus: Path) -> dict[str, Any]:
    """Count the forms of a field that have their tokens, and the mentions that miss boundaries."""
    tokenizers = {"spaCy": default_tokenizer(), "customised": create_customize_tokenizer_v2([field])(spacy.blank("en"))}
    lines = [line for line in (FORMS / f"{field}.txt").read_text("utf8").splitlines() if line[:1] not in ("", "#")]
    sets = [REPOSITORY / "assets" / field / "starter.jsonl", corpus]
    passages = {f"{path.parent.name}/{path.name}": read_valid_passages(path) for path in sets if path.exists()}
    figures: dict[str, Any] = {}
    for name, nlp in tokenizers.items():
        right = single = names = 0
        for line in lines:
            expected, _, text = line.partition(" :: ")
            tokens = [token.text for token in nlp.make_doc(text or expected.replace(" | ", ""))]
            right += tokens == expected.split(" | ")
            names += " | " not in expected
            single += " | " not in expected and tokens == [expected]
        figures[name] = {
            "forms": len(lines), "right": right, "names": names, "one_token": single,
            "missed": {
                path: [sum(len(list(misaligned_spans(nlp.make_doc(one.text), one.spans))) for one in several),
                       sum(len(one.spans) for one in several)]
                for path, several in passages.items()
            },
        }  # fmt: skip
    return figures


def boundaries(nlp: Language, passages: list[Passage]) -> dict[str, float]:
    """Count the spans that miss token boundaries, per thousand, and the endpoints that are one token, per hundred."""
    spans = missed = endpoints = single = 0
    for passage in passages:
        doc = nlp.make_doc(passage.text)
        spans += len(passage.spans)
        missed += len(list(misaligned_spans(doc, passage.spans)))
        for span in passage.spans:
            if span.label == "ENDPOINT":
                tokens = doc.char_span(span.start, span.end)
                endpoints += 1
                single += tokens is not None and len(tokens) == 1
    return {
        "spans": spans,
        "missed_per_thousand": round(1000 * missed / max(1, spans), 2),
        "endpoints_one_token_percent": round(100 * single / max(1, endpoints), 1),
    }


def speeds(texts: list[str]) -> dict[str, dict[str, float]]:
    """Measure tokens per second on text that is new to the tokenizer, and again with its cache filled."""
    seconds: dict[tuple[str, str], float] = {}
    tokens: dict[str, int] = {}
    gc.disable()
    for turn in range(REPETITIONS):
        for name in sorted(TOKENIZERS, reverse=turn % 2 == 1):
            nlp = TOKENIZERS[name]()
            for phase in ("new", "cached"):
                start = time.process_time()
                tokens[name] = sum(len(nlp.make_doc(text)) for text in texts)
                taken = time.process_time() - start
                seconds[name, phase] = min(taken, seconds.get((name, phase), taken))
    gc.enable()
    return {name: {phase: round(tokens[name] / seconds[name, phase]) for phase in ("new", "cached")} for name in tokens}


def hostile(make: Any) -> dict[str, float]:
    """Measure the seconds for a single word of a million characters."""
    taken = {}
    for name, unit in HOSTILE.items():
        nlp = make()
        # spaCy's own takes time by the square of the length of some of these: a five-hundredth of it shows enough.
        length = 1_000_000 if make is customised_tokenizer else 2_000
        text = ("x" + unit * length)[:length] if unit != "{" else unit * length
        start = time.process_time()
        nlp.make_doc(text)
        taken[f"{name} ({length:,} characters)"] = round(time.process_time() - start, 2)
    return taken


def report(figures: dict[str, Any]) -> None:
    """Print the figures side by side."""
    default, ours = figures["spaCy"], figures["customised"]
    rows: list[tuple[str, Any, Any]] = [
        (f"spans that miss boundaries, per 1,000 ({ours['spans']} spans)", default["missed_per_thousand"],
         ours["missed_per_thousand"]),
        ("endpoints that are one token, %", default["endpoints_one_token_percent"],
         ours["endpoints_one_token_percent"]),
    ]  # fmt: skip
    for phase in ("new", "cached"):
        speed = default["tokens_per_second"][phase], ours["tokens_per_second"][phase]
        rows.append((f"tokens per second, {phase} text", f"{speed[0]:,}", f"{speed[1]:,}"))
    rows += [(f"seconds for {name}", seconds, "") for name, seconds in default["hostile_seconds"].items()]
    rows += [(f"seconds for {name}", "", seconds) for name, seconds in ours["hostile_seconds"].items()]
    msg.table(rows, header=("", "spaCy", "customised"), divider=True, aligns=("l", "r", "r"), max_col=80)
    print(f"speed against spaCy's: {figures['speed_ratio']}")
    for field, measured in figures["fields"].items():
        for name, one in measured.items():
            missed = ", ".join(f"{path}: {count} of {spans} missed" for path, (count, spans) in one["missed"].items())
            print(f"{field}, {name}: {one['one_token']} of {one['names']} names are one token; {missed}")


if __name__ == "__main__":
    typer.run(main)
