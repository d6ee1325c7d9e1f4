"""A random sample of what was read, in a file: what monitoring looks at."""

import os
import random
import re
import time
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from spacy_domain_ner.errors import UserError
from spacy_domain_ner.extraction.extractor import Entity
from spacy_domain_ner.extraction.lines import to_json


class SampleLog:
    """Adds each passage to a file with the same probability, as one JSON line with that probability.

    Several processes may add to one file: each line is written whole, at its end. With a number of days to keep, each
    day (UTC) has a file of its own, named after it, and older ones are removed when a new one is begun.

    Attributes:
        failures: How often the file could not be written.
    """

    def __init__(self, path: Path, share: float, days: int | None = None) -> None:
        """Open the file.

        Args:
            path: The file. What is in it stays.
            share: The probability of each passage, above 0 up to 1.
            days: Keep the files of so many days, `sample-2026-11-29.jsonl` for `sample.jsonl`; None writes one file and
                removes nothing.

        Raises:
            UserError: It can't be written.
        """
        self._path, self._share, self._days = path, share, days
        self.failures = 0
        try:
            self._day = "" if days is None else _day()
            self._file = self._open()
        except OSError as error:
            raise UserError(f"Can't write {path}: {error.strerror}", "Name another file for `log`.") from None

    def add(self, record: Mapping[str, Any], entities: list[Entity], model: Mapping[str, str]) -> None:
        """Write a passage, or not.

        Args:
            record: The passage: `text`, and `id` and `meta` where it has them.
            entities: What the model found in it, all of it.
            model: The model's identity.
        """
        if random.random() >= self._share:
            return
        line = {
            **{key: record[key] for key in ("id", "text", "meta") if key in record},
            "entities": [entity.to_dict() for entity in entities],
            "model": model,
            "time": time.strftime("%Y-%m-%dT%H:%M:%SZ", time.gmtime()),
            "inclusion_probability": self._share,
        }
        try:
            if self._days is not None and _day() != self._day:
                self._next_day()
            os.write(self._file, to_json(line) + b"\n")
        except OSError:
            self.failures += 1

    def close(self) -> None:
        """Close the file."""
        os.close(self._file)

    def _open(self) -> int:
        path = self._path
        if self._days is not None:
            path = path.with_name(f"{path.stem}-{self._day}{path.suffix}")
            self._remove_old(self._days)
        # Passages are nobody else's business.
        return os.open(path, os.O_WRONLY | os.O_APPEND | os.O_CREAT, 0o600)

    def _next_day(self) -> None:
        before, self._day = self._file, _day()
        self._file = self._open()
        os.close(before)

    def _remove_old(self, days: int) -> None:
        """Remove the files of days that are over for longer than they are to be kept."""
        first = _day(time.time() - days * 86_400)
        name = re.compile(rf"{re.escape(self._path.stem)}-(\d{{4}}-\d\d-\d\d){re.escape(self._path.suffix)}")
        for path in self._path.parent.iterdir():
            if (found := name.fullmatch(path.name)) and found[1] < first:
                # Another process may have removed it.
                path.unlink(missing_ok=True)


def _day(moment: float | None = None) -> str:
    return time.strftime("%Y-%m-%d", time.gmtime(moment))
