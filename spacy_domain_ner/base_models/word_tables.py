"""Word tables: what the CPU base model knows about words before training, taken from a pre-trained encoder."""

import json
import re
from collections.abc import Iterator, Mapping, Sequence
from hashlib import sha256
from pathlib import Path
from typing import Any

import numpy

from spacy_domain_ner.base_models.encoders import read_encoder, refused
from spacy_domain_ner.base_models.presets import HUB_NAME, read_presets
from spacy_domain_ner.components.word_pieces import ARCHITECTURE, DEFAULT, INSIDE, Table, split
from spacy_domain_ner.errors import UserError, reason
from spacy_domain_ner.files import replacing_path

SHIPPED = Path(__file__).with_name("words")
NONE = "none"
SUFFIX = ".safetensors"
# Of how many values the levels are found.
SAMPLE = 1_000_000


def fill_in_words(config: dict[str, Any], words: str | None, folder: Path) -> list[dict[str, Any]]:
    """Put a word table into a config's layers of word pieces whose `words` is null, or do without.

    Args:
        config: The config, which is changed.
        words: `minilm`, a preset's name, a hub's owner/name, an encoder's folder, or a table's file; `none` for a table
            of the training passages' own words. None changes nothing.
        folder: Gets the table of an encoder, as `words/NAME-HASH.safetensors`.

    Returns:
        What is known of each table that the config then names: `name`, `source`, `licence`.

    Raises:
        UserError: If there is no such encoder, or its vocabulary is not WordPiece.
    """
    layers = list(_word_layers(config))
    empty = [layer for layer in layers if layer.get("words") is None]
    if words == NONE:
        for layer in empty:
            _know_none(layer)
        layers = list(_word_layers(config))
    elif words is not None and empty:
        named = _find_table(words, folder)
        for layer in empty:
            layer["words"] = named
    used = dict.fromkeys(str(layer.get("words") or DEFAULT) for layer in layers)
    return [about_words(load_word_table(name)) for name in used]


def load_word_table(words: str) -> bytes:
    """Read a word table, for the layer that embeds word pieces.

    Args:
        words: The name of a table that comes with this package (`minilm`), or a table's file.

    Returns:
        The file's content.

    Raises:
        UserError: If there is none.
    """
    shipped = SHIPPED / f"{words}{SUFFIX}"
    path = shipped if shipped.is_file() else Path(words)
    hint = "Make it again in the project's folder: weasel run configure . --force"
    if not path.is_file():
        raise UserError(f"There is no word table {words}", hint)
    content = path.read_bytes()
    try:
        about_words(content)
    except (ValueError, KeyError, TypeError, AttributeError) as error:
        raise UserError(f"{path} is not a word table, or it is damaged: {reason(error)[:100]}", hint) from error
    return content


def about_words(content: bytes) -> dict[str, Any]:
    """What a word table says of itself: `name`, `source` (the encoder), `licence`; and how words are taken apart."""
    return Table(content).about


