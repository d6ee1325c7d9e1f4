"""A transformer that onnxruntime runs, as a component of a spaCy pipeline: PyTorch and transformers are not needed.

This module stands alone: a packaged model carries a copy of it. It needs spaCy, and in the config the reader of
onnx_reader.py.
"""

from collections.abc import Iterable, Iterator, Sequence
from pathlib import Path
from typing import Any

import numpy
from spacy.language import Language
from spacy.pipeline import Pipe
from spacy.tokens import Doc, Span
from spacy.util import minibatch, registry
from spacy.vocab import Vocab

FACTORY = "spacy_domain_ner_onnx_encoder"


class OnnxEncoder(Pipe):
    """Sets `doc.tensor`: a vector for each token, the mean of its word pieces'. Listeners of spaCy's `tok2vec` read it.

    What comes of a text does not depend on the texts beside it.

    Attributes:
        reader: Cuts windows into word pieces and finds their vectors, once a transformer is loaded into it.
    """

    def __init__(self, vocab: Vocab, name: str = FACTORY, *, reader: Any, size: int = 500, overlap: int = 120) -> None:
        """Make the component.

        Args:
            vocab: The pipeline's vocabulary.
            name: The component's name.
            reader: An OnnxReader.
            size: The most bytes in a window. A token that is longer has a window of its own.
            overlap: About how many bytes a window shares with the one before.
        """
        self.vocab = vocab
        self.name = name
        self.reader = reader
        self.cfg = {"size": size, "overlap": overlap}

    def __call__(self, doc: Doc) -> Doc:
        """Set the vectors of a Doc."""
        self.set_annotations([doc], self.predict([doc]))
        return doc

    def pipe(self, stream: Iterable[Doc], *, batch_size: int = 256) -> Iterator[Doc]:
        """Set the vectors of many docs, in batches."""
        error_handler = self.get_error_handler()
        for docs in minibatch(stream, size=batch_size):
            try:
                self.set_annotations(docs, self.predict(docs))
                yield from docs
            except Exception as error:
                error_handler(self.name, self, docs, error)

    def predict(self, docs: Sequence[Doc]) -> list[numpy.ndarray]:
        """Find the vectors of each Doc's tokens.

        Raises:
            ValueError: No transformer was loaded.
        """
        if not self.reader.files:
            raise ValueError(f"The component {self.name} has no transformer yet: load the pipeline from disk.")
        spans = [windows(doc, **self.cfg) for doc in docs]
        encoded = [self.reader.tokenizer.encode(span.text) for of_doc in spans for span in of_doc]
        longest = self.reader.about["longest"]  # what is beyond is cut off, as in the training
        vectors = self.reader.read([one.ids[:longest] for one in encoded])
        results, start = [], 0
        for doc, of_doc in zip(docs, spans, strict=True):
            part = slice(start, start := start + len(of_doc))
            bounds = [one.offsets[:longest] for one in encoded[part]]
            results.append(pool(doc, of_doc, bounds, vectors[part], self.reader.width))
        return results

    def set_annotations(self, docs: Iterable[Doc], vectors: Iterable[numpy.ndarray]) -> None:
        """Set `doc.tensor`."""
        for doc, rows in zip(docs, vectors, strict=True):
            doc.tensor = rows

    def to_bytes(self, *, exclude: Iterable[str] = ()) -> bytes:
        """The files of `to_disk` as bytes."""
        found: bytes = self.reader.to_bytes()
        return found

    def from_bytes(self, data: bytes, *, exclude: Iterable[str] = ()) -> "OnnxEncoder":
        """Load what `to_bytes` gave.

        Raises:
            ImportError: A package is missing.
            ValueError: The bytes are damaged.
        """
        self.reader.from_bytes(data)
        return self

    def to_disk(self, path: str | Path, *, exclude: Iterable[str] = ()) -> None:
        """Write the transformer, its tokenizer, and what goes with them."""
        self.reader.to_disk(path)

    def from_disk(self, path: str | Path, *, exclude: Iterable[str] = ()) -> "OnnxEncoder":
        """Load what `to_disk` wrote.

        Raises:
            ImportError: A package is missing.
            ValueError: The files are damaged, or not of one model.
        """
        self.reader.from_disk(path)
        return self


def windows(doc: Doc, size: int, overlap: int) -> list[Span]:
    """The windows that the transformer was trained with: see byte_windows.py."""
    lengths = [len(token.text_with_ws.encode("utf8", "surrogatepass")) for token in doc]
    found: list[Span] = []
    start = 0
    while start < len(lengths):
        end, used = start, 0
        while end < len(lengths) and (end == start or used + lengths[end] <= size):
            used += lengths[end]
            end += 1
        found.append(doc[start:end])
        if end >= len(lengths):
            break
        shared, start = 0, end
        while shared + lengths[start - 1] <= min(overlap, size - lengths[end]) and start - 1 > found[-1].start:
            start -= 1
            shared += lengths[start]
    return found


def pool(
    doc: Doc,
    spans: Sequence[Span],
    offsets: Sequence[Sequence[tuple[int, int]]],
    vectors: Sequence[numpy.ndarray],
    width: int,
) -> numpy.ndarray:
    """Find each token's vector: the mean of its word pieces', in all windows that have it.

    A token has the pieces that have a character of it, or the blank behind it.

    Args:
        doc: The Doc.
        spans: Its windows.
        offsets: The start and end of each window's pieces in the window's text; both the same for those that stand for
            nothing.
        vectors: The vectors of each window's pieces.
        width: Their width.

    Returns:
        A row per token; zeros for one without pieces.
    """
    pooled = numpy.zeros((len(doc), width), "f")
    if not spans:
        return pooled
    starts = numpy.array([token.idx for token in doc])
    tokens, rows = [], []
    for span, bounds, of_pieces in zip(spans, offsets, vectors, strict=True):
        begins, ends = numpy.array(bounds).reshape(-1, 2).T + span.start_char
        [pieces] = numpy.nonzero(ends > begins)
        first = numpy.searchsorted(starts, begins[pieces], side="right") - 1
        counts = numpy.searchsorted(starts, ends[pieces] - 1, side="right") - first
        within = numpy.arange(counts.sum()) - numpy.repeat(counts.cumsum() - counts, counts)
        tokens.append(numpy.repeat(first, counts) + within)
        rows.append(of_pieces[numpy.repeat(pieces, counts)])
    order = numpy.argsort(token := numpy.concatenate(tokens), kind="stable")
    if len(order):
        found, begin, count = numpy.unique(token[order], return_index=True, return_counts=True)
        sums = numpy.add.reduceat(numpy.concatenate(rows)[order], begin, axis=0)
        pooled[found] = sums / count[:, None].astype("f")
    return pooled


def create_onnx_encoder(nlp: Language, name: str, reader: Any, size: int, overlap: int) -> OnnxEncoder:
    """Make the component, as its factory; the arguments are those of OnnxEncoder."""
    return OnnxEncoder(nlp.vocab, name, reader=reader, size=size, overlap=overlap)


# Where this plugin and a package that carries a copy of this module are both imported, the first one stays.
if Language.get_factory_name(FACTORY) not in registry.factories:
    Language.factory(
        FACTORY,
        assigns=["doc.tensor"],
        default_config={"reader": {"@misc": "spacy_domain_ner.OnnxReader.v1"}, "size": 500, "overlap": 120},
        func=create_onnx_encoder,
    )
