"""What tests compare of projects."""

import json
from pathlib import Path
from typing import Any


def without_requirement(path: Path) -> Any:
    """A file of a project without the line on where its package came from: that differs by installation."""
    if path.name == "requirements.txt":
        return [line for line in path.read_text("utf8").splitlines() if "spacy-domain-ner" not in line]
    if path.name == ".domain-ner.json":
        record = json.loads(path.read_bytes())
        del record["files"]["requirements.txt"]
        return record
    return path.read_bytes()
