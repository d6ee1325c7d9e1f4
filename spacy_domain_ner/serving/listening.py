"""Listening on a port."""

import socket
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from functools import partial
from pathlib import Path

from spacy_domain_ner.errors import UserError
from spacy_domain_ner.serving.app import Service
from spacy_domain_ner.serving.readers import start_processes
from spacy_domain_ner.serving.server import run_server
from spacy_domain_ner.serving.settings import Settings


def serve(
    model: str | Path,
    settings: Settings | None = None,
    *,
    host: str = "127.0.0.1",
    port: int = 8000,
    workers: int = 1,
    started: Callable[[str, str, Sequence[str]], object] | None = None,
) -> None:
    """Answer requests for the entities of texts over HTTP, until SIGTERM or Ctrl-C.

    On either of them the server finishes what it has taken, and returns. On SIGHUP it loads the model again, and
    replaces it without a gap.

    Args:
        model: A trained model's folder, or the name of its package.
        settings: What the server is told; None takes the defaults.
        host: The address to listen on. The default can be reached from this machine only.
        port: The port; 0 takes a free one.
        workers: The number of processes that read, beside the one that answers. Each loads the model, and the cores are
            shared among them.
        started: Called when requests are answered, with the server's address, the model, and what else people should
            know, such as where an LLM gets text to read.

    Raises:
        UserError: The model can't be loaded, the port is taken, or an argument does not fit.
    """
    settings = settings or Settings()
    if workers < 1:
        raise UserError(f"`workers` is {workers}", "It must be 1 or more.")
    with _bound(host, port) as listener:
        service = Service(model, settings, partial(start_processes, model, settings, processes=workers), workers)
        address, tell = _address(host, listener), started or (lambda *_: None)
        notes = service.fallback.notes if service.fallback else []
        run_server(service, listener, lambda: tell(address, str(service.engine.model), notes))


@contextmanager
def _bound(host: str, port: int) -> Iterator[socket.socket]:
    """A socket that is bound to an address, and does not listen yet."""
    hint = "Name an address of this machine with `host`, and a free port with `port`."
    try:
        family, kind, protocol, _, address = socket.getaddrinfo(
            host, port, type=socket.SOCK_STREAM, flags=socket.AI_PASSIVE
        )[0]
        listener = socket.socket(family, kind, protocol)
    except (OSError, OverflowError, UnicodeError) as error:
        raise UserError(f"Can't listen on {host}, port {port}: {getattr(error, 'strerror', error)}", hint) from None
    with listener:
        try:
            listener.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
            listener.bind(address)
        except (OSError, OverflowError) as error:
            raise UserError(f"Can't listen on {host}, port {port}: {getattr(error, 'strerror', error)}", hint) from None
        listener.setblocking(False)
        yield listener


def _address(host: str, listener: socket.socket) -> str:
    return f"http://{f'[{host}]' if ':' in host else host}:{listener.getsockname()[1]}"
