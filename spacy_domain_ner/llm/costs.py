"""What asking an LLM costs: before a run, and so far."""

import json
import random
from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import Path
from statistics import fmean
from typing import Any

from spacy_domain_ner.corpus.jsonl import read_valid_passages
from spacy_domain_ner.corpus.sentences import windows
from spacy_domain_ner.errors import UserError
from spacy_domain_ner.llm.client import Prompt
from spacy_domain_ner.llm.entities import WINDOW
from spacy_domain_ner.llm.ledger import FILE, Request, read_ledger
from spacy_domain_ner.llm.prices import find_price
from spacy_domain_ner.llm.prompt import EntityPrompts
from spacy_domain_ner.llm.settings import LLMSettings, Price, read_settings
from spacy_domain_ner.llm.tokens import TokenCounter
from spacy_domain_ner.reading.records import RefusedError, decoded, parse_record
from spacy_domain_ner.reading.texts import find_texts, read_lines
from spacy_domain_ner.schema import read_schema

# Tokens that an API adds to each message.
_PER_MESSAGE = 4
# Where nothing says how long answers are.
_ANSWER = 100
_SEED = 0


@dataclass(frozen=True)
class Spent:
    """What requests have cost so far.

    Attributes:
        requests: How many were sent.
        dollars: US dollars; of requests whose price is not known, none.
        tokens_in: The tokens of their prompts.
        tokens_out: The tokens of their answers.
        unpriced: How many of the requests have no price.
    """

    requests: int = 0
    dollars: float = 0.0
    tokens_in: int = 0
    tokens_out: int = 0
    unpriced: int = 0

    def __add__(self, request: Request) -> "Spent":
        usage = request.usage
        return Spent(
            self.requests + 1, self.dollars + (usage.cost or 0.0), self.tokens_in + usage.tokens_in,
            self.tokens_out + usage.tokens_out, self.unpriced + (usage.cost is None),
        )  # fmt: skip


@dataclass(frozen=True)
class CostEstimate:
    """What a run will cost, and what was spent so far.

    Attributes:
        model: The model.
        destination: Where text would go.
        passages: How many passages there are.
        sampled: Of how many of them the tokens were counted.
        requests: How many requests the run needs: a long passage needs several.
        tokens_in: Tokens of the prompts, all together.
        tokens_out: Tokens of the answers, all together.
        is_exact: Whether tokens were counted with the model's own vocabulary; else estimated from the bytes.
        answers_from: Where the length of answers is known from.
        price: What tokens cost; None where nobody knows.
        price_from: Where the price is known from.
        dollars: What the run costs; None where nobody knows. Every prompt counts in full: a server may charge less for
            what it has in its cache.
        spread: The standard error of `dollars`, since only a sample was counted.
        spent: What was spent so far, by purpose.
        budget: The most that may be spent in all; None is without limit.
        refused: The lines that could not be read, each with its place and the reason.
    """

    model: str
    destination: str
    passages: int
    sampled: int
    requests: float
    tokens_in: float
    tokens_out: float
    is_exact: bool
    answers_from: str
    price: Price | None
    price_from: str
    dollars: float | None
    spread: float
    spent: dict[str, Spent]
    budget: float | None
    refused: list[str] = field(default_factory=list)

    @property
    def dollars_spent(self) -> float:
        """US dollars so far, for all purposes."""
        return sum(one.dollars for one in self.spent.values())

    @property
    def passes_budget(self) -> bool:
        """Whether the run would have to stop at the budget."""
        return self.budget is not None and self.dollars is not None and self.dollars_spent + self.dollars > self.budget

    def to_dict(self) -> dict[str, Any]:
        """The estimate as JSON."""
        return {
            "model": self.model,
            "passages": self.passages,
            "sampled": self.sampled,
            "requests": round(self.requests),
            "tokens_in": round(self.tokens_in),
            "tokens_out": round(self.tokens_out),
            "tokens_counted": self.is_exact,
            "answers_from": self.answers_from,
            "price_per_million": self.price and self.price.model_dump(),
            "price_from": self.price_from,
            "dollars": self.dollars,
            "standard_error": self.spread,
            "spent": {purpose: vars(one) for purpose, one in self.spent.items()},
            "budget": self.budget,
        }


