"""The routes that Label Studio calls: /setup, /predict, /webhook and /versions, and a page that says how all stands."""

import asyncio
import sys
import time
from collections.abc import Callable, Sequence
from functools import lru_cache
from typing import Any, NamedTuple, Protocol

from fastapi import FastAPI, Request, Response

from spacy_domain_ner.errors import UserError
from spacy_domain_ner.exchange.label_studio.label_config import SpanControl, span_control
from spacy_domain_ner.extraction.extractor import Entity
from spacy_domain_ner.extraction.lines import to_json
from spacy_domain_ner.reading.records import RefusedError, parse_json
from spacy_domain_ner.serving.engine import Answer, Engine
from spacy_domain_ner.serving.guard import PasswordError
from spacy_domain_ner.serving.label_studio.predictions import ReadTask, prediction, proposals, read_task, version_of
from spacy_domain_ner.serving.label_studio.training import REPLACED, RUNNING, Run, Training
from spacy_domain_ner.serving.model import KnownModel
from spacy_domain_ner.serving.pages import label_studio_page
from spacy_domain_ner.serving.requests import RequestError
from spacy_domain_ner.serving.settings import Settings
from spacy_domain_ner.text import shorten, visible

# Texts of a request that wait at once: other clients' texts wait for no more than these.
PORTION = 256
# Label Studio waits for predictions for 100 seconds.
PATIENCE = 90.0
# How many tasks that got an empty prediction a line of the log names.
TOLD = 3


class Reader(Protocol):
    """What the backend needs of the server."""

    settings: Settings
    engine: Engine

    async def read(self, texts: Sequence[str], receive: Any, expects: bool = False) -> Answer:
        """Let the model read texts."""

    async def reload_model(self) -> Any:
        """Replace the model in all processes."""


class _Read(NamedTuple):
    """What the model found in a text, or why it failed on it."""

    model: KnownModel
    found: list[Entity] | str
    expected: dict[str, float] | None


