"""A large language model that helps the model of a server."""

import asyncio
from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

from spacy_domain_ner.errors import UserError
from spacy_domain_ner.extraction.hybrid import Fallback, Hybrid, Read
from spacy_domain_ner.serving.engine import Answer
from spacy_domain_ner.serving.model import KnownModel


class ServedFallback:
    """Asks an LLM about the passages in which the types are expected that it finds in the model's place.

    Attributes:
        description: What `/model` says: the LLM, where text goes, and the types.
        notes: What people should know when the server starts: where text goes, and what has changed since the decision.
    """

    def __init__(self, decision: Path, model: KnownModel, timeout: float) -> None:
        """Read the decision; nothing is sent yet.

        Args:
            decision: The decision.json of `llm evaluate`.
            model: The model that is served.
            timeout: After so many seconds the model's own entities are the answer.

        Raises:
            UserError: The decision or one of the files that it names can't be read, or the key is missing.
        """
        self._fallback = Fallback(decision, model.identity)
        settings, decided = self._fallback.settings, self._fallback.decision.from_llm
        types = {label: {"confidence": round(one.confidence, 4)} for label, one in decided.items()}
        self.description: dict[str, Any] = {"model": settings.model, "host": settings.host, "types": types}
        self.notes = [self._fallback.destination, *self._fallback.notes]
        self._timeout = timeout
        # Each waits for the LLM; how many requests are sent at once is for llm.yml to say.
        self._threads = ThreadPoolExecutor(max_workers=64, thread_name_prefix="llm")

    async def complete(self, texts: Sequence[str], answer: Answer) -> Answer:
        """Put the LLM's entities to those of the model.

        Args:
            texts: The passages that the model has read.
            answer: What it found.

        Returns:
            The answer by both. Where the LLM has not answered in time the model's own entities stand, with the reason.
        """
        expected: Sequence[dict[str, float] | None] = answer.expected or [None] * len(texts)
        # A passage on which the model failed has a reason in its place, and is sent nowhere.
        readable = [number for number, found in enumerate(answer.found) if not isinstance(found, str)]
        asked = [texts[number] for number in readable]
        read: list[Read] = [(answer.found[number], expected[number]) for number in readable]  # type: ignore[misc]
        late = f"the LLM has not answered within {self._timeout:g} seconds"
        asking = asyncio.get_running_loop().run_in_executor(self._threads, self._ask, asked, read)
        # Nobody may be waiting any more when it ends.
        asking.add_done_callback(lambda done: done.cancelled() or done.exception())
        try:
            # What is under way is paid for, and in the ledger when the passage comes again.
            both = await asyncio.wait_for(asyncio.shield(asking), self._timeout)
        except (asyncio.TimeoutError, UserError) as error:
            # Late, or the ledger can't be used.
            why = error.what if isinstance(error, UserError) else late
            both = [self._fallback.without(text, *each, why) for text, each in zip(asked, read, strict=True)]
        found, told = list(answer.found), [dict[str, Any]() for _ in texts]
        for number, hybrid in zip(readable, both, strict=True):
            found[number] = hybrid.entities
            told[number] = hybrid.told
        return answer._replace(found=found, llm=told)

    def close(self) -> None:
        """End what is under way."""
        self._fallback.close()
        self._threads.shutdown(wait=False, cancel_futures=True)

    def _ask(self, texts: Sequence[str], read: Sequence[Read]) -> list[Hybrid]:
        return list(self._fallback(texts, read))
