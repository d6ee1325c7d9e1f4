"""A transformer that onnxruntime runs, as a component of a spaCy pipeline: PyTorch and transformers are not needed.

This module stands alone: a packaged model carries a copy of it. It needs spaCy, onnxruntime and tokenizers.
"""

import os
from collections.abc import Iterable, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from hashlib import blake2b
from pathlib import Path
from typing import Any

import numpy
import srsly
from spacy.language import Language
from spacy.pipeline import Pipe
from spacy.tokens import Doc, Span
from spacy.util import minibatch, registry
from spacy.vocab import Vocab

FACTORY = "spacy_domain_ner_onnx_encoder"
GRAPH, TOKENIZER, ABOUT = "encoder.onnx", "tokenizer.json", "encoder.json"
# The word pieces that are read at once: more of them are no faster for each.
PLACES = 256
INSTALL = "python -m pip install onnxruntime tokenizers"


class OnnxEncoder(Pipe):
    """Sets `doc.tensor`: a vector for each token, the mean of its word pieces'. Listeners of spaCy's `tok2vec` read it.

    Windows are read together only with others of the same number of word pieces, so that none is padded, and what comes
    of a text does not depend on the texts beside it. There is no transformer until `load` or `from_disk`.

    One thread reads, or as many as OMP_NUM_THREADS says, each a batch of its own.
    """

    def __init__(self, vocab: Vocab, name: str = FACTORY, *, size: int = 500, overlap: int = 120) -> None:
        """Make the component.

        Args:
            vocab: The pipeline's vocabulary.
            name: The component's name.
            size: The most bytes in a window. A token that is longer has a window of its own.
            overlap: About how many bytes a window shares with the one before.
        """
        self.vocab = vocab
        self.name = name
        self.size, self.overlap = size, overlap
        self.files: dict[str, bytes] = {}
        self.about: dict[str, Any] = {}
        self.session: Any = None
        self.tokenizer: Any = None

    def load(self, graph: bytes, tokenizer: bytes, *, width: int, longest: int) -> "OnnxEncoder":
        """Load a transformer.

        Args:
            graph: An ONNX file's content, with the input `input_ids` and the vectors as its output.
            tokenizer: The content of the tokenizer.json that goes with it.
            width: The width of the vectors.
            longest: The most word pieces in a window, with the special ones; what is beyond is cut off.

        Returns:
            The component itself.

        Raises:
            ImportError: A package is missing.
            ValueError: The files can't be read.
        """
        about = {"width": width, "longest": longest, GRAPH: _digest(graph), TOKENIZER: _digest(tokenizer)}
        return self._open({GRAPH: graph, TOKENIZER: tokenizer, ABOUT: srsly.json_dumps(about).encode()})

    def _open(self, files: dict[str, bytes]) -> "OnnxEncoder":
        about = _read_about(files.get(ABOUT, b""))
        for file in (GRAPH, TOKENIZER):
            if file not in files or _digest(files[file]) != about[file]:
                raise ValueError(
                    f"{file} of the component {self.name} is {'not the one' if file in files else 'missing, the one'} "
                    "that this model was made with: the model is damaged, or files of two models are mixed. Install or "
                    "package it again."
                )
        try:
            from onnxruntime import InferenceSession, SessionOptions
            from tokenizers import Tokenizer
        except ImportError as error:
            raise ImportError(
                f"The component {self.name} needs onnxruntime and tokenizers: {error}. {INSTALL}"
            ) from None
        options = SessionOptions()
        # Several threads for one small product wait for each other longer than they compute.
        options.intra_op_num_threads, options.inter_op_num_threads = 1, 1
        options.log_severity_level = 3
        try:
            self.session = InferenceSession(files[GRAPH], options, providers=["CPUExecutionProvider"])
            self.tokenizer = Tokenizer.from_str(files[TOKENIZER].decode("utf8"))
        except Exception as error:  # onnxruntime and tokenizers each have errors of their own
            reason = " ".join(str(error).split())[:200]
            raise ValueError(f"The transformer of the component {self.name} can't be loaded: {reason}") from None
        self.tokenizer.no_truncation()
        self.tokenizer.no_padding()
        self.files, self.about = files, about
        return self

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
        if self.session is None:
            raise ValueError(f"The component {self.name} has no transformer yet: load the pipeline from disk.")
        spans = [windows(doc, self.size, self.overlap) for doc in docs]
        encoded = [self.tokenizer.encode(span.text) for of_doc in spans for span in of_doc]
        longest = self.about["longest"]
        vectors = self._run([one.ids[:longest] for one in encoded])
        results, start = [], 0
        for doc, of_doc in zip(docs, spans, strict=True):
            part = slice(start, start := start + len(of_doc))
            bounds = [one.offsets[:longest] for one in encoded[part]]
            results.append(pool(doc, of_doc, bounds, vectors[part], self.about["width"]))
        return results

    def set_annotations(self, docs: Iterable[Doc], vectors: Iterable[numpy.ndarray]) -> None:
        """Set `doc.tensor`."""
        for doc, rows in zip(docs, vectors, strict=True):
            doc.tensor = rows

    def _run(self, rows: Sequence[Sequence[int]]) -> list[numpy.ndarray]:
        """The vectors of the word pieces of each window."""
        numbers = list(batches([len(row) for row in rows]))
        inputs = [numpy.array([rows[number] for number in batch], "int64") for batch in numbers]
        threads = min(_threads(), len(inputs))
        if threads > 1:
            # onnxruntime lets other threads run while it computes.
            with ThreadPoolExecutor(threads) as readers:
                found = list(readers.map(self._read, inputs))
        else:
            found = list(map(self._read, inputs))
        vectors: list[numpy.ndarray] = [numpy.zeros((0, 0), "f")] * len(rows)
        for batch, of_batch in zip(numbers, found, strict=True):
            for number, of_window in zip(batch, of_batch, strict=True):
                vectors[number] = of_window
        return vectors

    def _read(self, pieces: numpy.ndarray) -> numpy.ndarray:
        """The vectors of the word pieces of a batch."""
        [vectors] = self.session.run(None, {"input_ids": pieces})
        return numpy.asarray(vectors)

    def to_bytes(self, *, exclude: Iterable[str] = ()) -> bytes:
        """The files of `to_disk` as bytes."""
        return srsly.msgpack_dumps(self.files)

    def from_bytes(self, data: bytes, *, exclude: Iterable[str] = ()) -> "OnnxEncoder":
        """Load what `to_bytes` gave.

        Raises:
            ImportError: A package is missing.
            ValueError: The bytes are damaged.
        """
        files = srsly.msgpack_loads(data)
        return self._open(files) if files else self

    def to_disk(self, path: str | Path, *, exclude: Iterable[str] = ()) -> None:
        """Write the transformer, its tokenizer, and what goes with them."""
        Path(path).mkdir(parents=True, exist_ok=True)
        for name, content in self.files.items():
            (Path(path) / name).write_bytes(content)

    def from_disk(self, path: str | Path, *, exclude: Iterable[str] = ()) -> "OnnxEncoder":
        """Load what `to_disk` wrote.

        Raises:
            ImportError: A package is missing.
            ValueError: The files are damaged, or not of one model.
        """
        names = [name for name in (GRAPH, TOKENIZER, ABOUT) if (Path(path) / name).is_file()]
        return self._open({name: (Path(path) / name).read_bytes() for name in names}) if names else self


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