def build_word_table(pieces: Sequence[str], vectors: numpy.ndarray, about: Mapping[str, Any]) -> bytes:
    """Make a word table: the pieces that can occur, and for each a row of numbers of four bits, and its scale.

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
    kept /= max(float(numpy.sqrt((kept**2).mean())), 1e-6)
    if kept.shape[1] % 2:
        kept = numpy.pad(kept, ((0, 0), (0, 1)))
    scales = numpy.maximum(numpy.sqrt((kept**2).mean(axis=1, keepdims=True)), 1e-3).astype("float16")
    scaled = kept / scales.astype("f")
    levels = _levels(scaled)
    codes = numpy.searchsorted((levels[1:] + levels[:-1]) / 2, scaled).astype("uint8")
    text = "\n".join(pieces[row] for row in rows).encode()
    return _safetensors(
        {
            "levels": levels,
            "scales": scales,
            "codes": codes[:, ::2] | codes[:, 1::2] << 4,
            "pieces": numpy.frombuffer(text, "uint8"),
        },
        {"words": json.dumps(dict(about), sort_keys=True)},
    )


def _levels(values: numpy.ndarray) -> numpy.ndarray:
    """The 16 numbers that stand best for many (Lloyd's algorithm)."""
    some = numpy.sort(values.reshape(-1)[:: max(1, values.size // SAMPLE)])
    levels = numpy.quantile(some, (numpy.arange(16) + 0.5) / 16)
    sums = numpy.concatenate([[0.0], numpy.cumsum(some, dtype="f8")])
    for _ in range(100):
        ends = numpy.searchsorted(some, [-numpy.inf, *(levels[1:] + levels[:-1]) / 2, numpy.inf])
        counts = numpy.diff(ends)
        levels = numpy.where(counts, numpy.diff(sums[ends]) / numpy.maximum(counts, 1), levels)
    return numpy.sort(levels).astype("f")


def encoder_table(name: str, encoder: str, licence: str = "", source: str = "") -> bytes:
    """Make the word table of an encoder.

    Args:
        name: What the table is called.
        encoder: A hub's owner/name, or a folder.
        licence: The licence of the weights; what its page states where this is "".
        source: What the encoder is called in the model card; its own name where this is "".

    Raises:
        UserError: If the encoder can't be used.
    """
    found = read_encoder(encoder)
    # A folder's place says nothing elsewhere, and perhaps too much.
    source = source or (Path(encoder).resolve().name if Path(encoder).is_dir() else encoder)
    about = {"name": name, "source": source, "licence": licence or found.licence or "not stated"}
    return build_word_table(found.pieces, found.vectors, {**about, **found.tokenizer})


def _find_table(words: str, folder: Path) -> str:
    """The name or the file of the table that an encoder has; it is made where it is missing."""
    presets = {preset.name: preset for preset in read_presets()}
    if words == DEFAULT or words.endswith(SUFFIX):
        load_word_table(words)
        return words
    known = presets.get(words)
    if known and known.hub and not known.words:
        raise refused(words, known.architecture.rpartition(", ")[2])
    encoder = known.hub if known else words
    if not encoder or not (known or Path(words).is_dir() or HUB_NAME.fullmatch(words)):
        raise UserError(
            f"`words` is {words!r}, which is neither a known encoder, nor a folder, nor a hub name (owner/name)",
            f"Choose one of: {', '.join(name for name, preset in presets.items() if preset.words)}; or {NONE}.",
        )
    slug = re.sub(r"[^a-z0-9._]+", "-", Path(words).name.lower() if Path(words).is_dir() else words.lower()).strip("-.")
    if not Path(words).is_dir():
        # What was taken from the hub once stays the same, and needs no connection.
        for made in sorted((folder / "words").glob(f"{slug}-*{SUFFIX}")):
            if about_words(load_word_table(str(made)))["source"] == encoder:
                return made.as_posix()
    content = encoder_table(words if known else slug, encoder, known.licence if known else "")
    # Another content is another name: then the config changes, and what depends on it is made again.
    path = folder / "words" / f"{slug or 'encoder'}-{sha256(content).hexdigest()[:8]}{SUFFIX}"
    if not path.is_file():
        with replacing_path(path) as beside:
            beside.write_bytes(content)
    return path.as_posix()


def _word_layers(section: Any) -> Iterator[dict[str, Any]]:
    """The layers of word pieces of a config."""
    if not isinstance(section, dict):
        return
    if section.get("@architectures") == ARCHITECTURE:
        yield section
    for value in section.values():
        yield from _word_layers(value)


def _know_none(layer: dict[str, Any]) -> None:
    """Put a table of the training passages' words in the place of a layer of word pieces."""
    width = layer["width"]
    layer.clear()
    layer |= {
        "@architectures": "spacy.MultiHashEmbed.v2",
        "width": width,
        "attrs": ["NORM"],
        "rows": [5000],
        "include_static_vectors": False,
    }


def _occurs(piece: str, about: Mapping[str, Any]) -> bool:
    """Whether the tokenizer can come to a piece: never to [unused7], or to a capital among small letters."""
    inside = piece.startswith(INSIDE) and len(piece) > len(INSIDE)
    # What a piece continues: the letter shows whether they are one part.
    text = f"a{piece.removeprefix(INSIDE)}" if inside else piece
    return split(text, about["lowercase"], about["strip_accents"], about["split_cjk"]) == [text]


def _safetensors(tensors: Mapping[str, numpy.ndarray], metadata: Mapping[str, str]) -> bytes:
    # The library writes metadata in a new order each time; the same table must always be the same file.
    kinds = {"uint8": "U8", "float16": "F16", "float32": "F32"}
    header: dict[str, Any] = {"__metadata__": dict(metadata)}
    parts, start = [], 0
    for name, tensor in tensors.items():
        parts.append(tensor.tobytes())
        end = start + len(parts[-1])
        header[name] = {"dtype": kinds[tensor.dtype.name], "shape": list(tensor.shape), "data_offsets": [start, end]}
        start = end
    head = json.dumps(header).encode()
    head += b" " * (-len(head) % 8)
    return len(head).to_bytes(8, "little") + head + b"".join(parts)
