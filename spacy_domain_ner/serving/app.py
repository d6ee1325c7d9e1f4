"""The application: its routes, and what they answer."""

import asyncio
import os
from collections.abc import AsyncIterator, Callable, Iterator, MutableMapping, Sequence
from contextlib import asynccontextmanager
from functools import partial
from pathlib import Path
from typing import Any

from fastapi import FastAPI, Request, Response
from fastapi.middleware.cors import CORSMiddleware
from spacy.language import Language
from starlette.exceptions import HTTPException

from spacy_domain_ner.errors import UserError
from spacy_domain_ner.extraction.extractor import Thresholds
from spacy_domain_ner.extraction.lines import to_json
from spacy_domain_ner.serving.crew import Crew, Reloaded
from spacy_domain_ner.serving.engine import Answer, Engine, Job, QueueFullError
from spacy_domain_ner.serving.fallback import ServedFallback
from spacy_domain_ner.serving.guard import App, GoneError, Guard, Receive, Send, error_answer, has_token
from spacy_domain_ner.serving.label_studio.backend import LabelStudioBackend
from spacy_domain_ner.serving.label_studio.training import Training
from spacy_domain_ner.serving.metrics import Metrics
from spacy_domain_ner.serving.model import KnownModel, ServedModel
from spacy_domain_ner.serving.pages import docs_page, main_page
from spacy_domain_ner.serving.readers import DeadReaderError, Reader
from spacy_domain_ner.serving.requests import ExtractRequest, RequestError, Wanted, read_request, write_answer
from spacy_domain_ner.serving.sampling import SampleLog
from spacy_domain_ner.serving.settings import Settings
from spacy_domain_ner.version import __version__

# After so many seconds without an answer a client is watched: whether it goes. Most have their answer by then.
PATIENCE = 0.1
# Thresholds that were asked for and are kept: those of so many different requests.
KEPT_THRESHOLDS = 256


def create_app(model: str | Path | Language, settings: Settings | None = None) -> FastAPI:
    """Make the application that answers over HTTP, for any ASGI server.

        app = create_app("en_software_ner", Settings(max_batch=32))

    The model is loaded at once, in this process, so that whatever is wrong with it is known before the server listens.

    Args:
        model: A trained model's folder, the name of its package, or a pipeline that is loaded already.
        settings: What the server is told; None takes the defaults, which ask for no token.

    Returns:
        The application.

    Raises:
        UserError: The model can't be loaded, or a file that the settings name can't be read or written.
    """
    settings = settings or Settings()

    def start(_: int) -> list[Reader]:
        if started and isinstance(model, Language):
            raise UserError("The model was given as a pipeline, and not as the name of a folder or package")
        started.append(True)
        return [Reader(ServedModel(model, settings), settings)]

    started: list[bool] = []
    return Service(model, settings, start).app


