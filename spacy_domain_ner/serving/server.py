"""Answering over sockets, and ending so that no request is lost."""

import asyncio
import itertools
import signal
import socket
import sys
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from typing import Any

import uvicorn
from uvicorn.protocols.http.httptools_impl import HttpToolsProtocol

from spacy_domain_ner.extraction.lines import to_json
from spacy_domain_ner.serving.app import Service

# Connections that wait until they are accepted.
BACKLOG = 2_048
# How long, in seconds, an idle connection stays open for a next request: longer than a proxy keeps it.
KEEP_ALIVE = 75
# How long, in seconds, a server that ends still takes requests on connections that are open. A client that has just got
# an answer may be sending the next one.
LINGER = 0.5
# The most bytes of a request's headers.
LONGEST_HEAD = 65_536


def run_server(service: Service, listener: socket.socket, started: Callable[[], object] = lambda: None) -> None:
    """Answer requests in this process until a signal ends it.

    Args:
        service: What answers.
        listener: A socket that is bound.
        started: Called when requests are answered.
    """
    config = uvicorn.Config(
        service.app,
        http=_Protocol,
        ws="none",
        loop="uvloop",
        lifespan="on",
        log_config=None,
        log_level="error",
        proxy_headers=False,
        access_log=False,
        server_header=False,
        timeout_keep_alive=KEEP_ALIVE,
        backlog=BACKLOG,
        limit_concurrency=_most_connections(),
    )
    _Server(config, service, started).run(sockets=[listener])


class _Server(uvicorn.Server):
    """uvicorn's server with an end of its own.

    uvicorn closes idle connections at once, so that a request that is under way on one is lost, and then dies by the
    signal, so that the exit code is not 0.
    """

    def __init__(self, config: uvicorn.Config, service: Service, started: Callable[[], object]) -> None:
        super().__init__(config)
        self._service = service
        self._tell_started = started
        self._tasks: set[asyncio.Task[None]] = set()

    @contextmanager
    def capture_signals(self) -> Iterator[None]:
        loop = asyncio.get_running_loop()
        for number in (signal.SIGTERM, signal.SIGINT):
            loop.add_signal_handler(number, self._end)
        loop.add_signal_handler(signal.SIGHUP, self._reload)
        yield

    def _end(self) -> None:
        # The second signal does not wait.
        self.force_exit = self.should_exit
        self.should_exit = True

    def _reload(self) -> None:
        async def reload() -> None:
            print((await self._service.reload_model()).in_words(), file=sys.stderr, flush=True)

        task = asyncio.get_running_loop().create_task(reload())
        self._tasks.add(task)
        task.add_done_callback(self._tasks.discard)

    async def startup(self, sockets: list[socket.socket] | None = None) -> None:
        await super().startup(sockets)
        self._tell_started()

    async def shutdown(self, sockets: list[socket.socket] | None = None) -> None:
        self._service.engine.is_ending = True
        for sock in sockets or ():
            await self._accept_waiting(sock)
        for server in self.servers:
            server.close()
        state, lingers_until = self.server_state, time.monotonic() + LINGER
        ends_at = time.monotonic() + LINGER + 2 * self._service.settings.timeout
        while state.connections and not self.force_exit and time.monotonic() < ends_at:
            if time.monotonic() >= lingers_until:
                for connection in list(state.connections):
                    connection.shutdown()
            await asyncio.sleep(0.02)
        await self.lifespan.shutdown()

    async def _accept_waiting(self, sock: socket.socket) -> None:
        """Accept the connections that wait, which would be refused when the socket is closed."""
        loop = asyncio.get_running_loop()
        loop.remove_reader(sock)
        with suppress(OSError):
            while True:
                accepted, _ = sock.accept()
                accepted.setblocking(False)
                await loop.connect_accepted_socket(self._make_protocol, accepted)

    def _make_protocol(self) -> asyncio.Protocol:
        protocol: Any = self.config.http_protocol_class
        return protocol(config=self.config, server_state=self.server_state, app_state=self.lifespan.state)


class _Protocol(HttpToolsProtocol):
    """uvicorn's protocol, which ends a connection whose request does not arrive in time, or has a head without end.

    uvicorn waits for ever for the rest of a request's head, and keeps whatever comes.
    """

    def __init__(self, *arguments: Any, **settings: Any) -> None:
        super().__init__(*arguments, **settings)
        self._deadline: asyncio.TimerHandle | None = None
        self._is_refused = False
        # Bytes that have come of a head whose end has not.
        self._head: int | None = None

    def connection_made(self, transport: Any) -> None:
        super().connection_made(transport)
        self._set_deadline()

    def data_received(self, data: bytes) -> None:
        if self._is_refused:
            return
        super().data_received(data)
        if self._head is not None:
            self._head += len(data)
            if self._head > LONGEST_HEAD and not self._is_refused:
                self.send_400_response("")
        is_waiting = self.cycle is None or self.cycle.response_complete
        if is_waiting and self._deadline is None:
            self._set_deadline()
        elif not is_waiting and self._deadline is not None:
            self._deadline.cancel()
            self._deadline = None

    def on_message_begin(self) -> None:
        super().on_message_begin()
        self._head = 0

    def on_headers_complete(self) -> None:
        self._head = None
        if sum(map(len, itertools.chain.from_iterable(self.headers))) > LONGEST_HEAD:
            raise ValueError  # what the parser makes of it is answered with 400
        super().on_headers_complete()

    def connection_lost(self, exc: Exception | None) -> None:
        if self._deadline is not None:
            self._deadline.cancel()
        super().connection_lost(exc)

    def _set_deadline(self) -> None:
        self._deadline = self.loop.call_later(self._seconds, self._too_slow)

    @property
    def _seconds(self) -> float:
        service: Service = self.config.app.state.service  # type: ignore[union-attr]
        return service.settings.timeout

    def _too_slow(self) -> None:
        self._deadline = None
        if self.cycle is not None:
            # What comes after an answer: the next request, or the rest of a body that was refused.
            self.transport.close()
        elif not self.transport.is_closing():
            self._refuse(b"408 Request Timeout", "The request did not arrive in time")

    def send_400_response(self, msg: str) -> None:
        self._refuse(b"400 Bad Request", "This is not an HTTP request that can be read")

    def _refuse(self, status: bytes, what: str) -> None:
        """Answer what can't be read, and read on for a moment: a client that still sends would else get a reset."""
        self._is_refused = True
        body = to_json({"error": what}) + b"\n"
        self.transport.write(
            b"HTTP/1.1 %b\r\ncontent-type: application/json\r\nconnection: close\r\ncontent-length: %d\r\n\r\n%b"
            % (status, len(body), body)
        )
        self.transport.write_eof()
        self.loop.call_later(1, self.transport.close)


def _most_connections() -> int:
    """As many as this process may have files open, less some for the model and the log."""
    import resource

    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    wanted = 16_384 if hard == resource.RLIM_INFINITY else min(hard, 16_384)
    if soft < wanted:
        with suppress(OSError, ValueError):
            resource.setrlimit(resource.RLIMIT_NOFILE, (wanted, hard))
            soft = wanted
    return max(32, soft - 128)
