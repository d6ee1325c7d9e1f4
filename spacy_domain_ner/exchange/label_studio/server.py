"""Projects, tasks and exports of a Label Studio server."""

import json
import os
import re
from collections.abc import Callable, Iterable, Iterator
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from spacy_domain_ner.errors import UserError
from spacy_domain_ner.exchange.label_studio.answers import (
    Control,
    Form,
    ImportBegun,
    ImportDone,
    ImportJob,
    Job,
    PredictionsCreated,
    ProjectAnswer,
    ProjectRow,
    ProjectsPage,
    TaskRow,
    TasksPage,
    read,
)
from spacy_domain_ner.exchange.label_studio.batches import in_batches, new_tasks, task_key
from spacy_domain_ner.exchange.label_studio.connection import ANSWER_SECONDS, TIMEOUT_SECONDS, Connection
from spacy_domain_ner.exchange.label_studio.failures import TIMED_OUT, ServerError, shown
from spacy_domain_ner.files import replacing_path

# How long a project's title may be.
TITLE_LENGTHS = range(3, 51)
_TASKS_PAGE, _PROJECTS_PAGE = 500, 100
_NO_ANSWER_IN_TIME = (TIMED_OUT, 502, 503, 504)
# Label Studio Enterprise answers 404.
_NO_DIRECT_EXPORT = (404, 500, *_NO_ANSWER_IN_TIME)
_POLL_SECONDS = 2.0
_ENDED = ("completed", "failed")
_GOES_ON = ("created", "queued", "pending", "in_progress")


@dataclass(frozen=True)
class Project:
    """A project of the server.

    Attributes:
        id: Its number.
        title: Its title.
        controls: The controls of its labelling interface by their names.
        label_config: Its labelling interface, as XML.
        tasks: How many tasks it has.
        annotated_tasks: How many of them somebody has annotated or skipped.
    """

    id: int
    title: str
    controls: dict[str, Control]
    label_config: str = ""
    tasks: int = 0
    annotated_tasks: int = 0


@dataclass(frozen=True)
class Imported:
    """How far an import of tasks is.

    Attributes:
        created: How many tasks are new.
        skipped: How many the project had already.
    """

    created: int
    skipped: int


