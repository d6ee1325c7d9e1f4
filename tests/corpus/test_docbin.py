"""A damaged or hostile DocBin is one error, whoever reads it."""

import random
import zlib
from collections.abc import Callable
from contextlib import suppress
from pathlib import Path
from typing import Any

import pytest
import spacy
import srsly
from spacy.tokens import DocBin, Span

from spacy_domain_ner.corpus.docbin import read_docs
from spacy_domain_ner.errors import UserError
from spacy_domain_ner.exchange.importing import import_annotations
from spacy_domain_ner.training.recipe import read_set


def docbin() -> bytes:
    nlp = spacy.blank("en")
    docs = DocBin(store_user_data=True)
    for text in ("Redis is slow in eu-west", "checkout-api calls Kafka", "東京 🚀"):
        doc = nlp(text)
        doc.set_ents([Span(doc, 0, 1, label="SERVICE")])
        doc.spans["sc"] = [Span(doc, 0, 1, label="TEAM")]
        doc.user_data["meta"] = {"source": "page-1"}
        docs.add(doc)
    return docs.to_bytes()


WHOLE = docbin()
UNPACKED = zlib.decompress(WHOLE)


def changed(**parts: Any) -> bytes:
    """The same DocBin with other parts."""
    return zlib.compress(srsly.msgpack_dumps({**srsly.msgpack_loads(UNPACKED), **parts}))


def without(part: str) -> bytes:
    parts = srsly.msgpack_loads(UNPACKED)
    del parts[part]
    return zlib.compress(srsly.msgpack_dumps(parts))


PARTS = srsly.msgpack_loads(UNPACKED)
DAMAGED: dict[str, bytes] = {
    "nothing": b"",
    "cut off": WHOLE[:-40],
    "cut off within the checksum": WHOLE[:-1],
    "something after it": WHOLE + b"more",
    "not packed": UNPACKED,
    "another thing, packed": zlib.compress(b"hello"),
    "a list, packed": zlib.compress(srsly.msgpack_dumps([1, 2])),
    "cut off before it was packed": zlib.compress(UNPACKED[:200]),
    "a zlib bomb": zlib.compress(b"\0" * 120_000_000),
    "nested too deeply": zlib.compress(b"\x91" * 1_000_000),
    "a list that says it is long": zlib.compress(b"\xdd\xff\xff\xff\xff"),
    "no attributes": changed(attrs=[]),
    "attributes that are not spaCy's": changed(attrs=[65, 99_999]),
    "attributes that are names": changed(attrs=["ORTH"] * len(PARTS["attrs"])),
    "strings that are missing": changed(strings=[]),
    "strings that are others": changed(strings=["a", "b"]),
    "strings that are numbers": changed(strings=[1, 2]),
    "one string": changed(strings="Redis"),
    "fewer lengths than tokens": changed(lengths=PARTS["lengths"][:-4]),
    "more lengths than tokens": changed(lengths=PARTS["lengths"] * 2),
    "a length below 0": changed(lengths=b"\xff\xff\xff\xff" + PARTS["lengths"][4:]),
    "half a length": changed(lengths=PARTS["lengths"][:-2]),
    "fewer spaces than tokens": changed(spaces=PARTS["spaces"][1:]),
    "half a token": changed(tokens=PARTS["tokens"][:-4]),
    "tokens of ones": changed(tokens=b"\xff" * len(PARTS["tokens"])),
    "fewer flags than Docs": changed(flags=[{}]),
    "flags that are numbers": changed(flags=[1, 2, 3]),
    "user data that is broken": changed(user_data=[b"\xc1"] * 3),
    "span groups that are broken": changed(span_groups=[b"\xc1\xff"] * 3),
    **{f"without {part}": without(part) for part in ("attrs", "tokens", "spaces", "lengths", "strings", "cats")},
}


@pytest.mark.parametrize("kind", DAMAGED)
def test_a_damaged_docbin_is_one_error(kind, tmp_path):
    path = tmp_path / "train.spacy"
    path.write_bytes(DAMAGED[kind])
    readers: dict[str, Callable[[], object]] = {
        "import": lambda: import_annotations([path], tmp_path / "out.jsonl"),
        "train": lambda: read_set(path),
    }
    for reader, read in readers.items():
        with pytest.raises(UserError) as raised:
            read()
        assert str(path) in raised.value.what
        # What does not begin as a DocBin does may be any file for an import.
        assert "DocBin" in raised.value.what or reader == "import"
    assert not (tmp_path / "out.jsonl").exists()


def test_bytes_that_are_flipped_are_an_error_or_give_docs():
    """Whatever was changed before it was packed, so that no checksum tells."""
    chance = random.Random(0)
    for _ in range(150):
        flipped = bytearray(UNPACKED)
        for _ in range(3):
            flipped[chance.randrange(len(flipped))] = chance.randrange(256)
        with suppress(UserError):
            assert len(list(read_docs(zlib.compress(bytes(flipped)), "a.spacy"))) == 3


def test_what_is_whole_is_read(tmp_path: Path):
    path = tmp_path / "train.spacy"
    path.write_bytes(WHOLE)
    assert [(len(passage.spans), passage.text) for passage in read_set(path)] == [
        (1, "Redis is slow in eu-west"),
        (1, "checkout-api calls Kafka"),
        (1, "東京 🚀"),
    ]
    assert list(read_docs(DocBin().to_bytes(), "empty.spacy")) == []
