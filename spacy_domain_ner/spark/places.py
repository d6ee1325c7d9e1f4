"""The folders of a job: what it reads, what it writes, and which run they belong to."""

import json
import re
import uuid
from collections.abc import Mapping
from typing import Any

from spacy_domain_ner.errors import UserError
from spacy_domain_ner.spark.storage import Storage

# In the checkpoint and in the output: which run they belong to. Readers take what begins so for hidden.
_RUN = ".spark-extract.json"
_STAGED = ".batch-"
_WILDCARDS = re.compile(r"[*?\[{]")


class Places:
    """Where a job reads and writes.

    Attributes:
        inputs: What is read, with its file system.
        output: The folder that is written.
        checkpoint: The folder in which Spark keeps what is done.
    """

    def __init__(self, storage: Storage, inputs: str, output: str, checkpoint: str) -> None:
        """Look at the paths.

        Raises:
            UserError: One of them is in another.
        """
        self._storage = storage
        self.inputs, self.output, self.checkpoint = map(storage.whole, (inputs, output, checkpoint))
        read = _WILDCARDS.split(self.inputs)[0]
        read = read if read == self.inputs else read.rpartition("/")[0]
        for one, other, names in (
            (self.output, read, ("output", "inputs")),
            (read, self.output, ("inputs", "output")),
            (self.checkpoint, read, ("checkpoint", "inputs")),
            (self.checkpoint, self.output, ("checkpoint", "output")),
            (self.output, self.checkpoint, ("output", "checkpoint")),
        ):
            if one == other or one.startswith(f"{other}/"):
                raise UserError(
                    f"The {names[0]} {one} is in the {names[1]} {other}", "Name folders that are beside each other."
                )

    def input_files(self) -> list[tuple[str, int]]:
        """The files of the input with their sizes in bytes.

        Raises:
            UserError: There is none.
        """
        found = [file for place in self._storage.found(self.inputs) for file in self._storage.files_in(place)]
        if not found:
            raise UserError(
                f"There is no file in {self.inputs}",
                "Name a file, a folder or a path with wildcards. Names that begin with a dot or an underscore are "
                "hidden from Spark.",
            )
        return found

    def claim(self, run: Mapping[str, Any]) -> bool:
        """Take the checkpoint and the output for a run, or see that they are its own.

        Args:
            run: What the output depends on, as JSON holds it.

        Returns:
            Whether an earlier run has finished a batch.

        Raises:
            UserError: They belong to another run, or to something else.
        """
        run = {**run, "inputs": self.inputs, "output": self.output}
        storage, own = self._storage, f"{self.checkpoint}/{_RUN}"
        resumed = bool(storage.names(f"{self.checkpoint}/stream/commits"))
        if storage.exists(own):
            before = _parsed(storage.read(own))
            _compare(before, run, self.checkpoint)
            marked = storage.exists(f"{self.output}/{_RUN}")
            if marked and _parsed(storage.read(f"{self.output}/{_RUN}")).get("id") != before.get("id"):
                raise self._of_another()
            if resumed and not marked:
                raise UserError(
                    f"{self.checkpoint} says that a part is done, and it is not in {self.output}",
                    "Put the output back; or name a new checkpoint and a new output, to begin anew.",
                )
        else:
            if storage.names(self.checkpoint):
                raise UserError(
                    f"{self.checkpoint} is not the checkpoint of an extraction", "Name a new folder as `checkpoint`."
                )
            if storage.names(self.output):
                raise self._of_another()
            before = {**run, "id": uuid.uuid4().hex}
            storage.write(own, json.dumps(before, indent=2) + "\n")
        if not storage.exists(f"{self.output}/{_RUN}"):
            storage.write(f"{self.output}/{_RUN}", json.dumps(before, indent=2) + "\n")
        for name in storage.names(self.output):
            # Of runs that were killed.
            if name.startswith(_STAGED):
                storage.delete(f"{self.output}/{name}")
        return resumed

    def staged(self) -> str:
        """A new folder for the files of a batch, of which no reader takes notice."""
        return f"{self.output}/{_STAGED}{uuid.uuid4().hex}"

    def place(self, staged: str, batch: int, suffix: str) -> None:
        """Give the files of a batch their places. What an earlier try of the same batch has placed is removed.

        Args:
            staged: The folder in which they are.
            batch: The number of the batch.
            suffix: How their names end.
        """
        storage, begin = self._storage, f"batch-{batch:06d}-"
        for name in storage.names(self.output):
            if name.startswith(begin):
                storage.delete(f"{self.output}/{name}")
        files = [name for name in storage.names(staged) if name.startswith("part-")]
        for number, name in enumerate(files):
            storage.move(f"{staged}/{name}", f"{self.output}/{begin}{number:05d}{suffix}")
        storage.delete(staged)

    def _of_another(self) -> UserError:
        return UserError(
            f"{self.output} has files, and {self.checkpoint} is not the checkpoint that they were written with",
            "Name that checkpoint to resume, or an empty folder as `output`.",
        )


def _parsed(text: str) -> dict[str, Any]:
    try:
        found = json.loads(text)
    except ValueError:
        found = None
    return found if isinstance(found, dict) else {}


def _compare(before: Mapping[str, Any], run: Mapping[str, Any], checkpoint: str) -> None:
    """See that a run is the one that a checkpoint was made by.

    Raises:
        UserError: It is not.
    """
    for name, value in run.items():
        if before.get(name) != value:
            raise UserError(
                f"{checkpoint} was made with another {_NAMES.get(name, f'`{name}`')}: {_shown(before.get(name))}, and "
                f"now it is {_shown(value)}",
                "What is done was written with that. Give the same again to resume; or name a new checkpoint and a new "
                "output, to begin anew.",
            )


_NAMES = {"model": "model", "versions": "version"}


def _shown(value: Any) -> str:
    if isinstance(value, dict) and {"name", "version", "digest"} <= value.keys():
        return f"{value['name']} {value['version']} ({value['digest']})"
    if isinstance(value, list):
        return " ".join(map(str, value)) or "none"
    return "none" if value is None else str(value)
