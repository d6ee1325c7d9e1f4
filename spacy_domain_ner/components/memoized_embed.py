"""Embeddings that are computed once for each different word, which saves most of their cost at prediction.

A word's embedding doesn't depend on the words around it, and a text has few different words: 16,000 tokens of
engineering text have 4,200. The embedding of a word that came before is looked up.

This module stands alone: a packaged model carries a copy of it. It needs spaCy.
"""

import re
from collections.abc import Callable, Sequence
from threading import Lock
from typing import Any

import numpy
from spacy.attrs import IS_ASCII, ORTH, intify_attr
from spacy.tokens import Doc
from spacy.util import registry
from thinc.api import Model, NumpyOps, deserialize_attr, serialize_attr
from thinc.types import Floats2d

ARCHITECTURE = "spacy_domain_ner.MemoizedEmbed.v1"
# Parameters with more values than this are tables. A step of training changes only a few of their rows.
TABLE = 150_000
# Characters that show nothing: soft hyphen, zero-width characters, marks of direction, variation selectors, tags.
INVISIBLE = re.compile(
    "[\u00ad\u034f\u061c\u115f\u1160\u17b4\u17b5\u180b-\u180f\u200b-\u200f\u202a-\u202e\u2060-\u206f\u3164\ufe00-\ufe0f"
    "\ufeff\uffa0\ufff0-\ufffb\U00013430-\U0001343f\U0001bca0-\U0001bca3\U0001d173-\U0001d17a\U000e0000-\U000e0fff]+"
)


@registry.architectures(ARCHITECTURE)
def create_memoized_embed(
    embed: Model[list[Doc], list[Floats2d]], capacity: int = 20_000
) -> Model[list[Doc], list[Floats2d]]:
    """Give what `embed` gives, from memory where a word came before.

    In training, on a GPU, and with static vectors, whose table may be exchanged at any time, nothing is remembered.

    Args:
        embed: Makes a vector for each token, from attributes of that token alone.
        capacity: How many different words are remembered at most.

    Returns:
        The model.

    Raises:
        ValueError: `capacity` is less than 1.
    """
    if capacity < 1:
        raise ValueError(f"capacity ({capacity}) must be 1 or more")
    return Model("memoized_embed", forward, init=init, layers=[embed], attrs={"memory": Memory(capacity)})


def init(model: Model, X: Any = None, Y: Any = None) -> None:  # noqa: N803 (as in thinc)
    model.layers[0].initialize(X=X, Y=Y)


def forward(model: Model, docs: Sequence[Doc], is_train: bool) -> tuple[list[Floats2d], Callable[[Any], Any]]:
    [embed] = model.layers
    plain = (
        is_train
        or not isinstance(model.ops, NumpyOps)
        or not all(isinstance(doc, Doc) and doc.vocab is docs[0].vocab for doc in docs)
        or any(node.name == "static_vectors" for node in embed.walk())
    )
    if plain:
        return embed([_visible(doc) for doc in docs], is_train)
    return model.attrs["memory"].read(embed, docs), _no_backprop


