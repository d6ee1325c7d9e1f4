"""What a pre-trained encoder knows about words, without its layers: the vectors of a token's word pieces, averaged.

An encoder such as BERT begins with a table of vectors, one per piece of its vocabulary. They were learned from far more
text than any annotated corpus has, and say much about a word that training has not seen. The table stays as it is:
trained is only a projection of its vectors to the width that the network wants.

This module stands alone: a packaged model carries a copy of it. It needs spaCy.
"""

import json
import re
import unicodedata
from collections import defaultdict
from collections.abc import Callable, Iterator, Sequence
from functools import partial
from itertools import pairwise
from threading import Lock
from typing import Any

import numpy
from spacy.attrs import ORTH
from spacy.tokens import Doc
from spacy.util import registry
from thinc.api import Model, deserialize_attr, glorot_uniform_init, serialize_attr
from thinc.types import Floats1d, Floats2d

ARCHITECTURE = "spacy_domain_ner.WordPieceEmbed.v1"
# The function that finds a table by its name, which is needed where a model is initialized, not where it is loaded.
LOADER = "spacy_domain_ner.words.v1"
DEFAULT = "minilm"
# How many words' vectors training remembers.
CAPACITY = 20_000
BATCH = 500
# A longer word counts as unknown.
LONGEST_WORD = 100
INSIDE = "##"
# Of a text that can be seen: letters and digits together, and each punctuation mark.
ASCII_PARTS = re.compile(r"[A-Za-z0-9]+|[^A-Za-z0-9 ]")
DTYPES = {
    "BOOL": "?", "U8": "<u1", "I8": "<i1", "I16": "<i2", "U16": "<u2", "I32": "<i4", "U32": "<u4", "I64": "<i8",
    "U64": "<u8", "F16": "<f2", "BF16": "<u2", "F32": "<f4", "F64": "<f8",
}  # fmt: skip
CJK = re.compile("[\u3400-\u4dbf\u4e00-\u9fff\uf900-\ufaff\U00020000-\U0002a6df\U0002a700-\U0002b81f"
                 "\U0002b920-\U0002ceaf\U0002f800-\U0002fa1f]")  # fmt: skip
# The vocabularies' own tokenizers know the characters of Unicode 8. Later ones aren't accents, punctuation and formats
# to them, and a few characters have changed their category.
LATER_ACCENTS = re.compile(
    "[\u05c8\u05c9\u07fd\u0897-\u08e1\u09fe\u0afa-\u0aff\u0b53-\u0b55\u0c04-\u0c3c\u0d00\u0d3b\u0d3c\u0d81\u0eba\u0ece"
    "\u180f-\u1886\u1abf-\u1af0\u1df6-\u1dfb\ua82c\ua8c5\ua8ff\ua9bd\U00010d24-\U00010f85\U00011070-\U00011074"
    "\U000110c2\U000111c9\U000111cf\U0001123e-\U00011241\U0001133b\U000113bb-\U0001145e\U0001182f-\U0001612f\U00016f4f"
    "\U00016fe4\U0001cf00-\U0001d128\U0001d25b\U0001d25c\U0001e000-\U0001e6f5\U0001e944-\U0001e94a]"
)
LATER_PUNCTUATION = re.compile(
    "[\u061d\u09fd-\u0a76\u0c77-\u0c84\u1b4e\u1b4f\u1b7d-\u1b7f\u2e43-\u2e63\U00010d6e-\U00010f89\U000113d4-\U0001145d"
    "\U00011660-\U000116b9\U0001183b-\U00011fff\U00012ff1\U00012ff2\U00016d6d-\U00016fe2\U0001e5ff-\U0001e95f]"
)
LATER_FORMATS = re.compile("[\u0890-\u08e2\U000110cd-\U0001343f]")
EARLIER_ACCENTS, EARLIER_PUNCTUATION = "\u1734\U0001171e", "\u166d\U000111c9"


