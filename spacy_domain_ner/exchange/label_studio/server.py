"""Projects, tasks and exports of a Label Studio server."""

import json
import os
import re
import time
from collections.abc import Callable, Iterable, Iterator
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from spacy_domain_ner.corpus.identity import passage_key
from spacy_domain_ner.errors import UserError
from spacy_domain_ner.exchange.label_studio.connection import ANSWER_SECONDS, TIMED_OUT, Connection, ServerError
from spacy_domain_ner.files import replacing_path

# How long a project's title may be.
TITLE_LENGTHS = range(3, 51)
# By default, nginx does not accept requests of more than 1 MB.
BATCH_BYTES = 900_000
BATCH_TASKS = 500
_TASKS_PAGE, _PROJECTS_PAGE = 500, 100
_NO_ANSWER_IN_TIME = (TIMED_OUT, 502, 503, 504)
# Label Studio Enterprise answers 404.
_NO_DIRECT_EXPORT = (404, 500, *_NO_ANSWER_IN_TIME)
_POLL_SECONDS = 2.0
_INTERFACE_HINT = (
    "domain-ner interface label-studio writes the whole labelling interface: put it into the project's settings "
    "(Labeling Interface, Code), or name a new project."
)


@dataclass(frozen=True)
class Project:
    """A project of the server.

    Attributes:
        id: Its number.
        title: Its title.
        controls: Its labelling interface as the server has parsed it: what each control is and what it labels.
        tasks: How many tasks it has.
        annotated_tasks: How many of them somebody has annotated or skipped.
    """

    id: int
    title: str
    controls: dict[str, Any]
    tasks: int = 0
    annotated_tasks: int = 0


