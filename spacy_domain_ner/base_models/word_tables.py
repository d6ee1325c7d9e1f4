"""Word tables: what the CPU base model knows about words, taken from a pre-trained encoder."""

import json
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy

from spacy_domain_ner.components.word_pieces import INSIDE, split
from spacy_domain_ner.errors import UserError

SHIPPED = Path(__file__).with_name("words")


def load_word_table(words: str) -> bytes:
    """Read a word table, for the layer that embeds word pieces.

    Args:
        words: The name of a table that comes with this package (`minilm`), or a table's file.

    Returns:
        The file's content.

    Raises:
        UserError: If there is none.
    """
    shipped = SHIPPED / f"{words}.safetensors"
    path = shipped if shipped.is_file() else Path(words)
    if not path.is_file():
        raise UserError(
            f"There is no word table {words!r}", "Make it: weasel run configure (the setting `words` names it)"
        )
    return path.read_bytes()


def build_word_table(pieces: Sequence[str], vectors: numpy.ndarray, about: Mapping[str, Any]) -> bytes:
    """Make a word table: the pieces that can occur, and a row of whole numbers and its scale for each.

    Args:
        pieces: The vocabulary, in the order of the rows.
        vectors: The encoder's table.
        about: How its tokenizer takes words apart: `lowercase`, `strip_accents`, `split_cjk`, `unknown`; and whatever
            else is worth keeping.

    Returns:
        The content of a safetensors file; always the same for the same input.
    """
    rows = [number for number, piece in enumerate(pieces) if piece == about["unknown"] or _occurs(piece, about)]
    kept = vectors[rows].astype("f")
    # With a mean of 0 and values of about 1, one learning rate suits the tables of all encoders.
    kept -= kept.mean(axis=0)
    kept /= numpy.sqrt((kept**2).mean())
    scales = (numpy.abs(kept).max(axis=1, keepdims=True) / 127).astype("float16")
    values = numpy.clip(numpy.rint(kept / scales.astype("f")), -127, 127).astype("int8")
    text = "\n".join(pieces[row] for row in rows).encode()
    return _safetensors(
        {"values": values, "scales": scales, "pieces": numpy.frombuffer(text, "uint8")},
        {"words": json.dumps(dict(about), sort_keys=True)},
    )


def _occurs(piece: str, about: Mapping[str, Any]) -> bool:
    """Whether the tokenizer can come to a piece: never to [unused7], or to a capital among small letters."""
    inside = piece.startswith(INSIDE) and len(piece) > len(INSIDE)
    # What a piece continues: the letter shows whether they are one part.
    text = f"a{piece.removeprefix(INSIDE)}" if inside else piece
    return split(text, about["lowercase"], about["strip_accents"], about["split_cjk"]) == [text]


def _safetensors(tensors: Mapping[str, numpy.ndarray], metadata: Mapping[str, str]) -> bytes:
    # The library writes metadata in a new order each time; the same table must always be the same file.
    kinds = {"int8": "I8", "uint8": "U8", "float16": "F16"}
    header: dict[str, Any] = {"__metadata__": dict(metadata)}
    parts, start = [], 0
    for name, tensor in tensors.items():
        parts.append(tensor.tobytes())
        end = start + len(parts[-1])
        header[name] = {
            "dtype": kinds[tensor.dtype.name],
            "shape": list(tensor.shape),
            "data_offsets": [start, end],
        }
        start = end
    head = json.dumps(header).encode()
    head += b" " * (-len(head) % 8)
    return len(head).to_bytes(8, "little") + head + b"".join(parts)