class LabelStudioBackend:
    """Label Studio's ML backend.

    Attributes:
        training: What trains when Label Studio asks for it; None where it doesn't.
    """

    def __init__(self, server: Reader, is_allowed: Callable[[Request], bool], training: Training | None) -> None:
        """Make the backend.

        Args:
            server: What reads texts.
            is_allowed: Whether a request has the server's token. Label Studio sends its password to all paths, but not
                with what it tells about annotations.
            training: What trains when Label Studio asks for it; None for nothing.
        """
        self._server = server
        self._is_allowed = is_allowed
        self.training = training
        self._control = lru_cache(maxsize=64)(span_control)
        self._told: set[str] = set()
        # What is wrong with the labelling interface of each project, by its number.
        self._interfaces: dict[str, str] = {}

    def add_routes(self, app: FastAPI) -> None:
        """Add the routes to an application."""
        app.post("/setup")(self.setup)
        app.post("/predict")(self.predict)
        app.post("/webhook")(self.webhook)
        app.get("/versions")(self.versions)
        app.get("/label-studio")(self.status)

    async def setup(self, request: Request) -> Response:
        """Label Studio connects a project: whether its labelling interface fits the model.

        The access token that it brings is not used.
        """
        asked = await _read_object(request)
        model = self._server.engine.model
        self._control_of(asked.get("schema"), asked.get("project"), model)
        return _json({"model_version": version_of(model)})

    async def predict(self, request: Request) -> Response:
        """Label Studio asks for predictions: exactly one per task, in the same order.

        A task whose text can't be read gets an empty prediction, with the reason in `error`.
        """
        asked = await _read_object(request)
        tasks = asked.get("tasks")
        if not isinstance(tasks, list):
            raise RequestError(422, "`tasks` must be a list")
        control = self._control_of(asked.get("label_config"), asked.get("project"), self._server.engine.model)
        read = [read_task(task, control, self._server.settings.max_characters) for task in tasks]
        found = iter(await self._read([each.text for each in read if not each.problem], request.receive))
        params = asked.get("params")
        context = params.get("context") if isinstance(params, dict) else None
        results = []
        for task, each in zip(tasks, read, strict=True):
            result = self._predict(each, next(found) if not each.problem else None, control)
            regions = proposals(task, each.text, context, control) if context and each.text else None
            results.append(result if regions is None else {**result, "result": regions})
        self._tell_of_empty(tasks, results)
        return _json({"results": results, "model_version": version_of(self._server.engine.model)})

    async def webhook(self, request: Request) -> Response:
        """Label Studio tells that something has happened. START_TRAINING begins to train, if nothing else does."""
        asked = await _read_object(request)
        if asked.get("action") != "START_TRAINING":
            return _json({"status": "ok"})
        if not self._is_allowed(request):
            raise PasswordError(
                "Training is begun only for who has the server's token",
                "Give it in Label Studio as the password of the model's connection.",
            )
        if self.training is None:
            return _json({"status": "ok", "training": "This server does not train: it was started without a project."})
        project = asked.get("project")
        number = project.get("id") if isinstance(project, dict) else project
        if type(number) is not int or number < 0:
            raise RequestError(422, "The request does not say which `project` it is about")
        loop = asyncio.get_running_loop()

        def ended(run: Run) -> None:
            asyncio.run_coroutine_threadsafe(self._after(run), loop)

        try:
            run = await asyncio.to_thread(self.training.start, number, ended)
        except UserError as error:
            raise RequestError(409, error.what, error.hint) from None
        return _json({"status": "ok", "training": f"Run of {_time(run.started)}: {run.step}"})

    async def versions(self) -> Response:
        """The versions of the model that there are: the one that answers."""
        return _json({"versions": [version_of(self._server.engine.model)]})

    async def status(self) -> Response:
        """How connected projects and the latest training stand."""
        run = await asyncio.to_thread(self.training.status) if self.training is not None else Run()
        log = await asyncio.to_thread(self.training.log) if self.training is not None and run.state else ""
        told = {
            "model_version": version_of(self._server.engine.model),
            "trains": self.training is not None,
            "training": run,
            "times": [_time(moment) for moment in (run.started, run.ended)],
            "is_running": run.state == RUNNING,
            "interfaces": sorted(self._interfaces.items()),
            "log": log,
        }
        return label_studio_page(told)

    async def _after(self, run: Run) -> None:
        done = await self._server.reload_model() if run.state == REPLACED else None
        _say(f"Training has ended: {run.what}" + (f" {done.in_words()}" if done is not None else ""))

    def _control_of(self, label_config: Any, project: Any, model: KnownModel) -> SpanControl:
        number = str(project).partition(".")[0][:20] if isinstance(project, str | int) else ""
        if not isinstance(label_config, str):
            raise RequestError(422, "The request has no labelling interface")
        try:
            control = self._control(label_config, tuple(model.description["types"]))
        except UserError as error:
            self._tell(number, error.what)
            raise RequestError(422, error.what, error.hint) from None
        self._tell(number, control.missing_in_words)
        return control

    def _tell(self, number: str, what: str) -> None:
        """Say what is wrong with a project's interface, once."""
        if not what:
            self._interfaces.pop(number, None)
            return
        if len(self._interfaces) < 1000:
            self._interfaces[number] = what
        if (line := f"Label Studio's project {number or 'of no number'}: {what}") not in self._told:
            self._told.add(line)
            _say(line)

    async def _read(self, texts: Sequence[str], receive: Any) -> list[_Read]:
        """Let the model read texts, portion by portion; where there is no room, it waits."""
        found: list[_Read] = []
        until = time.monotonic() + PATIENCE
        while len(found) < len(texts):
            portion = texts[len(found) : len(found) + min(PORTION, self._server.settings.queue)]
            expects = self._server.engine.model.expects
            try:
                answer = await self._server.read(portion, receive, expects)
            except RequestError as error:
                if error.status != 429 or time.monotonic() + error.retry_after > until:
                    raise
                await asyncio.sleep(error.retry_after)
                continue
            expected: Sequence[dict[str, float] | None] = answer.expected or [None] * len(portion)
            found += [_Read(answer.model, *each) for each in zip(answer.found, expected, strict=True)]
        return found

    def _predict(self, task: ReadTask, read: _Read | None, control: SpanControl) -> dict[str, Any]:
        if read is None:
            return prediction(task, [], None, control, version_of(self._server.engine.model))
        if isinstance(read.found, str):
            task, read = ReadTask(task.text, read.found), read._replace(found=[])
        assert isinstance(read.found, list)
        return prediction(task, read.found, read.expected, control, version_of(read.model))

    def _tell_of_empty(self, tasks: Sequence[Any], results: Sequence[dict[str, Any]]) -> None:
        empty = [(task, result["error"]) for task, result in zip(tasks, results, strict=True) if "error" in result]
        if empty:
            named = [
                f"task {task.get('id') if isinstance(task, dict) else '?'}: {shorten(why, 200)}" for task, why in empty
            ]
            more = f"; and {len(empty) - TOLD} more" if len(empty) > TOLD else ""
            _say(f"{len(empty)} of {len(tasks)} task(s) got an empty prediction: {'; '.join(named[:TOLD])}{more}")


async def _read_object(request: Request) -> dict[str, Any]:
    body = await request.body()
    try:
        value = await asyncio.to_thread(parse_json, body) if len(body) > 100_000 else parse_json(body)
    except RefusedError as error:
        raise RequestError(400, f"The body can't be read: {error.reason}", "Label Studio sends JSON.") from None
    if not isinstance(value, dict):
        raise RequestError(422, "The body must be a JSON object", "Label Studio sends one.")
    return value


def _json(value: Any) -> Response:
    return Response(to_json(value) + b"\n", media_type="application/json")


def _say(line: str) -> None:
    print(visible(line), file=sys.stderr, flush=True)


def _time(moment: float) -> str:
    return time.strftime("%Y-%m-%d %H:%M:%S", time.localtime(moment)) if moment else ""