@registry.architectures(ARCHITECTURE)
def create_word_piece_embed(width: int, words: str | None = None) -> Model[list[Doc], list[Floats2d]]:
    """Embed each token as the mean of its word pieces' vectors, projected to `width`.

    Args:
        width: The width of the vectors that come out.
        words: The name of the table of vectors, or its file; None for the one that comes with the plugin. Initializing
            the model reads it. It is saved with the model, so that a trained model needs no other file.

    Returns:
        The model.
    """
    return Model(
        "word_piece_embed",
        forward,
        init=partial(init, words=words or DEFAULT),
        params={"W": None, "b": None},
        # Its input are Docs, which have no width.
        dims={"nO": width},
        # A token's vector depends on its text alone: MemoizedEmbed reads that here.
        attrs={"table": Table(), "columns": ["ORTH"]},
    )


def init(model: Model, X: Any = None, Y: Any = None, *, words: str) -> None:  # noqa: N803 (as in thinc)
    # A model that is trained again keeps its table: where that happens, the file may be missing.
    if not model.attrs["table"].content:
        model.attrs["table"] = Table(registry.misc.get(LOADER)(words))
    width = model.get_dim("nO")
    model.set_param("W", glorot_uniform_init(model.ops, (width, model.attrs["table"].width)))
    model.set_param("b", model.ops.alloc1f(width))


def forward(model: Model, docs: Sequence[Doc], is_train: bool) -> tuple[list[Floats2d], Callable[[Any], Any]]:
    arrays = [doc.to_array([ORTH]).reshape(-1) for doc in docs]
    ends = numpy.cumsum([len(array) for array in arrays])
    hashes, first, inverse = numpy.unique(
        numpy.concatenate([numpy.zeros(0, "uint64"), *arrays]), return_index=True, return_inverse=True
    )
    keys = hashes.tolist()
    stores = [doc.vocab.strings for doc in docs]
    # Nearly always, all docs have one vocabulary.
    shared = stores[0] if stores and all(store is stores[0] for store in stores) else None

    def text_of(number: int) -> str:
        of_doc = shared if shared is not None else stores[int(numpy.searchsorted(ends, first[number], side="right"))]
        return str(of_doc[keys[number]])

    # Each word once, however often it stands there.
    vectors = model.ops.asarray2f(model.attrs["table"].read(keys, text_of, remember=is_train))
    weights: Floats2d = model.get_param("W")
    bias: Floats1d = model.get_param("b")
    places = model.ops.asarray1i(inverse.astype("int32"))
    projected = (vectors @ weights.T + bias)[places]

    def backprop(gradients: Sequence[Floats2d]) -> list[Doc]:
        if len(keys):
            by_word = model.ops.alloc2f(len(keys), model.get_dim("nO"))
            model.ops.scatter_add(by_word, places, model.ops.xp.concatenate(gradients))
            model.inc_grad("W", by_word.T @ vectors)
            model.inc_grad("b", by_word.sum(axis=0))
        return []

    starts = [0, *ends.tolist()]
    return [projected[start:end] for start, end in pairwise(starts)], backprop


