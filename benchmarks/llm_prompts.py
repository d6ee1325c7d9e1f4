"""How many tokens a prompt has, for each pack and with the whole guide or the short one; and how good the estimate is.

The prompts of 200 passages of a pack's corpus are made as a run makes them, with examples from the others. Their tokens
are estimated as `llm cost` does it, and counted with each vocabulary that is given: tiktoken's, found where it keeps
them (TIKTOKEN_CACHE_DIR), by the name of a model, and tokenizer.json files of others.

    python benchmarks/llm_prompts.py --model gpt-4.1-mini --tokenizer tokenizer.json
"""

import json
import random
from collections.abc import Callable
from pathlib import Path
from statistics import fmean

import typer

from spacy_domain_ner.corpus.jsonl import read_valid_passages
from spacy_domain_ner.llm.content import likely_tokens
from spacy_domain_ner.llm.costs import prompt_tokens
from spacy_domain_ner.llm.prompt import EntityPrompts
from spacy_domain_ner.llm.tokens import TokenCounter
from spacy_domain_ner.schema import read_schema

ASSETS = Path(__file__).parents[1] / "assets"
RESULTS = Path(__file__).parent / "results/llm_prompts.json"
PACKS = ("software", "biomedical", "legal", "financial")
SAMPLE = 200


def main(
    model: list[str] = typer.Option([], help="Model of which tiktoken has the vocabulary on the disk"),
    tokenizer: list[Path] = typer.Option([], help="tokenizer.json of another model"),
    output: Path = typer.Option(RESULTS, help="JSON file to write"),
) -> None:
    """Count, print, and write the figures."""
    counters = {"estimate": likely_tokens, **{name: _tiktoken(name) for name in model}}
    counters |= {path.stem: _tokenizer(path) for path in tokenizer}
    figures = [
        _measured(pack, guide, examples, counters)
        for pack in PACKS
        for guide in ("full", "short")
        for examples in (5, 0)
    ]
    for one in figures:
        counted = ", ".join(f"{name} {tokens:,.0f}" for name, tokens in one["tokens"].items())
        print(f"{one['pack']}, guide {one['guide']}, {one['examples']} examples: {counted}")
    output.write_text(json.dumps(figures, indent=1) + "\n", encoding="utf8")


def _measured(pack: str, guide: str, examples: int, counters: dict[str, Callable[[str], int]]) -> dict:
    passages = read_valid_passages(ASSETS / pack / "starter.jsonl")
    random.Random(0).shuffle(passages)
    asked, training = passages[:SAMPLE], passages[SAMPLE:]
    prompts = EntityPrompts(read_schema(ASSETS / pack / "entity_types.yml"), training, examples=examples, guide=guide)
    made = [prompts.prompt(passage.text) for passage in asked]
    tokens = {name: round(fmean(prompt_tokens(one, count) for one in made)) for name, count in counters.items()}
    return {"pack": pack, "guide": guide, "examples": examples, "tokens": tokens}


def _tiktoken(model: str) -> Callable[[str], int]:
    counter = TokenCounter(model)
    if not counter.is_exact:
        raise typer.BadParameter(f"tiktoken does not have the vocabulary of {model} on the disk")
    return counter


def _tokenizer(path: Path) -> Callable[[str], int]:
    from tokenizers import Tokenizer

    loaded = Tokenizer.from_file(str(path))
    return lambda text: len(loaded.encode(text, add_special_tokens=False).ids)


if __name__ == "__main__":
    typer.run(main)
