"""Reading spaCy's binary form, DocBin, from a file that may be damaged or made to do harm."""

import zlib
from collections.abc import Iterator
from typing import TYPE_CHECKING

from spacy_domain_ner.errors import UserError, reason

if TYPE_CHECKING:
    from spacy.tokens import Doc, DocBin

# What a file may unpack to in memory: some 20 million tokens.
MOST_BYTES = 2_000_000_000
# What is smaller is not looked at; zlib packs nothing but repetitions to less than a 400th.
_SMALL_BYTES, _MOST_TIMES = 100_000_000, 400


def read_docs(data: bytes, name: str, hint: str = "Write it again.") -> Iterator["Doc"]:
    """Read the Docs of a DocBin (`.spacy`).

    Args:
        data: The file's content.
        name: The file's name, for messages.
        hint: What to do where it can't be read.

    Yields:
        The Docs.

    Raises:
        UserError: It is not a DocBin, or it is damaged.
    """
    from spacy.tokens import DocBin
    from spacy.vocab import Vocab

    number = 0
    try:
        _check_lengths(_unpacked(data))
        docs = DocBin().from_bytes(data)
        _check_parts(docs)
        for doc in docs.get_docs(Vocab()):
            _check_strings(doc)
            number += 1
            yield doc
    except UserError:
        raise
    except Exception as error:  # zlib, msgpack, numpy and spaCy each have errors of their own
        after = f" after its Doc {number}" if number else ""
        raise UserError(f"{name} is not a DocBin, or is damaged{after} ({reason(error)[:120]})", hint) from None


def _unpacked(data: bytes) -> bytes:
    """Unpack what is whole and fits into memory."""
    most = min(MOST_BYTES, max(_SMALL_BYTES, _MOST_TIMES * len(data)))
    unpack = zlib.decompressobj()
    unpacked = unpack.decompress(data, most)
    if unpack.unconsumed_tail:
        raise ValueError(f"it unpacks to more than {most // 1_000_000:,} MB")
    if not unpack.eof:
        raise ValueError("it is cut off")
    if unpack.unused_data:
        raise ValueError("something follows its end")
    return unpacked


def _check_lengths(unpacked: bytes) -> None:
    """Refuse Docs that have fewer tokens in all than the file: spaCy leaves the others out without a word."""
    import numpy
    import srsly

    parts = srsly.msgpack_loads(unpacked)
    count = int(numpy.frombuffer(parts["lengths"], dtype="int32").sum())
    if {len(parts["tokens"]), 8 * len(parts["attrs"]) * len(parts["spaces"])} != {8 * len(parts["attrs"]) * count}:
        raise ValueError("the lengths of its parts disagree")


def _check_parts(docs: "DocBin") -> None:
    """Refuse parts that do not belong together: spaCy would read some Docs only, or fail in the middle."""
    from spacy.attrs import ENT_IOB, IDS, ORTH

    attrs, count = list(docs.attrs), len(docs.tokens)
    if ORTH not in attrs or not set(attrs) <= set(IDS.values()):
        raise ValueError("its attributes are not spaCy's")
    if not all(isinstance(string, str) for string in docs.strings):
        raise ValueError("a string is not text")
    for part in (docs.spaces, docs.cats, docs.flags, docs.span_groups, docs.user_data):
        if len(part) != count:
            raise ValueError("the lengths of its parts disagree")
    for tokens, spaces, flags in zip(docs.tokens, docs.spaces, docs.flags, strict=True):
        if len(tokens) != len(spaces) or not isinstance(flags, dict):
            raise ValueError("the lengths of its parts disagree")
        # Spans outside the text and tags that are not there: spaCy checks neither.
        if ENT_IOB in attrs and len(tokens) and tokens[:, attrs.index(ENT_IOB)].max() > 3:
            raise ValueError("a token is neither in an entity nor outside")


def _check_strings(doc: "Doc") -> None:
    """Read what is read later on: a hash whose string is missing is an error."""
    if len(doc):
        _ = doc.text, [(span.text, span.label_) for span in doc.ents]
    for group in doc.spans.values():
        _ = [(span.text, span.label_, span.start_char) for span in group]