class LabelStudioServer:
    """A Label Studio server, with the rights of the token's user.

    All methods raise a UserError if the server can't be reached or refuses the request.
    """

    def __init__(
        self, url: str, token: str, answer_seconds: float = ANSWER_SECONDS, timeout: float = TIMEOUT_SECONDS
    ) -> None:
        """Make a server; nothing is sent yet.

        Args:
            url: Its address, such as http://localhost:8080.
            token: A legacy token or a personal access token.
            answer_seconds: How long to wait for a whole answer, or for the next piece of an export.
            timeout: How many seconds to wait for the server in all.

        Raises:
            UserError: If `url` is not an address, `token` can't be a token, or `timeout` is not above 0.
        """
        self._connection = Connection(url, token, answer_seconds, timeout)

    def __enter__(self) -> "LabelStudioServer":
        return self

    def __exit__(self, *_: object) -> None:
        self._connection.close()

    def address_of(self, project: Project) -> str:
        """Return the address at which a browser shows the project."""
        return f"{self._connection.url}/projects/{project.id}/data"

    def find_project(self, id_or_title: str) -> Project | None:
        """Find a project.

        Args:
            id_or_title: Its number or its exact title; a number is tried first.

        Returns:
            The project; None where there is none.

        Raises:
            UserError: If several projects have the title.
        """
        wanted = id_or_title.strip()
        if not wanted:
            raise UserError("`project` is empty", "Give a project's number or title.")
        if re.fullmatch(r"[0-9]{1,9}", wanted):
            try:
                return self._project(self._connection.get(f"/api/projects/{int(wanted)}/"))
            except ServerError as error:
                if error.status != 404:
                    raise
        found = sorted(row.id for row in self._projects_like(wanted) if row.title == wanted)
        if len(found) > 1:
            raise UserError(
                f"{len(found)} projects have the title {wanted!r}",
                f"Give the number of one as `project`: {', '.join(map(str, found))}",
            )
        return self._project(self._connection.get(f"/api/projects/{found[0]}/")) if found else None

    def existing_project(self, id_or_title: str) -> Project:
        """Find a project that must exist.

        Args:
            id_or_title: Its number or its exact title.

        Returns:
            The project.

        Raises:
            UserError: If there is none, or several have the title.
        """
        project = self.find_project(id_or_title)
        if project is None:
            raise UserError(
                f"The token's user sees no project {id_or_title!r} at {self._connection.url}",
                "Give its number (it is in the address of its page) or its exact title as `project`.",
            )
        return project

    def create_project(self, title: str, label_config: str) -> Project:
        """Make a project.

        Args:
            title: Its title.
            label_config: Its labelling interface, as XML.

        Returns:
            The project.
        """
        title = title.strip()
        if len(title) not in TITLE_LENGTHS:
            raise UserError(
                f"The title {title!r} has {len(title)} characters",
                "Label Studio takes 3 to 50: change `project`.",
            )
        # Label Studio lets people who were removed make projects that nobody can open.
        user = self._connection.get("/api/current-user/whoami")
        if isinstance(user, dict) and user.get("active_organization", "not said") is None:
            raise UserError(
                "The token's user belongs to no organization of Label Studio", "Ask its owner for an invitation."
            )
        return self._project(self._connection.post("/api/projects/", {"title": title, "label_config": label_config}))

    def import_tasks(
        self,
        project: Project,
        tasks: Iterable[dict[str, Any]],
        again: bool = False,
        report: Callable[[Imported], None] = lambda _: None,
    ) -> Imported:
        """Create tasks, batch by batch; tasks that the project has already (same text, same source) are left out.

        Args:
            project: The project.
            tasks: The tasks as Label Studio imports them: {"data": {"text", "meta"}, "predictions": [...]}.
            again: Whether to create the tasks that the project has already, too.
            report: Called after each batch with what was done so far.

        Returns:
            What was done.

        Raises:
            ServerError: If the server refuses something. It says how many tasks were created before that.
        """
        done = Imported(0, 0)
        try:
            known = set() if again else self._passage_keys(project)
            for batch, skipped in new_tasks(tasks, known, again):
                created = self._create(project, batch) if batch else 0
                done = Imported(done.created + created, done.skipped + skipped)
                report(done)
        except ServerError as error:
            hint = f"{error.hint}\nTasks that the project has already are left out when the same is done again."
            what = f"{error.what}\n{done.created} task(s) had been created before that."
            raise ServerError(what, hint.strip(), error.status) from None
        return done

    def download_export(
        self,
        project: Project,
        path: Path,
        all_tasks: bool = False,
        report: Callable[[int], None] = lambda _: None,
    ) -> None:
        """Download the project's export in the form JSON; the file is written as a whole or not at all.

        Args:
            project: The project.
            path: The file to write.
            all_tasks: Whether to download the tasks that nobody has annotated, too.
            report: Called with the number of bytes of each piece.
        """
        parameters = {"exportType": "JSON", "download_all_tasks": "true" if all_tasks else "false"}
        base = f"/api/projects/{project.id}"
        try:
            # Where the server fails at this, it would fail again: a snapshot helps.
            self._save(path, f"{base}/export", parameters, report, once=True)
        except ServerError as error:
            if error.status not in _NO_DIRECT_EXPORT:
                raise
            # A large project takes too long for one request.
            snapshot = self._make_snapshot(base, all_tasks)
            try:
                self._save(path, f"{snapshot}/download", {"exportType": "JSON"}, report, once=False)
            finally:
                # The snapshot was made for this download only.
                with suppress(ServerError):
                    self._connection.delete(snapshot)

    def _save(
        self, path: Path, source: str, parameters: dict[str, str], report: Callable[[int], None], once: bool
    ) -> None:
        with (
            self._connection.download(source, once, **parameters) as pieces,
            replacing_path(path) as beside,
            beside.open("wb") as stream,
        ):
            for piece in pieces:
                stream.write(piece)
                report(len(piece))

    def _make_snapshot(self, base: str, all_tasks: bool) -> str:
        title = f"domain-ner {os.urandom(4).hex()}"
        options = {"title": title, "task_filter_options": {"only_with_annotations": not all_tasks}}
        try:
            snapshot = self._read(Job, self._connection.post(f"{base}/exports/", options))
        except ServerError as error:
            # The Community Edition makes the snapshot before it answers, and continues when nobody waits any more.
            made = self._connection.get(f"{base}/exports/") if error.status in _NO_ANSWER_IN_TIME else []
            rows = made if isinstance(made, list) else []
            found = [each for each in rows if isinstance(each, dict) and each.get("title") == title]
            if not found:
                raise
            snapshot = self._read(Job, found[0])
        place = f"{base}/exports/{snapshot.id}"
        while not self._has_ended(snapshot):
            self._connection.pause(_POLL_SECONDS)
            snapshot = self._read(Job, self._connection.get(place))
        if snapshot.status == "failed":
            raise ServerError("Label Studio could not make the export", "Its own log says why.")
        return place

    def _create(self, project: Project, batch: bytes) -> int:
        base = f"/api/projects/{project.id}"
        answer = self._connection.post(f"{base}/import", batch)
        if not (isinstance(answer, dict) and "import" in answer):
            return self._read(ImportDone, answer).task_count
        # Label Studio Enterprise answers at once and imports afterwards.
        place = f"{base}/imports/{self._read(ImportBegun, answer).number}/"
        answer = self._connection.get(place)
        while not self._has_ended(self._read(ImportJob, answer)):
            self._connection.pause(_POLL_SECONDS)
            answer = self._connection.get(place)
        job = self._read(ImportJob, answer)
        if job.status == "failed":
            raise ServerError(f"Label Studio could not import the tasks: {shown(str(job.error))}")
        return self._read(ImportDone, answer).task_count

    def task_pages(self, project: Project, *further: str) -> Iterator[list[TaskRow]]:
        """Give the tasks of a project, page by page.

        Args:
            project: The project.
            further: What else is asked of each task, beside its number and its data; that takes longer.

        Yields:
            The tasks of a page that no page before had.

        Raises:
            ServerError: The server refuses, or its pages have no end.
        """
        # This is eight times as fast with the task's data alone.
        options = {"fields": "all" if further else "task_only", "include": ",".join(("id", "data", *further))}
        seen: set[int] = set()
        page = 0
        while True:
            page += 1
            answer = self._connection.get(
                "/api/tasks/", project=project.id, page=page, page_size=_TASKS_PAGE, resolve_uri="false", **options
            )
            part = self._read(TasksPage, answer)
            new = [task for task in part.tasks if task.id not in seen]
            seen.update(task.id for task in new)
            yield new
            if len(seen) >= part.total or not part.tasks:
                return
            if not new:
                raise self._connection.failures.unknown_form(
                    f"page {page} of the tasks has nothing new, and more are said to follow", answer
                )

    def create_predictions(self, project: Project, predictions: Iterable[dict[str, Any]]) -> Iterator[int]:
        """Create predictions of tasks, batch by batch.

        Args:
            project: The project.
            predictions: The predictions, each with its `task`, `result`, `score` and `model_version`.

        Yields:
            How many were created, after each batch.
        """
        for batch in in_batches(json.dumps(each, ensure_ascii=False).encode("utf8") for each in predictions):
            answer = self._connection.post(f"/api/projects/{project.id}/import/predictions", batch)
            yield self._read(PredictionsCreated, answer).created

    def _passage_keys(self, project: Project) -> set[bytes]:
        """Return the keys of the passages that the project has."""
        return {task_key(task.data) for page in self.task_pages(project) for task in page}

    def _projects_like(self, title: str) -> Iterator[ProjectRow]:
        page = 0
        seen: set[int] = set()
        while True:
            page += 1
            # Old servers know neither the filter nor `include`, and send all projects, page by page.
            options = {"include": "id,title", "page_size": _PROJECTS_PAGE}
            answer = self._connection.get("/api/projects/", title=title, page=page, **options)
            part = self._read(ProjectsPage, answer)
            new = [row for row in part.results if row.id not in seen]
            yield from new
            if not part.next:
                return
            if not new:
                raise self._connection.failures.unknown_form(
                    f"page {page} of the projects has nothing new, and names a page after it", answer
                )
            seen.update(row.id for row in new)

    def _project(self, answer: object) -> Project:
        found = self._read(ProjectAnswer, answer)
        return Project(
            id=found.id,
            title=found.title or "",
            controls=found.parsed_label_config or {},
            label_config=found.label_config or "",
            tasks=found.task_number or 0,
            annotated_tasks=(found.num_tasks_with_annotations or 0) + (found.skipped_annotations_number or 0),
        )

    def _has_ended(self, job: Job | ImportJob) -> bool:
        if job.status not in _ENDED + _GOES_ON:
            why = f"the status '{shown(job.status)}' says neither that it continues nor that it has ended"
            raise self._connection.failures.unknown_form(why, job.model_dump())
        return job.status in _ENDED

    def _read(self, form: type[Form], answer: object) -> Form:
        return read(form, answer, self._connection.failures)