class Memory:
    """The embeddings of the words that were seen, for as long as the parameters stay the same.

    It is not part of the model: a copy of the model begins with an empty one, and it isn't saved.
    """

    def __init__(self, capacity: int) -> None:
        self.capacity = capacity
        # Copies of the parameters with which the vectors were made.
        self.parameters: list[numpy.ndarray] = []
        self.rows: dict[int, int] = {}
        self.vectors: numpy.ndarray | None = None
        self.lock = Lock()

    def __reduce__(self) -> tuple[type, tuple[int]]:
        return Memory, (self.capacity,)

    def read(self, embed: Model, docs: Sequence[Doc]) -> list[Any]:
        """Find the vectors of each Doc's tokens, those of words that came before in memory."""
        columns = _columns(embed)
        arrays = [doc.to_array(columns).reshape(len(doc), len(columns)) for doc in docs]
        if not any(len(array) for array in arrays):
            return list(embed.predict(docs))
        tokens = numpy.concatenate(arrays)
        keys = _hash(tokens)
        with self.lock:
            self._forget_if_trained(embed)
            if any(key not in self.rows for key in keys):
                self._learn(embed, docs, columns, tokens, keys)
            if self.vectors is None:  # more different words at once than it may remember
                return list(embed.predict(docs))
            vectors = self.vectors[[self.rows[key] for key in keys]]
        ends = numpy.cumsum([len(array) for array in arrays])
        return numpy.split(vectors, ends[:-1])

    def _forget_if_trained(self, embed: Model) -> None:
        """Forget everything where the parameters have changed: each step of training changes the small ones, too."""
        every = [node.get_param(name) for node in embed.walk() for name in node.param_names]
        now = [parameter for parameter in every if parameter.size <= TABLE] or every
        before = self.parameters
        if len(now) != len(before) or not all(map(numpy.array_equal, now, before)):
            self.parameters = [parameter.copy() for parameter in now]
            self.rows, self.vectors = {}, None

    def _learn(
        self, embed: Model, docs: Sequence[Doc], columns: Sequence[int], tokens: numpy.ndarray, keys: Sequence[int]
    ) -> None:
        places = {key: place for place, key in enumerate(keys) if key not in self.rows}
        if len(self.rows) + len(places) > self.capacity:
            self.rows, self.vectors = {}, None
            places = {key: place for place, key in enumerate(keys)}
        if len(places) > self.capacity:
            return
        numbers = list(places.values())
        strings = docs[0].vocab.strings
        # The new words as a Doc, with all attributes of the tokens that they come from.
        words = Doc(docs[0].vocab, words=[strings[int(orth)] for orth in tokens[numbers, 0]])
        words.from_array(list(columns), tokens[numbers])
        [vectors] = embed.predict([_visible(words)])
        if self.vectors is None:
            # The system gives memory only when it is written to: what isn't used costs nothing.
            self.vectors = numpy.empty((self.capacity, vectors.shape[1]), vectors.dtype)
        start = len(self.rows)
        self.vectors[start : start + len(places)] = vectors
        self.rows |= {key: start + number for number, key in enumerate(places)}


def _visible(doc: Doc) -> Doc:
    """The tokens without the characters that show nothing: the word is the same with a soft hyphen in it."""
    if not isinstance(doc, Doc) or doc.to_array(IS_ASCII).all() or not INVISIBLE.search(doc.text):
        return doc
    # A token of nothing else counts as a blank.
    seen = Doc(doc.vocab, words=[INVISIBLE.sub("", token.text) or " " for token in doc])
    for token, copy in zip(doc, seen, strict=True):
        if copy.orth == token.orth:
            copy.norm_ = token.norm_
    return seen


def _columns(embed: Model) -> list[int]:
    """What a token's embedding depends on: its text, and the attributes that the layers look at."""
    names = [name for node in embed.walk() for name in node.attrs.get("columns", [])]
    return list(dict.fromkeys([ORTH, *map(intify_attr, names)]))


def _hash(tokens: numpy.ndarray) -> list[int]:
    """A number for each row; two different rows practically never share one."""
    factors = numpy.array([pow(0x9E3779B97F4A7C15, n + 1, 2**64) for n in range(tokens.shape[1])], "uint64")
    keys: list[int] = (tokens * factors).sum(axis=1, dtype="uint64").tolist()
    return keys


def _no_backprop(_: Any) -> Any:
    raise ValueError("Remembered embeddings have no gradient: call the model with is_train=True.")


@serialize_attr.register(Memory)
def _serialize(_: Any, value: Memory, name: str, model: Model) -> bytes:
    return b""


@deserialize_attr.register(Memory)
def _deserialize(value: Memory, content: bytes, name: str, model: Model) -> Memory:
    return Memory(value.capacity)
