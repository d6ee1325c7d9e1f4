"""A random sample of what was read, in a file: what monitoring looks at."""

import os
import random
import time
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from spacy_domain_ner.errors import UserError
from spacy_domain_ner.extraction.extractor import Entity
from spacy_domain_ner.extraction.lines import to_json


class SampleLog:
    """Adds each passage to a file with the same probability, as one JSON line with that probability.

    Several processes may add to one file: each line is written whole, at its end.

    Attributes:
        failures: How often the file could not be written.
    """

    def __init__(self, path: Path, share: float) -> None:
        """Open the file.

        Args:
            path: The file. What is in it stays.
            share: The probability of each passage, above 0 up to 1.

        Raises:
            UserError: It can't be written.
        """
        self._share = share
        self.failures = 0
        try:
            # Passages are nobody else's business.
            self._file = os.open(path, os.O_WRONLY | os.O_APPEND | os.O_CREAT, 0o600)
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
            os.write(self._file, to_json(line) + b"\n")
        except OSError:
            self.failures += 1

    def close(self) -> None:
        """Close the file."""
        os.close(self._file)