class Table:
    """The vectors of a vocabulary's word pieces, and how words are taken apart into them.

    It is read from the bytes of a safetensors file, which it keeps: nothing changes it, so a copy of the model shares
    it. The file has `codes` (a row per piece; each byte has two numbers of four bits, the lower first), `levels` (the
    value that each such number stands for), `scales` (what the values of a row are multiplied with), and `pieces` (as
    lines of UTF-8). Its metadata has `words`, a JSON object with `lowercase`, `strip_accents`, `split_cjk` and
    `unknown` (the piece that stands for words of which some part is in no piece).
    """

    def __init__(self, content: bytes = b"") -> None:
        self.content = content
        self.width = 0
        self.numbers: dict[str, int] = {}
        self.rows: dict[int, int] = {}
        self.vectors: numpy.ndarray | None = None
        self.lock = Lock()
        if not content:
            return
        metadata, tensors = read_safetensors(memoryview(content))
        self.about: dict[str, Any] = json.loads(metadata["words"])
        self.codes, self.scales, self.pieces = tensors["codes"], tensors["scales"], tensors["pieces"]
        byte, levels = numpy.arange(256), tensors["levels"]
        # The two values that each byte stands for, as one number of 64 bits: it is looked up in one step.
        self.pairs = numpy.stack([levels[byte & 15], levels[byte >> 4]], axis=1).view("u8").reshape(-1)
        self.width = 2 * self.codes.shape[1]

    def __reduce__(self) -> tuple[type, tuple[bytes]]:
        return Table, (self.content,)

    def __deepcopy__(self, _: Any) -> "Table":
        return self

    def read(self, keys: Sequence[int], text_of: Callable[[int], str], *, remember: bool) -> numpy.ndarray:
        """Find the vectors of words.

        Args:
            keys: The words' hashes, each once.
            text_of: Gives the text of the word at a place in `keys`.
            remember: Whether to keep the vectors for the next time. At prediction MemoizedEmbed keeps what comes of
                them.

        Returns:
            A row per word; zeros for one without any piece, such as a blank.
        """
        if not (remember or self.rows):
            return self.embed([text_of(place) for place in range(len(keys))])
        with self.lock:
            missing = [place for place, key in enumerate(keys) if key not in self.rows]
            if not remember or len(keys) > CAPACITY:
                found = numpy.empty((len(keys), self.width), "f")
                known = [place for place, key in enumerate(keys) if key in self.rows]
                if known and self.vectors is not None:
                    found[known] = self.vectors[[self.rows[keys[place]] for place in known]]
                found[missing] = self.embed([text_of(place) for place in missing])
                return found
            if self.vectors is None or len(self.rows) + len(missing) > CAPACITY:
                # The system gives memory only when it is written to: what isn't used costs nothing.
                self.rows, self.vectors = {}, numpy.empty((CAPACITY, self.width), "f")
                missing = list(range(len(keys)))
            start = len(self.rows)
            self.vectors[start : start + len(missing)] = self.embed([text_of(place) for place in missing])
            self.rows |= {keys[place]: start + number for number, place in enumerate(missing)}
            return self.vectors[[self.rows[key] for key in keys]]

    def embed(self, words: Sequence[str]) -> numpy.ndarray:
        """Average the vectors of each word's pieces."""
        means = numpy.zeros((len(words), self.width), "f")
        by_count: dict[int, list[tuple[int, list[int]]]] = defaultdict(list)
        for place, word in enumerate(words):
            pieces = self.tokenize(word)
            by_count[len(pieces)].append((place, pieces))
        for count, found in by_count.items():
            # Not too many at a time, which would need much memory and be slower.
            for start in range(0, len(found) if count else 0, BATCH):
                places, numbers = map(list, zip(*found[start : start + BATCH], strict=True))
                means[places] = self.vectors_of(numbers).mean(axis=1)
        return means

    def vectors_of(self, numbers: Any) -> numpy.ndarray:
        """The vectors of pieces, by the numbers of their rows."""
        values = self.pairs[self.codes[numbers]].view("f4")
        values *= self.scales[numbers].astype("f4")
        return values

    def tokenize(self, word: str) -> list[int]:
        """Take a word apart into pieces, as the vocabulary's own tokenizer does.

        Args:
            word: A token's text.

        Returns:
            The rows of the pieces.
        """
        if not self.numbers:
            pieces = self.pieces.tobytes().decode().split("\n")
            self.longest = max(map(len, pieces))
            self.numbers = {piece: number for number, piece in enumerate(pieces)}
        about = self.about
        if (whole := self.numbers.get(word)) is not None and word.isalpha() and word.islower() and word.isascii():
            return [whole]
        parts = split(word, about["lowercase"], about["strip_accents"], about["split_cjk"])
        return [number for part in parts for number in self._longest_pieces(part)]

    def _longest_pieces(self, part: str) -> list[int]:
        """From left to right, always the longest piece that there is."""
        numbers = self.numbers
        unknown = [numbers[self.about["unknown"]]]
        if len(part) > LONGEST_WORD:
            return unknown
        found: list[int] = []
        start = 0
        while start < len(part):
            prefix = INSIDE if start else ""
            piece = prefix + part[start : start + self.longest]
            while piece not in numbers:
                piece = piece[:-1]
                if len(piece) == len(prefix):
                    return unknown
            found.append(numbers[piece])
            start += len(piece) - len(prefix)
        return found


