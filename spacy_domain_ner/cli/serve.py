"""domain-ner serve"""

import ipaddress
import os
import sys
from collections.abc import Sequence
from pathlib import Path

import typer

import spacy_domain_ner as ner
from spacy_domain_ner.cli._app import verb
from spacy_domain_ner.cli._messages import msg
from spacy_domain_ner.cores import shared_cores
from spacy_domain_ner.errors import UserError


@verb("serve")
def serve_cli(
    model: str = typer.Argument(..., help="Trained model: a folder or an installed package"),
    host: str = typer.Option("127.0.0.1", help="Address to listen on; by default only this machine can reach it"),
    port: int = typer.Option(8000, min=0, max=65535, help="Port; 0 takes a free one"),
    workers: int = typer.Option(1, "--workers", "-w", help="Number of processes; each loads the model"),
    max_batch: int = typer.Option(64, help="Passages that the model reads at once"),
    max_wait_ms: float = typer.Option(2.0, help="Milliseconds that a passage waits for others to share its batch"),
    queue: int = typer.Option(2000, help="Passages that may wait, per process; more are refused for a while (429)"),
    max_characters: int = typer.Option(100_000, help="Characters of a passage; a longer one is refused in its place"),
    max_passages: int = typer.Option(1000, help="Passages of a request"),
    max_body: int = typer.Option(8_000_000, help="Bytes of a request's body"),
    timeout: float = typer.Option(30.0, help="Seconds that a request may take to arrive, and an answer to be found"),
    token_env: str = typer.Option(
        "DOMAIN_NER_TOKEN", help="Environment variable with a token that requests must bring; not set: none"
    ),
    cors: list[str] = typer.Option(
        [], help="Web pages of this origin may ask, such as https://example.org, or * for all. Can be repeated"
    ),
    log: Path = typer.Option(None, help="Write a random sample of the passages with their entities to this file"),
    log_share: float = typer.Option(0.05, help="With --log: share of the passages, above 0 up to 1"),
    log_days: int = typer.Option(
        None, help="With --log: write a file per day (LOG-2026-11-29.jsonl), and remove those older than so many days"
    ),
    schema: Path = typer.Option(
        None, help="Entity types, whose definitions are shown; by default those of the package"
    ),
    metrics: Path = typer.Option(
        None, help="Scores that `evaluate` wrote, to be shown; by default those of the package"
    ),
    label_studio: bool = typer.Option(
        False, "--label-studio", help="Be an ML backend of Label Studio, too; the token is the password it is given"
    ),
    train_in: Path = typer.Option(
        None, help="With --label-studio: train in this project's folder when Label Studio asks for it"
    ),
    llm: Path = typer.Option(
        None, help="The decision.json of `llm evaluate`: an LLM finds the types that it decided for. Text goes there"
    ),
) -> None:
    """Answer requests for the entities of texts over HTTP, and show a page to try the model.

    Ctrl-C or SIGTERM ends the server after what it has taken is done; SIGHUP loads the model again without a gap.
    """
    token = os.environ.get(token_env, "")
    settings = ner.Settings(
        max_batch=max_batch,
        max_wait_ms=max_wait_ms,
        queue=queue,
        max_characters=max_characters,
        max_passages=max_passages,
        max_body=max_body,
        timeout=timeout,
        token=token,
        cors=tuple(cors),
        log=log,
        log_share=log_share,
        log_days=log_days,
        schema=schema,
        metrics=metrics,
        label_studio=label_studio,
        train_in=train_in,
        llm=llm,
    )

    def started(address: str, name: str, notes: Sequence[str]) -> None:
        msg.plain(f"{name} answers at {address}, and its routes are listed at {address}/docs", sys.stderr)
        if not token and not _is_loopback(host):
            msg.plain(f"Others may reach it, and no token is asked for: {token_env} is not set.", sys.stderr)
        for note in notes:
            msg.plain(note, sys.stderr)
        sys.stderr.flush()

    try:
        # Before numpy is imported, which starts its threads then.
        with shared_cores(max(1, workers), kept=1):
            ner.serve(model, settings, host=host, port=port, workers=workers, started=started)
    except ModuleNotFoundError as error:
        if error.name not in ("fastapi", "uvicorn", "starlette", "httptools", "uvloop"):
            raise
        raise UserError(f"{error.name} is not installed", "pip install 'spacy-domain-ner[serve]'") from None


def _is_loopback(host: str) -> bool:
    try:
        return host == "localhost" or ipaddress.ip_address(host).is_loopback
    except ValueError:
        return False