@dataclass(frozen=True)
class LabelControl:
    """The control with which a project's annotators mark spans.

    Attributes:
        name: The `from_name` of a result.
        to_name: The `to_name` of a result.
        further_labels: The labels that the schema does not have.
    """

    name: str
    to_name: str
    further_labels: list[str]


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

    def __init__(self, url: str, token: str, answer_seconds: float = ANSWER_SECONDS) -> None:
        """Make a server; nothing is sent yet.

        Args:
            url: Its address, such as http://localhost:8080.
            token: A legacy token or a personal access token.
            answer_seconds: How long to wait for an answer.

        Raises:
            UserError: If `url` is not an address or `token` can't be a token.
        """
        self._connection = Connection(url, token, answer_seconds)

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
                return _project(self._connection.get(f"/api/projects/{int(wanted)}/"))
            except ServerError as error:
                if error.status != 404:
                    raise
        found = sorted(row["id"] for row in self._projects_like(wanted) if row["title"] == wanted)
        if len(found) > 1:
            raise UserError(
                f"{len(found)} projects have the title {wanted!r}",
                f"Give the number of one as `project`: {', '.join(map(str, found))}",
            )
        return _project(self._connection.get(f"/api/projects/{found[0]}/")) if found else None

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
        return _project(self._connection.post("/api/projects/", {"title": title, "label_config": label_config}))

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
            for batch, skipped in _batches(tasks, known, again):
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
            self._save(path, f"{base}/export", parameters, report)
        except ServerError as error:
            if error.status not in _NO_DIRECT_EXPORT:
                raise
            # A large project takes too long for one request.
            snapshot = self._make_snapshot(base, all_tasks)
            try:
                self._save(path, f"{snapshot}/download", {"exportType": "JSON"}, report)
            finally:
                # The snapshot was made for this download only.
                with suppress(ServerError):
                    self._connection.delete(snapshot)

    def _save(self, path: Path, source: str, parameters: dict[str, str], report: Callable[[int], None]) -> None:
        with (
            self._connection.download(source, **parameters) as pieces,
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
            snapshot = self._connection.post(f"{base}/exports/", options)
        except ServerError as error:
            # The Community Edition makes the snapshot before it answers, and continues when nobody waits any more.
            made = self._connection.get(f"{base}/exports/") if error.status in _NO_ANSWER_IN_TIME else []
            snapshot = next((each for each in made if each.get("title") == title), None)
            if snapshot is None:
                raise
        place = f"{base}/exports/{_part(snapshot, 'id')}"
        while _part(snapshot, "status") not in ("completed", "failed"):
            time.sleep(_POLL_SECONDS)
            snapshot = self._connection.get(place)
        if snapshot["status"] == "failed":
            raise ServerError("Label Studio could not make the export", "Its own log says why.")
        return place

    def _create(self, project: Project, batch: bytes) -> int:
        base = f"/api/projects/{project.id}"
        answer = self._connection.post(f"{base}/import", batch)
        if isinstance(answer, dict) and "import" in answer:
            # Label Studio Enterprise answers at once and imports afterwards.
            place = f"{base}/imports/{answer['import']}/"
            answer = self._connection.get(place)
            while _part(answer, "status") not in ("completed", "failed"):
                time.sleep(_POLL_SECONDS)
                answer = self._connection.get(place)
            if _part(answer, "status") == "failed":
                raise ServerError(f"Label Studio could not import the tasks: {answer.get('error')}")
        return int(_part(answer, "task_count"))

    def _passage_keys(self, project: Project) -> set[bytes]:
        """Return the keys of the passages that the project has."""
        found: set[bytes] = set()
        page = seen = 0
        while True:
            page += 1
            # This is eight times as fast with the task's data alone.
            options = {"fields": "task_only", "include": "id,data", "resolve_uri": "false"}
            answer = self._connection.get(
                "/api/tasks/", project=project.id, page=page, page_size=_TASKS_PAGE, **options
            )
            tasks = _part(answer, "tasks")
            found.update(_passage_key(task["data"]) for task in tasks)
            seen += len(tasks)
            if seen >= _part(answer, "total") or not tasks:
                return found

    def _projects_like(self, title: str) -> Iterator[dict[str, Any]]:
        page = 0
        while True:
            page += 1
            # Old servers know neither the filter nor `include`, and send all projects, page by page.
            options = {"include": "id,title", "page_size": _PROJECTS_PAGE}
            answer = self._connection.get("/api/projects/", title=title, page=page, **options)
            yield from _part(answer, "results")
            if not _part(answer, "next"):
                return


def label_control(project: Project, labels: Iterable[str]) -> LabelControl:
    """Find the control that marks spans of the tasks' `text` with the schema's labels.

    Args:
        project: The project.
        labels: The schema's labels.

    Returns:
        The control that has most of the labels.

    Raises:
        UserError: If the project's labelling interface lacks something. It names what.
    """
    name = f"The project {project.title!r} ({project.id})"
    if not project.controls:
        raise UserError(f"{name} has no labelling interface yet", _INTERFACE_HINT)
    wanted = list(labels)
    candidates = []
    for from_name, control in project.controls.items():
        for to_name, shown in zip(control.get("to_name", []), control.get("inputs", []), strict=False):
            if control.get("type") == "Labels" and shown.get("type") == "Text":
                candidates.append((from_name, to_name, shown.get("value"), control))
    if not candidates:
        there = ", ".join(f"{control.get('type')} {key!r}" for key, control in project.controls.items())
        raise UserError(f"{name} is not made to mark spans: it has no Labels on a Text, only {there}", _INTERFACE_HINT)
    with_text = [candidate for candidate in candidates if candidate[2] == "text"]
    if not with_text:
        shown = ", ".join(f"${value}" for _, _, value, _ in candidates)
        raise UserError(f"{name} shows {shown}, but the tasks have their text in $text", _INTERFACE_HINT)
    from_name, to_name, _, control = max(with_text, key=lambda it: len(set(wanted) & set(it[3].get("labels", []))))
    has = control.get("labels", [])
    missing = [label for label in wanted if label not in has]
    # Labels that come with each task can't be checked here.
    if missing and not control.get("dynamic_labels"):
        raise UserError(f"{name} lacks the label(s) {', '.join(missing)} of the schema", _INTERFACE_HINT)
    return LabelControl(from_name, to_name, [label for label in has if label not in wanted])


def for_control(tasks: Iterable[dict[str, Any]], control: LabelControl) -> Iterator[dict[str, Any]]:
    """Give tasks whose predictions are for a control, whatever it is called in the project.

    Args:
        tasks: The tasks.
        control: The control.
    """
    for task in tasks:
        for prediction in task.get("predictions", []):
            for result in prediction["result"]:
                result["from_name"], result["to_name"] = control.name, control.to_name
        yield task


def _part(answer: Any, key: str) -> Any:
    """Return a part of the server's answer; a ServerError if the answer does not have Label Studio's form."""
    if not isinstance(answer, dict) or key not in answer:
        raise ServerError(
            f"Label Studio answers in a form that is not known: there is no {key!r}",
            "Check whether `url` is the address of Label Studio, and which version it is: 1.23 is known to work.",
        )
    return answer[key]


def _project(answer: dict[str, Any]) -> Project:
    return Project(
        id=_part(answer, "id"),
        title=_part(answer, "title"),
        controls=answer.get("parsed_label_config") or {},
        tasks=answer.get("task_number") or 0,
        annotated_tasks=sum(
            answer.get(key) or 0 for key in ("num_tasks_with_annotations", "skipped_annotations_number")
        ),
    )


def _passage_key(data: dict[str, Any]) -> bytes:
    """The key of a task's passage."""
    meta = data.get("meta")
    return passage_key(str(data.get("text")), meta if isinstance(meta, dict) else {})


def _batches(tasks: Iterable[dict[str, Any]], known: set[bytes], again: bool) -> Iterator[tuple[bytes, int]]:
    """Give JSON lists of tasks that a server takes at once, each with the number of tasks left out before it."""
    batch: list[bytes] = []
    size = skipped = 0
    for task in tasks:
        key = _passage_key(task["data"])
        if key in known and not again:
            skipped += 1
            continue
        known.add(key)
        encoded = json.dumps(task, ensure_ascii=False).encode("utf8")
        if batch and (len(batch) == BATCH_TASKS or size + len(encoded) > BATCH_BYTES):
            yield b"[" + b",".join(batch) + b"]", skipped
            batch, size, skipped = [], 0, 0
        batch.append(encoded)
        size += len(encoded) + 1
    if batch or skipped:
        yield b"[" + b",".join(batch) + b"]" if batch else b"", skipped
