"""Asking many prompts at once: each is paid for once, and each gets an answer or a reason why there is none."""

import asyncio
import hashlib
import json
import threading
from collections import deque
from collections.abc import Coroutine, Iterable, Iterator, Mapping
from concurrent.futures import Future
from contextlib import suppress
from dataclasses import dataclass, field
from pathlib import Path
from time import monotonic
from types import TracebackType
from typing import Any, Literal, TypeVar
from weakref import WeakValueDictionary

from spacy_domain_ner.errors import UserError
from spacy_domain_ner.llm.content import find_object, likely_tokens, read_answer, read_usage
from spacy_domain_ner.llm.form import FORMAT_REFUSED, Form
from spacy_domain_ner.llm.ledger import FILE, Ledger, Usage
from spacy_domain_ner.llm.limits import Limits
from spacy_domain_ner.llm.prices import find_price
from spacy_domain_ner.llm.settings import LLMSettings, read_settings
from spacy_domain_ner.llm.transport import RequestError, Transport, pause_before
from spacy_domain_ner.text import lone_surrogate, shorten

# A longer pause than this is not waited for: the prompt has failed.
LONGEST_WAIT = 300.0
# So many prompts that failed one after the other, at the server, let those of the next seconds fail without a request.
_GIVE_UP_AFTER, _GIVE_UP_SECONDS = 5, 30.0
# How often a prompt is sent in another form.
_MOST_FORMS = 6
# Seconds that what is under way may still take when nobody waits any more: it is paid for.
_LAST_SECONDS = 5.0
# Seconds between two looks at a prompt that another process asks.
_CLAIM_PAUSE = 0.1
# How many prompts are taken in advance of the answers that are given out, for each request at once.
_AHEAD = 8
# Part of a prompt's hash: a new number asks all anew.
_VERSION = 1

# Why there is no answer. "budget": the request could pass it. "setup": nothing can be asked, as with a wrong key.
# "server": it failed, or was not reached. "request": it refused this prompt. "refusal", "truncated", "invalid": it was
# answered, and paid for, but the model declined, the answer was cut, or is not the JSON that was asked for.
ProblemKind = Literal["", "budget", "setup", "server", "request", "refusal", "truncated", "invalid"]

Result = TypeVar("Result")


@dataclass(frozen=True)
class Prompt:
    """What a model is asked.

    Attributes:
        system: The task.
        user: What it is to be done to; best as JSON, so that nothing in a text can end it.
        schema: The JSON schema of the answer: an object. Strict servers want each of its objects to list all its keys
            as `required`, and to have `additionalProperties: False`.
        examples: What a user could have said and what the model should answer then, in the order of the conversation.
    """

    system: str
    user: str
    schema: Mapping[str, Any]
    examples: tuple[tuple[str, str], ...] = ()

    @property
    def messages(self) -> list[dict[str, str]]:
        """The conversation, as the API has it."""
        turns = [{"role": "system", "content": self.system}]
        for asked, answered in self.examples:
            turns += [{"role": "user", "content": asked}, {"role": "assistant", "content": answered}]
        return [*turns, {"role": "user", "content": self.user}]


@dataclass(frozen=True)
class Answer:
    """What became of a prompt.

    Attributes:
        value: The answer: an object that has the schema's required keys, each with a value of the right kind. What is
            inside lists and objects there is not checked: it is for who asked to judge piece by piece. None where
            there is no such answer.
        kind: Why there is none; "" where there is one.
        error: The same in words, for people.
        usage: What it used; where it comes from the ledger, what it used when it was paid for.
        is_stored: Whether it was in the ledger, so that nothing was sent.
    """

    value: dict[str, Any] | None
    kind: ProblemKind = ""
    error: str = ""
    usage: Usage = field(default_factory=Usage)
    is_stored: bool = False