class Service:
    """Readers, and the routes.

    Attributes:
        settings: What the server was told.
        fallback: The LLM that helps the model; None where there is none.
        engine: What lets the readers work.
        metrics: What has been counted.
        app: The application.
    """

    def __init__(
        self, model: str | Path | Language, settings: Settings, start: Callable[[int], list[Reader]], workers: int = 1
    ) -> None:
        """Start the readers and make the application.

        Args:
            model: What the readers load.
            settings: What the server is told.
            start: Starts so many readers.
            workers: How many there are.

        Raises:
            UserError: The model can't be loaded, or a file that the settings name can't be read or written.
        """
        self.settings = settings
        log = settings.log
        self._log = None if log is None else SampleLog(log, settings.log_share, settings.log_days)
        training = Training(settings.train_in, model) if settings.train_in is not None else None
        self.engine = Engine(start(workers), settings)
        self.metrics = Metrics()
        self._crew = Crew(self.engine, start, workers)
        self.fallback: ServedFallback | None = None
        if settings.llm is not None:
            self.fallback = ServedFallback(settings.llm, self.engine.model, settings.timeout)
        # Each takes a while to find, and a client asks for the same ones again and again.
        self._thresholds: dict[Any, Thresholds] = {}
        self._label_studio = LabelStudioBackend(
            self, lambda request: has_token(request.scope["headers"], settings.token, by_password=True), training
        )
        self.app = self._make_app()

    def _make_app(self) -> FastAPI:
        app = _Application(
            title="Entities",
            description="The entities of texts, with types, offsets and confidence.",
            version=__version__,
            docs_url=None,
            redoc_url=None,
            redirect_slashes=False,
            lifespan=self._lifespan,
        )
        app.state.service = self
        for kind in (HTTPException, RequestError, Exception):
            app.add_exception_handler(kind, _failed)
        body = {"requestBody": {"required": True, "content": {"application/json": {"schema": _schema_of_request()}}}}
        app.post("/extract", openapi_extra=body)(self.extract)
        app.get("/model")(self.model)
        app.post("/model/reload")(self.reload)
        app.get("/metrics")(self.show_metrics)
        app.get("/health")(self.health)
        app.get("/ready")(self.ready)
        app.get("/", include_in_schema=False)(self.page)
        app.get("/docs", include_in_schema=False)(self.docs)
        if self.settings.label_studio:
            self._label_studio.add_routes(app)
        paths = frozenset(route.path for route in app.routes if hasattr(route, "path"))
        app.front = Guard(
            partial(FastAPI.__call__, app),
            settings=self.settings,
            metrics=self.metrics,
            paths=paths,
            direct={("POST", "/extract"): self._extract},
            is_ending=lambda: self.engine.is_ending,
        )
        if self.settings.cors:
            app.front = CORSMiddleware(
                app.front,
                allow_origins=list(self.settings.cors),
                allow_methods=["GET", "POST"],
                allow_headers=["Authorization", "Content-Type"],
            )
        return app

    @asynccontextmanager
    async def _lifespan(self, _: FastAPI) -> AsyncIterator[None]:
        yield
        await self.engine.close()
        if self.fallback is not None:
            self.fallback.close()
        if self._log is not None:
            self._log.close()

    async def extract(self, request: Request) -> Response:
        """Find the entities in one text, or in many passages.

        A passage that can't be read has an `error` in its place; the others have `entities`, each with `name`, `type`,
        `start`, `end` (exclusive) and `confidence`. `model` says which model has read them.
        """
        # Only described here: the guard asks `_extract`.
        return Response(await self._extract(await request.body(), request.receive), media_type="application/json")

    async def _extract(self, body: bytes, receive: Receive) -> bytes:
        wanted = read_request(body, self.settings)
        model = self.engine.model
        asked = wanted.request
        await self._find_thresholds(model, asked)
        if asked.expected and not model.expects:
            raise RequestError(422, "This model gives no expected number of entities", "Leave out `expected`.")
        answer = Answer(model, [], [])
        if texts := wanted.texts:
            # How many entities are expected decides which passages an LLM is asked about.
            expects = asked.expected or (self.fallback is not None and model.expects)
            answer = await self.read(texts, receive, expects)
            if self.fallback is not None:
                answer = await self.fallback.complete(texts, answer)
        self._count(wanted, answer)
        return to_json(write_answer(wanted, answer, await self._find_thresholds(answer.model, asked)))

    async def _find_thresholds(self, model: KnownModel, asked: ExtractRequest) -> Thresholds:
        given = asked.min_confidence
        if given is None and asked.precision is None:
            return Thresholds({})
        names = tuple(given.items()) if isinstance(given, dict) else given
        key = model.identity["digest"], names, asked.precision, asked.keep_unproven
        if key not in self._thresholds:
            if not self.engine.readers:
                raise RequestError(503, "The model is being started again", "Try again in a few seconds.")
            try:
                found = await self.engine.readers[0].thresholds(given, asked.precision, asked.keep_unproven)
            except UserError as error:
                raise RequestError(422, error.what, error.hint) from None
            if len(self._thresholds) >= KEPT_THRESHOLDS:
                self._thresholds.clear()
            self._thresholds[key] = found
        return self._thresholds[key]

    async def read(self, texts: Sequence[str], receive: Receive, expects: bool = False) -> Answer:
        """Let the model read texts, in the batches of all requests.

        Args:
            texts: The texts, at least one.
            receive: ASGI's way to learn that the client has gone; what the model has not read then is left out.
            expects: Whether the expected numbers of entities are asked, too.

        Returns:
            The model, and what it found in each text.

        Raises:
            RequestError: There is no room for them, or no answer in time.
            GoneError: The client has gone.
        """
        try:
            job = self.engine.submit(texts, expects)
        except QueueFullError as error:
            raise RequestError(
                429, f"{self.engine.waiting} passages wait already, and there is no room for {len(texts)} more",
                "Try again later, or use `domain-ner extract` for files.", max(1.0, error.seconds),
            ) from None  # fmt: skip
        loop = asyncio.get_running_loop()
        watching = loop.call_later(min(PATIENCE, self.settings.timeout), self._watch, job, receive)
        try:
            return await job.answer
        except DeadReaderError:
            raise RequestError(
                500, "The process that read this request has ended, and so has the one after it",
                "Send its passages one by one, to see which of them does that.",
            ) from None  # fmt: skip
        finally:
            watching.cancel()

    def _watch(self, job: Job, receive: Receive) -> None:
        """Give a request up whose client goes, or that takes too long."""

        def late() -> None:
            what = f"There was no answer within {self.settings.timeout:g} seconds"
            job.give_up(RequestError(503, what, "Send fewer passages at once."))

        timer = asyncio.get_running_loop().call_later(max(0.0, self.settings.timeout - PATIENCE), late)
        gone = asyncio.ensure_future(receive())
        gone.add_done_callback(lambda _: job.give_up(GoneError()))

        def done(_: object) -> None:
            timer.cancel()
            gone.cancel()

        job.answer.add_done_callback(done)

    def _count(self, wanted: Wanted, answer: Answer) -> None:
        metrics = self.metrics
        readable = [record for record in wanted.records if isinstance(record, dict)]
        refused = len(wanted.records) - len(readable)
        for record, entities in zip(readable, answer.found, strict=True):
            if isinstance(entities, str):
                refused += 1
                continue
            for entity in entities:
                metrics.count("domain_ner_entities_total", type=entity.type)
                if entity.confidence is not None:
                    metrics.observe("domain_ner_confidence", entity.confidence, type=entity.type)
            if self._log is not None:
                self._log.add(record, entities, answer.model.identity)
        for told in answer.llm:
            if told.get("sent"):
                metrics.count("domain_ner_llm_passages_total", result="failed" if "error" in told else "answered")
        metrics.count("domain_ner_passages_refused_total", refused)
        metrics.count("domain_ner_passages_total", len(wanted.records) - refused)

    async def model(self) -> Response:
        """What is known of the model: its types with definitions and thresholds, and its scores."""
        helped = {} if self.fallback is None else {"llm": self.fallback.description}
        return _json({**self.engine.model.description, **helped})

    async def reload(self) -> Response:
        """Load the model again from where it came from, and let it answer in place of the old one.

        Requests are answered all the while. If the new one can't be loaded, or fails on a first passage, the old one
        stays. Only a server with a token does this.
        """
        if not self.settings.token:
            raise RequestError(
                403, "This server has no token, so it does not reload", "Start it with one (--token-env)."
            )
        done = await self.reload_model()
        if done.problem:
            raise RequestError(409, f"The old model stays: {done.problem}", "Fix the model, and try again.")
        return _json({"model": done.model, "before": done.before})

    async def reload_model(self) -> Reloaded:
        """Replace the model in all readers, and count it."""
        done = await self._crew.reload()
        self.metrics.count("domain_ner_reloads_total", result="failed" if done.problem else "done")
        return done

    async def show_metrics(self) -> Response:
        """Counts of requests, passages and entities, times and confidences, as Prometheus reads them."""
        metrics, engine = self.metrics, self.engine
        metrics.set("domain_ner_queue_passages", engine.waiting)
        metrics.set("domain_ner_batches_total", engine.batches)
        metrics.set("domain_ner_workers", len(engine.readers))
        metrics.set("domain_ner_log_failures_total", self._log.failures if self._log is not None else 0)
        metrics.set("domain_ner_resident_bytes", sum(map(_resident_bytes, {os.getpid(), *self._pids()})))
        for key in [key for key in metrics.values if key[0] == "domain_ner_model_info"]:
            del metrics.values[key]
        metrics.set("domain_ner_model_info", 1, **engine.model.identity)
        return Response(metrics.to_text(), media_type="text/plain; version=0.0.4; charset=utf-8")

    def _pids(self) -> Iterator[int]:
        return (reader.pid for reader in self.engine.readers)

    async def health(self) -> Response:
        """Whether the server lives."""
        return _json({"status": "ok"})

    async def ready(self) -> Response:
        """Whether the model is loaded and warm, and the server takes requests."""
        if self.engine.is_ending:
            raise RequestError(503, "The server is about to end", "Ask another one.")
        if not self.engine.readers:
            raise RequestError(503, "The model is being started again", "Try again in a few seconds.")
        return _json({"status": "ready", "model": self.engine.model.identity})

    async def page(self) -> Response:
        """A page on which a person tries the model."""
        return main_page()

    async def docs(self) -> Response:
        """The routes, on a page that loads nothing from elsewhere."""
        return docs_page(self.app.openapi())


class _Application(FastAPI):
    """FastAPI's application behind what stands before it: FastAPI's own layers take longer than all the rest."""

    front: App

    async def __call__(self, scope: MutableMapping[str, Any], receive: Receive, send: Send) -> None:
        await self.front(scope, receive, send)


def _json(value: Any) -> Response:
    return Response(to_json(value) + b"\n", media_type="application/json")


async def _failed(_: Request, error: Exception) -> Response:
    status, headers, body = error_answer(error)
    return Response(body + b"\n", status, {name.decode(): value.decode() for name, value in headers})


def _schema_of_request() -> dict[str, Any]:
    return ExtractRequest.model_json_schema()


def _resident_bytes(pid: int) -> int:
    try:
        pages = int(Path(f"/proc/{pid}/statm").read_text(encoding="ascii").split()[1])
    except (OSError, ValueError, IndexError):
        return 0
    import resource

    return pages * resource.getpagesize()
