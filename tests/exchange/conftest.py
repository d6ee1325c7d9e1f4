"""Importing a file of any format, as the tests of the formats and policies do it."""

import json
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest

from spacy_domain_ner.corpus import Passage, read_valid_passages
from spacy_domain_ner.exchange.import_report import ImportReport
from spacy_domain_ner.exchange.importing import import_annotations
from spacy_domain_ner.exchange.policies import Policies


@dataclass
class Imported:
    """What an import wrote, and its report."""

    passages: list[Passage]
    report: ImportReport

    @property
    def mentions(self) -> list[list[tuple[str, str]]]:
        """The text and label of each span, per passage."""
        return [[(passage.surface(span), span.label) for span in passage.spans] for passage in self.passages]

    @property
    def texts(self) -> list[str]:
        return [passage.text for passage in self.passages]

    def reasons(self, kind: str) -> list[str]:
        """Why something was changed, refused or left out."""
        return [entry.reason for entry in self.report.shown[kind]]


@pytest.fixture
def imported(tmp_path: Path) -> Callable[..., Imported]:
    """Import a file's content (a text, bytes, or a value to write as JSON) and see that the counts balance."""

    def imported(content: Any, name: str = "export.json", policies: Policies = Policies(), **options: Any) -> Imported:
        return import_content(tmp_path, content, name, policies, **options)

    return imported


def import_content(folder: Path, content: Any, name: str, policies: Policies, **options: Any) -> Imported:
    path = folder / name
    if not isinstance(content, (str, bytes)):
        content = json.dumps(content)
    path.write_bytes(content if isinstance(content, bytes) else content.encode("utf8"))
    output = folder / "imported" / "annotations.jsonl"
    output.parent.mkdir(exist_ok=True)
    report = import_annotations([path], output, policies, **options)
    passages, spans = report.passages, report.spans
    assert passages["read"] == passages["kept"] + passages["refused"] + passages["left out"], report
    assert spans["read"] == spans["kept"] + spans["refused"] + spans["merged"] + spans["left out"], report
    return Imported(read_valid_passages(output), report)