def estimate_llm_cost(
    passages: Sequence[str | Path],
    settings: str | Path = "llm.yml",
    *,
    schema: str | Path = "entity_types.yml",
    train: str | Path | None = None,
    types: Sequence[str] = (),
    sample: int = 200,
    text_key: str = "text",
) -> CostEstimate:
    """Estimate what it costs to find the entities of passages with an LLM. Nothing is sent.

    The prompts of a sample are made as a run makes them, with guide and examples. Answers are taken to be as long as
    those to the examples.

    Args:
        passages: Files of passages, as for `extract`.
        settings: The settings' file.
        schema: The file of the entity types.
        train: The training passages, of which examples are taken; None has no examples.
        types: The types to ask for; empty asks for all.
        sample: Of how many passages the tokens are counted.
        text_key: The key of the text in JSON records.

    Returns:
        The estimate.

    Raises:
        UserError: A file can't be read, there is no passage, or an argument does not fit.
    """
    if sample < 1:
        raise UserError(f"`sample` is {sample}", "It must be 1 or more.")
    chosen = read_settings(settings)
    known = read_schema(schema)
    if unknown := [label for label in types if label not in known.labels]:
        raise UserError(f"{schema} has no type {unknown[0]!r}", f"`types` are among {', '.join(known.labels)}.")
    training = [] if train is None else read_valid_passages(train)
    prompts = EntityPrompts(known, training, labels=types, examples=chosen.examples, guide=chosen.guide)
    texts, total, refused = _sample(passages, sample, text_key)
    if not texts:
        raise UserError("There is no passage to count", "\n".join(refused[:5]))
    ledger = read_ledger(Path(settings).parent / "llm" / FILE)
    counter = TokenCounter(chosen.model)
    answer, answers_from = _answer_tokens(prompts, texts, ledger, chosen.model, counter)
    price, price_from = _price(chosen)
    asked = [[prompts.prompt(part) for _, part in windows(text, WINDOW)] for text in texts]
    tokens_in = [float(sum(prompt_tokens(prompt, counter) for prompt in one)) for one in asked]
    requests = [len(one) for one in asked]
    dollars = spread = None
    if price is not None:
        costs = [
            price.cost(round(tokens), round(count * answer)) for tokens, count in zip(tokens_in, requests, strict=True)
        ]
        dollars = total * fmean(costs)
        spread = _standard_error(costs, total)
    return CostEstimate(
        chosen.model, chosen.destination, total, len(texts), total * fmean(requests), total * fmean(tokens_in),
        total * fmean(requests) * answer, counter.is_exact, answers_from, price, price_from, dollars, spread or 0.0,
        spent_so_far(ledger), chosen.budget, refused,
    )  # fmt: skip


def prompt_tokens(prompt: Prompt, counter: TokenCounter) -> int:
    """Count the tokens of a prompt, with the schema of its answer, which servers put before the model."""
    messages = sum(counter(message["content"]) + _PER_MESSAGE for message in prompt.messages)
    return messages + counter(json.dumps(prompt.schema))


def spent_so_far(requests: Sequence[Request]) -> dict[str, Spent]:
    """Add up what requests have cost, by purpose.

    Args:
        requests: The requests of a ledger.
    """
    spent: dict[str, Spent] = {}
    for request in requests:
        if request.state != "refused":
            spent[request.purpose] = spent.get(request.purpose, Spent()) + request
    return spent


def _sample(passages: Sequence[str | Path], size: int, text_key: str) -> tuple[list[str], int, list[str]]:
    """Draw texts, all equally likely, however many there are; and count them."""
    kept: list[str] = []
    refused: list[str] = []
    draw, total = random.Random(_SEED), 0
    with find_texts(passages, text_key=text_key) as found:
        refused += [f"{name}: {why}" for name, why in found.left_out]
        for line in read_lines(found.files, text_key=text_key):
            try:
                if line.problem:
                    raise RefusedError(line.problem)
                text = parse_record(line.raw, text_key)[text_key] if line.is_json else decoded(line.raw)
            except RefusedError as error:
                refused.append(f"{line.place}: {error.reason}")
                continue
            total += 1
            if len(kept) < size:
                kept.append(text)
            elif (place := draw.randrange(total)) < size:
                kept[place] = text
    return kept, total, refused


def _answer_tokens(
    prompts: EntityPrompts, texts: Sequence[str], ledger: Sequence[Request], model: str, counter: TokenCounter
) -> tuple[float, str]:
    """How many tokens an answer has, and where that is known from."""
    before = [
        one.usage.tokens_out
        for one in ledger
        if one.model == model and one.state == "answered" and one.purpose in ("extract", "evaluate")
    ]
    if len(before) >= 20:
        return fmean(before), f"{len(before)} answers in the ledger"
    answered = [answer for text in texts[:50] for _, answer in prompts.prompt(text[:WINDOW]).examples]
    if answered:
        return fmean(counter(answer) for answer in answered), "the answers to the examples"
    return _ANSWER, "a guess: there are no examples"


def _price(settings: LLMSettings) -> tuple[Price | None, str]:
    if settings.price is not None:
        return settings.price, "the settings"
    if settings.is_local:
        return find_price(settings), "nothing: the server is on this machine"
    # Without the budget, an unknown price is not an error here.
    price = find_price(settings.model_copy(update={"budget": None}))
    if price is None:
        return None, "nowhere: neither the settings nor the table of genai-prices have it"
    from importlib.metadata import version

    return price, f"genai-prices {version('genai-prices')}"


def _standard_error(costs: Sequence[float], total: int) -> float:
    count = len(costs)
    if count < 2 or count >= total:
        return 0.0
    mean = fmean(costs)
    variance = sum((cost - mean) ** 2 for cost in costs) / (count - 1)
    return float(total * (variance / count * (1 - count / total)) ** 0.5)