class Client:
    """Asks one model at one server. Any thread may use it, several at once, too.

        with Client.open("llm.yml") as client:
            print(client.destination)
            for answer in client.ask(prompts, "relations"):
                print(answer.value or answer.error)

    What was answered is in the ledger (`llm/ledger.sqlite` beside the settings) as soon as it has come, and is never
    asked again, also after a kill. Several processes may share a ledger and its budget.

    Attributes:
        settings: The settings.
        price: What tokens cost; None where nobody knows.
        destination: One line for people: where text will go. Print it once before anything is asked.
        stopped: Why nothing can be asked, for instance a wrong key; None while that is not so.
    """

    def __init__(self, settings: LLMSettings, folder: Path) -> None:
        """Open the ledger, and prepare; nothing is sent yet.

        Args:
            settings: The settings.
            folder: The folder of the ledger.

        Raises:
            UserError: The key is missing, the budget can't be kept, the extra is not installed, or the ledger can't
                be opened.
        """
        self.settings = settings
        self.price = find_price(settings)
        self.destination = settings.destination
        self.stopped: UserError | None = None
        self._key = settings.read_key()
        self._folder = folder
        # The prompts that have no answer yet, and those of them that were cancelled and get their last seconds.
        self._asking: set[asyncio.Task[Any]] = set()
        self._last: set[asyncio.Task[Any]] = set()
        self._loop = asyncio.new_event_loop()
        self._thread = threading.Thread(target=self._loop.run_forever, name="llm", daemon=True)
        self._thread.start()
        try:
            # In the loop's own thread: the ledger belongs to it.
            self._run(self._prepare()).result()
        except BaseException:
            self.close()
            raise

    @classmethod
    def open(cls, path: str | Path) -> "Client":
        """Make a client from an `llm.yml`, with the ledger in the folder `llm` beside it.

        Args:
            path: The settings' file.

        Raises:
            UserError: As for `read_settings`, and as for the client itself.
        """
        return cls(read_settings(path), Path(path).parent / "llm")

    def ask(self, prompts: Iterable[Prompt], purpose: str) -> Iterator[Answer]:
        """Ask prompts, several at once. Nothing is sent before the first answer is taken.

        Args:
            prompts: The prompts, which may be a stream: some are taken in advance.
            purpose: What for, in the ledger: "extract", "evaluate", "relations", "bootstrap".

        Yields:
            What became of each prompt, in the order of the prompts. A failure is an answer, too.

        Raises:
            UserError: The ledger can't be read or written.
        """
        waiting: deque[Future[Answer]] = deque()
        try:
            for prompt in prompts:
                waiting.append(self._run(self._answer(prompt, purpose)))
                if len(waiting) >= _AHEAD * self.settings.concurrency:
                    yield waiting.popleft().result()
            while waiting:
                yield waiting.popleft().result()
        finally:
            # After an error, Ctrl-C or a `break` nobody waits for the others.
            for future in waiting:
                future.cancel()

    @property
    def spent(self) -> float:
        """US dollars in all, by the ledger, with what requests that are under way may cost."""
        return self._run(self._spent()).result()

    def close(self) -> None:
        """End what is under way, and close the ledger."""
        if self._thread.is_alive():
            with suppress(Exception):
                self._run(self._finish()).result(timeout=2 * _LAST_SECONDS)
            self._loop.call_soon_threadsafe(self._loop.stop)
            self._thread.join(timeout=10)
        if not self._loop.is_running() and not self._loop.is_closed():
            self._loop.close()

    def __enter__(self) -> "Client":
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()

    def _run(self, work: Coroutine[Any, Any, Result]) -> "Future[Result]":
        return asyncio.run_coroutine_threadsafe(work, self._loop)

    async def _prepare(self) -> None:
        settings = self.settings
        self._ledger = Ledger(self._folder / FILE)
        self._transport = Transport(settings, self._key)
        self._limits = Limits(settings.requests_per_minute, settings.tokens_per_minute)
        self._slots = asyncio.Semaphore(settings.concurrency)
        self._turns: WeakValueDictionary[str, asyncio.Lock] = WeakValueDictionary()
        self._form = Form.first(settings)
        self._proven: Form | None = None
        self._under_way = 0
        self._settled = asyncio.Condition()
        self._failed_in_a_row, self._given_up_until = 0, 0.0

    async def _finish(self) -> None:
        for task in self._asking - self._last:
            task.cancel()
        await asyncio.gather(*self._asking, return_exceptions=True)
        if hasattr(self, "_transport"):
            await self._transport.close()
        if hasattr(self, "_ledger"):
            self._ledger.close()

    async def _spent(self) -> float:
        return self._ledger.spent

    async def _answer(self, prompt: Prompt, purpose: str) -> Answer:
        task = _this_task()
        self._asking.add(task)
        task.add_done_callback(self._asking.discard)
        task.add_done_callback(self._last.discard)
        if any(lone_surrogate(message["content"]) is not None for message in prompt.messages):
            return Answer(None, "request", "the text is not Unicode text: it has half of a surrogate pair")
        key = self._key_of(prompt)
        # The same prompt, asked twice at once, is sent once: the second finds the first one's answer.
        async with self._turns.setdefault(key, asyncio.Lock()):
            if (stored := self._stored(key, prompt)) is not None:
                return stored
            while not self._ledger.claim(key):
                await asyncio.sleep(_CLAIM_PAUSE)
            try:
                # Another process may have had it.
                return self._stored(key, prompt) or await self._ask(prompt, key, purpose)
            finally:
                self._ledger.claim(key, is_over=True)

    def _stored(self, key: str, prompt: Prompt) -> Answer | None:
        stored = self._ledger.answer(key)
        if stored is None:
            return None
        return _judged(stored.content, stored.problem, prompt, stored.usage, is_stored=True)

    async def _ask(self, prompt: Prompt, key: str, purpose: str) -> Answer:
        """Send a prompt until it is answered, or nothing helps."""
        retries = changes = 0
        while True:
            form = self._form
            try:
                async with self._slots:
                    # Others may have been answered, or refused, since.
                    form = self._form
                    if self.stopped is not None:
                        return Answer(None, "setup", self.stopped.what)
                    if monotonic() < self._given_up_until:
                        return Answer(None, "server", f"{self.settings.host} has failed again and again: not asked")
                    answer = await self._send(prompt, key, purpose, form)
            except RequestError as failure:
                if failure.kind == "setup" and self._proven is None:
                    self.stopped = UserError(failure.what, "Check base_url, model and the key in the settings.")
                    continue
                if failure.kind == "form" and changes < _MOST_FORMS and self._next_form(form, failure.what):
                    changes += 1
                    continue
                pause = pause_before(retries + 1, failure)
                if not failure.is_retried or retries >= self.settings.retries or pause > LONGEST_WAIT:
                    return self._failed(failure, pause)
                retries += 1
                if failure.wait is None:
                    await asyncio.sleep(pause)
                else:
                    # What the server asks of one it asks of all.
                    self._limits.pause(pause)
                continue
            self._failed_in_a_row = 0
            self._proven = form
            return answer

    def _next_form(self, form: Form, refused: str) -> bool:
        """Whether a prompt can be sent again in another form than the one that was refused."""
        if self._form != form:
            # Another prompt was refused before.
            return True
        following = None
        if form != self._proven or FORMAT_REFUSED.search(refused):
            following = form.after(refused)
        # Where no form helps the prompt is to blame, and the next one begins anew.
        self._form = following or self._proven or Form.first(self.settings)
        return following is not None

    def _failed(self, failure: RequestError, pause: float) -> Answer:
        what = failure.what
        if failure.is_retried and pause > LONGEST_WAIT:
            what += f" (it asks to wait {pause:,.0f} seconds)"
        if failure.kind in ("server", "setup") or self._proven is None:
            self._failed_in_a_row += 1
            if self._failed_in_a_row >= _GIVE_UP_AFTER:
                self._given_up_until = monotonic() + _GIVE_UP_SECONDS
        return Answer(None, "server" if failure.kind == "server" else "request", what)

    async def _send(self, prompt: Prompt, key: str, purpose: str, form: Form) -> Answer:
        """Send one request: what it can cost is set aside before, and what it has cost is written down after."""
        body = form.body(prompt.messages, prompt.schema)
        most = self._most(body)
        sent = await self._limits.wait(likely_tokens(json.dumps(body, ensure_ascii=False)) + most.tokens_out // 4)
        number = await self._begin(purpose, key, most)
        if number is None:
            return Answer(None, "budget", f"the request could pass the budget of {self.settings.budget:g} dollars")
        start = monotonic()
        try:
            data = await self._sent(body)
        except RequestError as failure:
            lost = failure.may_be_charged
            paid = (key, "", f"server: {failure.what}") if failure.is_charged else None
            usage = None if lost else Usage(cost=0.0)
            self._ledger.end(number, "lost" if lost else "refused", usage, failure.what, paid)
            raise
        except BaseException as error:
            self._ledger.end(number, "lost", None, type(error).__name__)
            raise
        else:
            content, problem = read_answer(data)
            if self._key is None or self._key not in prompt.user:
                content = self._transport.redacted(content)
            problem = shorten(self._transport.redacted(problem), 300)
            usage = read_usage(data, body, content, self.price, monotonic() - start)
            self._ledger.end(number, "answered", usage, problem, (key, content, problem))
            self._limits.correct(sent, usage.tokens_in + usage.tokens_out)
            return _judged(content, problem, prompt, usage)
        finally:
            self._under_way -= 1
            async with self._settled:
                self._settled.notify_all()

    async def _sent(self, body: Mapping[str, Any]) -> dict[str, Any]:
        sending = asyncio.ensure_future(self._transport.send(body))
        try:
            return await asyncio.shield(sending)
        except asyncio.CancelledError:
            # Ctrl-C, say. What the server is at is paid for: if it comes soon it is kept.
            self._last.add(_this_task())
            return await asyncio.wait_for(sending, _LAST_SECONDS)

    async def _begin(self, purpose: str, key: str, most: Usage) -> int | None:
        """Set aside what a request can cost; where too little is left, wait for what others give back."""
        settings = self.settings
        async with self._settled:
            while True:
                number = self._ledger.begin(purpose, settings.base_url, settings.model, key, most, settings.budget)
                if number is not None:
                    self._under_way += 1
                    return number
                if not self._under_way:
                    return None
                await self._settled.wait()

    def _most(self, body: Mapping[str, Any]) -> Usage:
        """The most that a request can use: a token has a byte or more."""
        tokens_in = len(json.dumps(body, ensure_ascii=False).encode("utf8", "replace"))
        tokens_out = self.settings.max_output_tokens
        cost = None if self.price is None else self.price.cost(tokens_in, tokens_out)
        return Usage(tokens_in, tokens_out, is_estimated=True, cost=cost)

    def _key_of(self, prompt: Prompt) -> str:
        settings = self.settings
        matters = [
            _VERSION, settings.base_url, settings.model, prompt.messages, prompt.schema, settings.temperature,
            settings.seed, settings.max_output_tokens, settings.json_mode, settings.extra,
        ]  # fmt: skip
        return hashlib.sha256(json.dumps(matters, sort_keys=True).encode("utf8")).hexdigest()


def _this_task() -> asyncio.Task[Any]:
    task = asyncio.current_task()
    assert task is not None
    return task


def _judged(content: str, problem: str, prompt: Prompt, usage: Usage, is_stored: bool = False) -> Answer:
    """Make the answer of what the model has said."""
    if problem:
        kind, _, error = problem.partition(": ")
        return Answer(None, kind, " ".join(error.split()), usage, is_stored)  # type: ignore[arg-type]
    value = find_object(content, prompt.schema)
    if value is not None:
        return Answer(value, usage=usage, is_stored=is_stored)
    said = " ".join(shorten(content, 100).split())
    error = f"the model did not answer with the JSON that it was asked for: {said}"
    return Answer(None, "invalid", error if content.strip() else "the answer is empty", usage, is_stored)
