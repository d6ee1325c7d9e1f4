"""Training when Label Studio asks for it: one run at a time, in a process of its own that outlives the server.

    python -m spacy_domain_ner.serving.label_studio.training PROJECT MODEL NUMBER

The run pulls what was annotated, trains with `weasel run all`, and compares the new model with the one that is served,
on the evaluation set of today. Where it is not worse, it takes the served one's place.
"""

import os
import shutil
import subprocess
import sys
import time
from collections.abc import Callable
from contextlib import suppress
from dataclasses import asdict, dataclass, replace
from pathlib import Path
from threading import Thread
from typing import Any

import srsly

from spacy_domain_ner.errors import UserError, reason
from spacy_domain_ner.files import WriteError, at_work, replacing, replacing_path
from spacy_domain_ner.text import visible

# In the project's folder.
FOLDER = "label_studio"
NEW_MODEL = Path("training/model-best")
EVALUATION = Path("corpus/eval.jsonl")
# What a run of the server needs to pull: the token that /setup brings is never used.
URL, TOKEN = "LABEL_STUDIO_URL", "LABEL_STUDIO_TOKEN"
# How much of the log a page shows, in bytes.
_LOG_SHOWN = 8_000
RUNNING, REPLACED, KEPT, FAILED, INTERRUPTED = "running", "replaced", "kept", "failed", "interrupted"


@dataclass(frozen=True)
class Run:
    """A run of training.

    Attributes:
        state: `running`; `replaced` where the new model is served; `kept` where the old one stays; `failed`;
            `interrupted` where the run was killed; "" where there was none yet.
        step: What it does, or did last.
        what: What there is to say of it, in a sentence.
        started: When it began, in seconds since 1970.
        ended: When it ended; 0 where it has not.
        project: The number of Label Studio's project.
    """

    state: str = ""
    step: str = ""
    what: str = ""
    started: float = 0.0
    ended: float = 0.0
    project: int = 0


class Training:
    """Starts runs, and says how they stand.

    Attributes:
        folder: Where the project keeps what is about its runs: `training.json` and `training.log`.
    """

    def __init__(self, project: Path, model: object) -> None:
        """Check that a run could begin.

        Args:
            project: The project's folder.
            model: What is served: it must be a folder.

        Raises:
            UserError: It could not. It says why.
        """
        self._project = project.resolve()
        self._model = Path(model).resolve() if isinstance(model, str | Path) else Path(os.devnull)
        if not (project / "project.yml").is_file():
            raise UserError(f"{project} has no project.yml (`train_in`)", "Name the folder of a generated project.")
        if not self._model.is_dir():
            raise UserError(
                f"{model} is not a folder, so a new model can't take its place", f"Serve a copy: {self._copy()}"
            )
        if (self._project / NEW_MODEL.parent) in self._model.parents:
            raise UserError(
                f"{model} is where the project trains: a worse model would take its place, too",
                f"Serve a copy: {self._copy()}",
            )
        missing = [name for name in (URL, TOKEN) if not os.environ.get(name, "").strip()]
        if missing:
            raise UserError(
                f"{' and '.join(missing)} are not set: nothing could be pulled" if len(missing) > 1
                else f"{missing[0]} is not set: nothing could be pulled",
                "Set the server's address and a token of it in the environment.",
            )  # fmt: skip
        self.folder = self._project / FOLDER

    def _copy(self) -> str:
        return f"cp -r {self._project / NEW_MODEL} {self._project / 'served'}"

    def start(self, number: int, ended: Callable[[Run], object]) -> Run:
        """Start a run, unless one is under way.

        Args:
            number: The number of Label Studio's project.
            ended: Called in another thread when the run has ended.

        Returns:
            How it stands; where another one is under way, that one.

        Raises:
            WriteError: The project's folder can't be written.
        """
        try:
            # Label Studio may ask twice at once, or two servers: one of them starts, and the log stays that run's.
            with at_work(self.folder / "training.log"):
                before = self.status()
                return before if before.state == RUNNING else self._begin(number, ended)
        except WriteError:
            raise
        except UserError:
            return self.status()

    def _begin(self, number: int, ended: Callable[[Run], object]) -> Run:
        begun = Run(RUNNING, "starting", started=time.time(), project=number)
        _write(self.folder, begun)
        command = [sys.executable, "-m", __name__, str(self._project), str(self._model), str(number)]
        with (self.folder / "training.log").open("wb") as log:
            process = subprocess.Popen(
                command, cwd=self._project, env={**os.environ, "NO_COLOR": "1"}, stdin=subprocess.DEVNULL, stdout=log,
                stderr=log, start_new_session=True,
            )  # fmt: skip

        def wait() -> None:
            process.wait()
            ended(self.status())

        Thread(target=wait, name="training", daemon=True).start()
        return begun

    def status(self) -> Run:
        """How the latest run stands."""
        run = _read(self.folder)
        # It has taken the lock within this time, or died.
        if run.state != RUNNING or (run.step == "starting" and time.time() - run.started < 60) or self._is_locked():
            return run
        return replace(run, state=INTERRUPTED, what="The run was ended from outside. The old model stays.")

    def log(self) -> str:
        """The end of the latest run's log."""
        with suppress(OSError), (self.folder / "training.log").open("rb") as stream:
            stream.seek(max(0, stream.seek(0, os.SEEK_END) - _LOG_SHOWN))
            return "\n".join(map(visible, stream.read().decode("utf8", "replace").splitlines()))
        return ""

    def _is_locked(self) -> bool:
        try:
            with at_work(self.folder / "training.json"):
                return False
        except UserError:
            return True


