"""What is read at once: batches that end by number or by size."""

import pytest

from spacy_domain_ner.extraction import batches
from spacy_domain_ner.extraction.batches import in_batches


def test_a_batch_ends_by_the_number_of_its_items_or_by_their_size(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(batches, "BATCH_SIZE", 100)
    sizes = [10, 10, 10, 10, 90, 20, 500, 1]
    items = [f"{number}" + "x" * (size - 1) for number, size in enumerate(sizes, 1)]
    assert [[item[0] for item in batch] for batch in in_batches(items, 3, len)] == [
        ["1", "2", "3"],
        ["4", "5"],
        ["6", "7"],
        ["8"],
    ]