def batches(lengths: Sequence[int]) -> Iterator[list[int]]:
    """Divide windows into batches of the same number of word pieces.

    Args:
        lengths: The number of word pieces of each window.

    Yields:
        The numbers of the windows of a batch.
    """
    batch: list[int] = []
    for number in sorted(range(len(lengths)), key=lengths.__getitem__):
        if batch and (lengths[number] != lengths[batch[0]] or lengths[number] * (len(batch) + 1) > PLACES):
            yield batch
            batch = []
        batch.append(number)
    if batch:
        yield batch


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


def _digest(content: bytes) -> str:
    return blake2b(content, digest_size=16).hexdigest()


def _read_about(content: bytes) -> dict[str, Any]:
    try:
        about = srsly.json_loads(content.decode("utf8"))
        about["width"], about["longest"], about[GRAPH], about[TOKENIZER]
    except (ValueError, KeyError, TypeError):
        raise ValueError(f"{ABOUT} is missing or damaged: install or package the model again.") from None
    found: dict[str, Any] = about
    return found


def _threads() -> int:
    told = os.environ.get("OMP_NUM_THREADS", "")
    return max(1, int(told)) if told.isdecimal() else 1


def create_onnx_encoder(nlp: Language, name: str, size: int, overlap: int) -> OnnxEncoder:
    """Make the component, as its factory; the arguments are those of OnnxEncoder."""
    return OnnxEncoder(nlp.vocab, name, size=size, overlap=overlap)


# Where this plugin and a package that carries a copy of this module are both imported, the first one stays.
if Language.get_factory_name(FACTORY) not in registry.factories:
    Language.factory(
        FACTORY, assigns=["doc.tensor"], default_config={"size": 500, "overlap": 120}, func=create_onnx_encoder
    )