def run(project: Path, model: Path, number: int) -> Run:
    """Pull, train, compare, and let the new model take the place of the served one where it is not worse.

    Args:
        project: The project's folder.
        model: The folder of the model that is served.
        number: The number of Label Studio's project.

    Returns:
        How it went.
    """
    folder = project / FOLDER
    with at_work(folder / "training.json"):
        now = Run(RUNNING, "pulling", started=time.time(), project=number)
        try:
            variables = (srsly.read_yaml(project / "project.yml") or {}).get("vars") or {}
            annotations = Path(variables.get("annotations", "assets/annotations.jsonl"))
            if (project / annotations).is_dir():
                annotations /= "label_studio.jsonl"
            pull = ["spacy_domain_ner", "label-studio", "pull", str(annotations), "--project", str(number)]
            steps = {"pulling": pull, "training": ["weasel", "run", "all"]}
            for step, command in steps.items():
                now = replace(now, step=step)
                _write(folder, now)
                done = subprocess.run(
                    [sys.executable, "-m", *command], cwd=project, stdin=subprocess.DEVNULL, check=False
                )
                if done.returncode:
                    raise UserError(f"{step} failed (exit code {done.returncode}), and the log says why")
            now = replace(now, step="comparing")
            _write(folder, now)
            is_worse, what = _compare(project, model)
            if not is_worse:
                _copy_model(project / NEW_MODEL, model)
            now = replace(now, state=KEPT if is_worse else REPLACED, what=what)
        except UserError as error:
            now = replace(now, state=FAILED, what=f"{error.what}. The old model stays.")
        except Exception as error:  # of any library: the page says that it has ended
            now = replace(now, state=FAILED, what=f"{reason(error)}. The old model stays.")
            raise
        finally:
            now = replace(now, ended=time.time())
            _write(folder, now)
            print(now.what, flush=True)
    return now


def _compare(project: Path, model: Path) -> tuple[bool, str]:
    """Compare the new model with the served one on today's evaluation set: whether it is worse, and a sentence."""
    from spacy_domain_ner.evaluation.successor import compare_successor

    found = compare_successor(project / NEW_MODEL, model, project / EVALUATION, project / "entity_types.yml")
    return found.is_worse, f"{found} {'The old model stays.' if found.is_worse else 'It is served.'}"


def _copy_model(new: Path, model: Path) -> None:
    with replacing_path(model, folder=True) as beside:
        shutil.copytree(new, beside)


def _read(folder: Path) -> Run:
    try:
        values: dict[str, Any] = srsly.read_json(folder / "training.json")
        return Run(**values)
    except (OSError, ValueError, TypeError):
        return Run()


def _write(folder: Path, run: Run) -> None:
    with replacing(folder / "training.json") as stream:
        stream.write(srsly.json_dumps(asdict(run), indent=2) + "\n")


if __name__ == "__main__":
    # What is served goes before what trains.
    os.nice(10)
    sys.exit(run(Path(sys.argv[1]), Path(sys.argv[2]), int(sys.argv[3])).state == FAILED)
