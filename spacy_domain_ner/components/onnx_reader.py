"""A transformer that onnxruntime runs, with its tokenizer: PyTorch and transformers are not needed.

The components that read with it are given it by their config. This module stands alone: a packaged model carries a copy
of it. It needs spaCy, onnxruntime and tokenizers.
"""

import os
from collections.abc import Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from hashlib import blake2b
from pathlib import Path
from typing import Any

import numpy
import srsly
from spacy.util import registry

READER = "spacy_domain_ner.OnnxReader.v1"
GRAPH, TOKENIZER, ABOUT = "encoder.onnx", "tokenizer.json", "encoder.json"
# The word pieces that are read at once: a larger number does not make each of them faster.
PLACES = 256
INSTALL = "python -m pip install onnxruntime tokenizers"


class OnnxReader:
    """Cuts texts into word pieces, and finds the vector of each: what the transformer's graph gives.

    Windows are read together only with others of the same number of word pieces, so that none is padded, and what comes
    of a text does not depend on the texts beside it. `load`, `from_bytes` or `from_disk` gives it a transformer.

    One thread reads, or as many as OMP_NUM_THREADS says, each a batch of its own.

    Attributes:
        files: The contents of the files of which it was made, by name.
        about: What is known of the transformer: `longest`, the most word pieces in a window, with the special ones; the
            digests of the files; and what else `load` was told.
        tokenizer: The tokenizer, of the package tokenizers; None without a transformer.
    """

    def __init__(self) -> None:
        self.files: dict[str, bytes] = {}
        self.about: dict[str, Any] = {}
        self.session: Any = None
        self.tokenizer: Any = None

    @property
    def width(self) -> int:
        """The width of the vectors."""
        return int(self.session.get_outputs()[0].shape[-1])

    def load(self, graph: bytes, tokenizer: bytes, *, longest: int, **about: Any) -> "OnnxReader":
        """Load a transformer.

        Args:
            graph: An ONNX file's content, with the input `input_ids` and the vectors as its output.
            tokenizer: The content of the tokenizer.json that goes with it.
            longest: The most word pieces in a window, with the special ones.
            about: What else is to be kept with it, in JSON's types.

        Returns:
            The reader itself.

        Raises:
            ImportError: A package is missing.
            ValueError: The files can't be read.
        """
        about |= {"longest": longest, GRAPH: _digest(graph), TOKENIZER: _digest(tokenizer)}
        return self._open({GRAPH: graph, TOKENIZER: tokenizer, ABOUT: srsly.json_dumps(about).encode()})

    def _open(self, files: dict[str, bytes]) -> "OnnxReader":
        about = _read_about(files.get(ABOUT, b""))
        for file in (GRAPH, TOKENIZER):
            if file not in files or _digest(files[file]) != about[file]:
                raise ValueError(
                    f"{file} of this model's transformer is {'not the one' if file in files else 'missing, the one'} "
                    "that it was made with: the model is damaged, or files of two models are mixed. Install or package "
                    "it again."
                )
        try:
            from onnxruntime import InferenceSession, SessionOptions
            from tokenizers import Tokenizer
        except ImportError as error:
            raise ImportError(f"This model needs onnxruntime and tokenizers: {error}. {INSTALL}") from None
        options = SessionOptions()
        # Several threads for one small product wait for each other longer than they compute.
        options.intra_op_num_threads, options.inter_op_num_threads = 1, 1
        options.log_severity_level = 3
        try:
            self.session = InferenceSession(files[GRAPH], options, providers=["CPUExecutionProvider"])
            self.tokenizer = Tokenizer.from_str(files[TOKENIZER].decode("utf8"))
        except Exception as error:  # onnxruntime and tokenizers each have errors of their own
            reason = " ".join(str(error).split())[:200]
            raise ValueError(f"This model's transformer can't be loaded: {reason}") from None
        self.tokenizer.no_truncation()
        self.tokenizer.no_padding()
        self.files, self.about = files, about
        return self

    def read(self, windows: Sequence[Sequence[int]]) -> list[numpy.ndarray]:
        """Find the vectors of the word pieces of each window.

        Args:
            windows: The numbers of each window's word pieces.

        Returns:
            For each window a row per word piece.
        """
        numbers = list(batches([len(window) for window in windows]))
        inputs = [numpy.array([windows[number] for number in batch], "int64") for batch in numbers]
        threads = min(_threads(), len(inputs))
        if threads > 1:
            # onnxruntime lets other threads run while it computes.
            with ThreadPoolExecutor(threads) as readers:
                found = list(readers.map(self._run, inputs))
        else:
            found = list(map(self._run, inputs))
        vectors: list[numpy.ndarray] = [numpy.zeros((0, 0), "f")] * len(windows)
        for batch, of_batch in zip(numbers, found, strict=True):
            for number, of_window in zip(batch, of_batch, strict=True):
                vectors[number] = of_window
        return vectors

    def _run(self, pieces: numpy.ndarray) -> numpy.ndarray:
        [vectors] = self.session.run(None, {"input_ids": pieces})
        return numpy.asarray(vectors)

    def to_bytes(self) -> bytes:
        """The files of `to_disk` as bytes."""
        found: bytes = srsly.msgpack_dumps(self.files)
        return found

    def from_bytes(self, data: bytes) -> "OnnxReader":
        """Load what `to_bytes` gave.

        Raises:
            ImportError: A package is missing.
            ValueError: The bytes are damaged.
        """
        files = srsly.msgpack_loads(data)
        return self._open(files) if files else self

    def to_disk(self, path: str | Path) -> None:
        """Write the transformer, its tokenizer, and what goes with them."""
        Path(path).mkdir(parents=True, exist_ok=True)
        for name, content in self.files.items():
            (Path(path) / name).write_bytes(content)

    def from_disk(self, path: str | Path) -> "OnnxReader":
        """Load what `to_disk` wrote.

        Raises:
            ImportError: A package is missing.
            ValueError: The files are damaged, or not of one model.
        """
        names = [name for name in (GRAPH, TOKENIZER, ABOUT) if (Path(path) / name).is_file()]
        return self._open({name: (Path(path) / name).read_bytes() for name in names}) if names else self


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


def _digest(content: bytes) -> str:
    return blake2b(content, digest_size=16).hexdigest()


def _read_about(content: bytes) -> dict[str, Any]:
    try:
        about = srsly.json_loads(content.decode("utf8"))
        about["longest"], about[GRAPH], about[TOKENIZER]
    except (ValueError, KeyError, TypeError):
        raise ValueError(f"{ABOUT} is missing or damaged: install or package the model again.") from None
    found: dict[str, Any] = about
    return found


def _threads() -> int:
    told = os.environ.get("OMP_NUM_THREADS", "")
    return max(1, int(told)) if told.isdecimal() else 1


@registry.misc(READER)
def create_onnx_reader() -> OnnxReader:
    """Make a reader without a transformer, which the component that reads with it loads."""
    return OnnxReader()