def read_safetensors(content: memoryview) -> tuple[dict[str, str], dict[str, numpy.ndarray]]:
    """Read what a safetensors file has.

    Args:
        content: The file's bytes.

    Returns:
        The metadata; and the tensors by their names, as views: nothing is copied. Those of bfloat16, which numpy does
        not have, are of 16-bit whole numbers.
    """
    start = 8 + int.from_bytes(content[:8], "little")
    header = json.loads(bytes(content[8:start]))
    metadata = header.pop("__metadata__", {})
    tensors = {}
    for name, entry in header.items():
        begin, end = entry["data_offsets"]
        values = numpy.frombuffer(content[start + begin : start + end], DTYPES[entry["dtype"]])
        tensors[name] = values.reshape(entry["shape"])
    return metadata, tensors


def split(word: str, lowercase: bool, strip_accents: bool, split_cjk: bool) -> list[str]:
    """Normalize a word as BERT's tokenizers do, and divide it at punctuation and blanks.

    Args:
        word: A token's text.
        lowercase: Whether capitals become small.
        strip_accents: Whether letters lose their accents.
        split_cjk: Whether each Chinese character stands alone.

    Returns:
        The parts, of which each is taken apart into pieces by itself.
    """
    if word.isascii() and word.isprintable():
        return ASCII_PARTS.findall(word.lower() if lowercase else word)
    kept = "".join(character for character in word if not _is_left_out(character))
    if split_cjk:
        kept = CJK.sub(r" \g<0> ", kept)
    if strip_accents:
        kept = "".join(character for character in unicodedata.normalize("NFD", kept) if not _is_accent(character))
    if lowercase:
        # Each character by itself: at the end of a word, Python makes another letter of the Greek sigma.
        kept = "".join(map(str.lower, kept))
    return list(_divide(kept))


def _divide(text: str) -> Iterator[str]:
    start = 0
    for place, character in enumerate(text):
        if character.isspace() or _is_punctuation(character):
            if start < place:
                yield text[start:place]
            if not character.isspace():
                yield character
            start = place + 1
    if start < len(text):
        yield text[start:]


def _is_left_out(character: str) -> bool:
    if character in "\t\n\r":
        return False
    category = unicodedata.category(character)
    removed = category in ("Cc", "Cf", "Co", "Cs") and not LATER_FORMATS.match(character)
    return removed or character == "\ufffd"


def _is_accent(character: str) -> bool:
    if character in EARLIER_ACCENTS:
        return True
    return unicodedata.category(character) == "Mn" and not LATER_ACCENTS.match(character)


def _is_punctuation(character: str) -> bool:
    if character.isascii():
        return character.isprintable() and not character.isalnum() and character != " "
    if character in EARLIER_PUNCTUATION:
        return True
    return unicodedata.category(character).startswith("P") and not LATER_PUNCTUATION.match(character)


@serialize_attr.register(Table)
def _serialize(_: Any, value: Table, name: str, model: Model) -> bytes:
    return value.content


@deserialize_attr.register(Table)
def _deserialize(value: Table, content: bytes, name: str, model: Model) -> Table:
    return Table(content)
