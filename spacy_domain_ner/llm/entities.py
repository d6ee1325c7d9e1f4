"""Finding entities with a large language model: passages in, spans or a reason out."""

from collections import Counter, deque
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass, field

from spacy_domain_ner.corpus.passage import Span
from spacy_domain_ner.corpus.sentences import windows
from spacy_domain_ner.llm.alignment import Outcome, align
from spacy_domain_ner.llm.client import Answer, Client, Prompt
from spacy_domain_ner.llm.ledger import Usage
from spacy_domain_ner.llm.prompt import EntityPrompts

# A longer passage is read in parts, cut at sentence ends: in long ones models leave out more, and servers refuse them.
WINDOW = 4_000


@dataclass(frozen=True)
class Failed:
    """A part of a passage that was not answered.

    Attributes:
        start: Where the part begins, in code points.
        end: One past its end.
        kind: Why, as `Answer.kind` has it.
        error: The same in words.
    """

    start: int
    end: int
    kind: str
    error: str


@dataclass
class Found:
    """What a model has found in a passage.

    Attributes:
        spans: The spans, whose offsets are code points of the passage. None overlaps another.
        failed: The parts that were not answered: there is nothing known of them.
        outcomes: What has become of the quotes: see `spacy_domain_ner.llm.alignment`.
        usage: What the requests have used together; what was in the ledger counts as when it was paid for.
        requests: How many requests were sent.
    """

    spans: list[Span] = field(default_factory=list)
    failed: list[Failed] = field(default_factory=list)
    outcomes: Counter[Outcome] = field(default_factory=Counter)
    usage: Usage = field(default_factory=Usage)
    requests: int = 0

    @property
    def error(self) -> str:
        """Why a part was not answered; "" where all were."""
        return self.failed[0].error if self.failed else ""


class EntityFinder:
    """Finds the entities in passages.

    Whatever a model answers, and whatever a passage tells it to answer: only quotes of that passage come out, with
    types that were asked for.
    """

    def __init__(self, client: Client, prompts: EntityPrompts, purpose: str = "extract", window: int = WINDOW) -> None:
        """Prepare; nothing is asked yet.

        Args:
            client: Who is asked.
            prompts: How.
            purpose: What for, in the ledger.
            window: The most characters of a passage that are asked at once.
        """
        self.client, self.prompts, self.purpose, self._window = client, prompts, purpose, window

    def __call__(self, texts: Iterable[str]) -> Iterator[Found]:
        """Find the entities in passages, several at once.

        Args:
            texts: The passages, which may be a stream: some are taken in advance.

        Yields:
            What was found in each, in their order.
        """
        parts: deque[tuple[int, str, bool]] = deque()

        def ask() -> Iterator[Prompt]:
            for text in texts:
                cut = list(windows(text, self._window))
                for number, (start, part) in enumerate(cut, 1):
                    parts.append((start, part, number == len(cut)))
                    yield self.prompts.prompt(part)

        found = Found()
        for answer in self.client.ask(ask(), self.purpose):
            start, part, is_last = parts.popleft()
            self._add(found, start, part, answer)
            if is_last:
                yield found
                found = Found()

    def _add(self, found: Found, start: int, part: str, answer: Answer) -> None:
        found.requests += not answer.is_stored and answer.kind not in ("budget", "setup")
        found.usage = _together(found.usage, answer.usage)
        if answer.value is None:
            found.failed.append(Failed(start, start + len(part), answer.kind, answer.error))
            return
        aligned = align(part, answer.value["entities"], self.prompts.labels)
        found.outcomes += aligned.outcomes
        found.spans += [Span(start + span.start, start + span.end, span.label) for span in aligned.spans]


def refused(outcomes: Counter[Outcome]) -> int:
    """How many quotes were not taken.

    Args:
        outcomes: What has become of the quotes.
    """
    lost: Sequence[Outcome] = ("absent", "type", "form", "overlap")
    return sum(outcomes[outcome] for outcome in lost)


def _together(one: Usage, other: Usage) -> Usage:
    costs = [usage.cost for usage in (one, other) if usage.cost is not None]
    return Usage(
        one.tokens_in + other.tokens_in,
        one.tokens_out + other.tokens_out,
        one.tokens_cached + other.tokens_cached,
        one.is_estimated or other.is_estimated,
        sum(costs) if costs else None,
        one.seconds + other.seconds,
    )
