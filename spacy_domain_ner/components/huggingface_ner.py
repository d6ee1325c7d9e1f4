"""A Hugging Face token classifier as a component of a spaCy pipeline.

This module stands alone: a packaged model carries a copy of it. It needs spaCy, and PyTorch and transformers; where
onnxruntime runs the model, the reader of onnx_reader.py in the config instead of these.
"""

import math
import re
import warnings
from collections.abc import Iterable, Iterator, Sequence
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

import numpy
import srsly
from spacy.attrs import ENT_IOB
from spacy.language import Language
from spacy.pipeline import Pipe
from spacy.scorer import get_ner_prf
from spacy.tokens import Doc, Span
from spacy.training import Example
from spacy.util import minibatch, registry
from spacy.vocab import Vocab
from thinc.api import get_torch_default_device

# Characters that show nothing: soft hyphen, zero-width characters, marks of direction, variation selectors, tags.
INVISIBLE = re.compile(
    "[\u00ad\u034f\u061c\u115f\u1160\u17b4\u17b5\u180b-\u180f\u200b-\u200f\u202a-\u202e\u2060-\u206f\u3164\ufe00-\ufe0f"
    "\ufeff\uffa0\ufff0-\ufffb\U00013430-\U0001343f\U0001bca0-\U0001bca3\U0001d173-\U0001d17a\U000e0000-\U000e0fff]+"
)

FACTORY, ONNX_FACTORY = "spacy_domain_ner_huggingface", "spacy_domain_ner_huggingface_onnx"
# The word pieces, with padding, that are predicted at once on a CPU: more of them are no faster for each.
PLACES = 256
# Beside the model's own files.
CALIBRATION = "calibration.json"
OTHER_TOKENS = (
    "The component {name!r} was taken from another pipeline, whose tokenizer did not come along: texts are divided "
    "into other tokens than those that it was trained on, so it misses names. Load the trained pipeline and add the "
    "other components to it, or copy its tokenizer: "
    "nlp.tokenizer.from_bytes(trained.tokenizer.to_bytes(exclude=['vocab']))"
)


class TokenClassifier(Pipe):
    """Sets `doc.ents` by a model for token classification, and `span._.confidence` of each entity: the product of its
    tags' probabilities, calibrated where `calibration` is set. The classes below say what runs the model.

    Entities that a doc already has stay as they are, and it predicts around them. They have no confidence.

    Attributes:
        tags: The model's labels, in its order: `O`, and `B-` and `I-` with each type. There are none until a model is
            loaded.
        calibration: Slope and intercept of the line from log-odds to calibrated ones, and what else is kept with them;
            None leaves the product as it is.
    """

    def __init__(self, vocab: Vocab, name: str, *, max_length: int, overlap: int) -> None:
        """Make the component.

        Args:
            vocab: The pipeline's vocabulary.
            name: The component's name.
            max_length: The most word pieces in a window, with the special ones.
            overlap: How many word pieces two windows of a longer text share.
        """
        self.vocab = vocab
        self.name = name
        self.cfg = {"max_length": max_length, "overlap": overlap}
        self.calibration: dict[str, Any] | None = None
        self.tags: list[str] = []
        # That of the pipeline in which the component was made; None after the warning that texts come from another one.
        self.own_tokenizer: Any = None

    @property
    def labels(self) -> tuple[str, ...]:
        """The entity types."""
        return tuple(sorted({tag[2:] for tag in self.tags if tag != "O"}))

    @property
    def label_data(self) -> tuple[str, ...]:
        """The entity types, as spaCy asks for them."""
        return self.labels

    def __call__(self, doc: Doc) -> Doc:
        """Set the entities of a Doc."""
        self.set_annotations([doc], self.predict([doc]))
        return doc

    def pipe(self, stream: Iterable[Doc], *, batch_size: int = 64) -> Iterator[Doc]:
        """Set the entities of many docs, in batches."""
        error_handler = self.get_error_handler()
        for docs in minibatch(stream, size=batch_size):
            try:
                self.set_annotations(docs, self.predict(docs))
                yield from docs
            except Exception as error:
                error_handler(self.name, self, docs, error)

    def predict(self, docs: Sequence[Doc]) -> list[dict[tuple[int, int, str], float]]:
        """Find entities around those that the docs already have.

        Args:
            docs: The docs.

        Returns:
            For each Doc its entities (first token, token after the last, type), each with its confidence.
        """
        return self.probabilities(docs)

    def probabilities(
        self, docs: Sequence[Doc], asked: Sequence[Iterable[tuple[int, int, str]]] | None = None
    ) -> list[dict[tuple[int, int, str], float]]:
        """Find entities around those that the docs already have, and score others as well.

        Args:
            docs: The docs.
            asked: Extra entities to score, for each Doc.

        Returns:
            What `predict` gives, with the entities that were asked for.

        Raises:
            ValueError: No model was loaded.
        """
        self._require_model()
        self._compare_tokens(docs)
        results: list[dict[tuple[int, int, str], float]] = []
        read = self._read(*map(list, zip(*map(_visible, docs), strict=True))) if docs else []
        for doc, (probabilities, starts) in zip(docs, read, strict=True):
            taken = _taken(doc)
            tags = [self.tags[best] for best in probabilities.argmax(axis=1)]
            for number in numpy.flatnonzero((starts[1:] == starts[:-1]) & (starts[1:] >= 0)) + 1:
                # Two tokens in one word piece, as in "()": an entity begins at the first of them.
                tags[number] = "I" + tags[number][1:] if tags[number] != "O" else "O"
            for number in numpy.flatnonzero(taken):
                tags[number] = "O"
            entities = dict.fromkeys(decode(tags, (starts >= 0) | taken))
            entities |= dict.fromkeys(asked[len(results)] if asked else ())
            results.append({entity: self._confidence(probabilities, starts, taken, entity) for entity in entities})
        return results

    def expected(self, docs: Sequence[Doc]) -> list[dict[str, float]]:
        """Find how many entities of each type are to be expected, whether or not the likeliest tags have them.

        An entity has one first token, so that is the sum over the tokens of the probability that one begins there:
        P(B-) + P(I-) * (1 - P(B-) - P(I-) of the token before), since an I- that continues nothing begins an entity. It
        is multiplied by what `calibration` keeps for the type under "expected".

        Entities and blocked tokens that the docs have from elsewhere stay as they are and are not counted. Those that
        this component has set, which have a confidence, count as if they were not set yet.

        Args:
            docs: The docs, before or after this component.

        Returns:
            For each Doc the expected number by entity type.

        Raises:
            ValueError: No model was loaded.
        """
        self._require_model()
        factors = (self.calibration or {}).get("expected") or {}
        columns = [self._columns(label) for label in self.labels]
        results = []
        read = self._read(*map(list, zip(*map(_visible, docs), strict=True))) if docs else []
        for doc, (probabilities, starts) in zip(docs, read, strict=True):
            counts = _expected(probabilities[:, columns], starts, _taken_by_others(doc))
            results.append(
                {
                    label: float(count) * factors.get(label, factors.get("", 1.0))
                    for label, count in zip(self.labels, counts, strict=True)
                }
            )
        return results

    def uncertainty(self, docs: Sequence[Doc]) -> list[numpy.ndarray]:
        """Find how unsure the component is of each token.

        Args:
            docs: The docs. Entities and blocked tokens count as in `expected`.

        Returns:
            For each Doc an array with a row per token: the entropy of the tags of its first word piece, in nats; then,
            for each type in the order of `labels`, the probability that the token is in an entity of it.

        Raises:
            ValueError: No model was loaded.
        """
        self._require_model()
        columns = [self._columns(label) for label in self.labels]
        results = []
        read = self._read(*map(list, zip(*map(_visible, docs), strict=True))) if docs else []
        for doc, (probabilities, starts) in zip(docs, read, strict=True):
            entropy = -(probabilities * numpy.log(numpy.maximum(probabilities, 1e-30))).sum(axis=1)
            found = numpy.concatenate([entropy[:, None], probabilities[:, columns].sum(axis=2)], axis=1)
            found[(starts < 0) | _taken_by_others(doc)] = 0
            results.append(found.astype("f"))
        return results

    def tag_probabilities(self, docs: Sequence[Doc]) -> list[numpy.ndarray]:
        """Find how probable each tag of each token is, in the tags of BILUO: U of an entity's only token, else B of its
        first one, L of its last one, and I of those between.

        The tags of different word pieces are independent of each other, as for `expected`.

        Args:
            docs: The docs. Entities and blocked tokens count as in `expected`.

        Returns:
            For each Doc an array with a row per token: the probability of O, then those of B, I, L and U of each type,
            in the order of `labels`.

        Raises:
            ValueError: No model was loaded.
        """
        self._require_model()
        columns = [self._columns(label) for label in self.labels]
        read = self._read(*map(list, zip(*map(_visible, docs), strict=True))) if docs else []
        return [
            _to_biluo(probabilities[:, columns], starts, _taken_by_others(doc))
            for doc, (probabilities, starts) in zip(docs, read, strict=True)
        ]

    def _require_model(self) -> None:
        if not self.tags:
            raise ValueError(f"The component {self.name} has no model yet: load one, or load the pipeline from disk.")

    def _columns(self, label: str) -> list[int]:
        """The numbers of a type's tags, B- and I-."""
        return [self.tags.index(f"{prefix}-{label}") for prefix in "BI"]

    def _compare_tokens(self, docs: Sequence[Doc]) -> None:
        """Warn once where docs come from a pipeline whose tokenizer divides them in another way than this component's.

        The component was taken from its pipeline into that one, and the tokenizer does not come along.
        """
        for doc in docs if self.own_tokenizer else ():
            if doc.vocab is not self.vocab and _words(self.own_tokenizer(doc.text)) != _words(doc):
                warnings.warn(OTHER_TOKENS.format(name=self.name), stacklevel=2)
                self.own_tokenizer = None
                return

    def _confidence(
        self, probabilities: numpy.ndarray, starts: numpy.ndarray, taken: numpy.ndarray, entity: tuple[int, int, str]
    ) -> float:
        """The probability that the first token begins the entity, the others continue it, and the next one does not."""
        start, end, label = entity
        if f"B-{label}" not in self.tags or taken[start:end].any():
            return 0.0
        begins, continues = self._columns(label)
        # A token without a word piece of its own has no tag.
        own = numpy.diff(starts, prepend=-1) != 0
        inner = [n for n in range(start + 1, end) if starts[n] >= 0 and own[n]]
        following = next((n for n in range(end, len(starts)) if taken[n] or (starts[n] >= 0 and own[n])), None)
        # An I- that continues nothing begins an entity, too.
        share = float(probabilities[start, begins] + probabilities[start, continues])
        share *= float(probabilities[inner, continues].prod())
        share *= 1.0 if following is None or taken[following] else 1 - float(probabilities[following, continues])
        if not self.calibration:
            return min(1.0, share)
        share = min(max(share, 1e-9), 1 - 1e-9)
        log_odds = self.calibration["slope"] * math.log(share / (1 - share)) + self.calibration["intercept"]
        return 1 / (1 + math.exp(-log_odds))

    def set_annotations(self, docs: Iterable[Doc], predictions: Iterable[dict[tuple[int, int, str], float]]) -> None:
        """Set the entities of each Doc, beside those that it already has.

        Args:
            docs: The docs.
            predictions: What `predict` gave for them.
        """
        for doc, found in zip(docs, predictions, strict=True):
            spans = []
            for (start, end, label), confidence in found.items():
                span = Span(doc, start, end, label=label)
                span._.confidence = confidence
                spans.append(span)
                for token in span:
                    token.ent_id = 0  # of an entity that was removed
            blocked = [doc[n : n + 1] for n in numpy.flatnonzero(_taken(doc)).tolist() if not doc[n].ent_type]
            doc.set_ents([*doc.ents, *spans], blocked=blocked)

    def score(self, examples: Iterable[Example], **_: Any) -> dict[str, Any]:
        """Score examples by precision, recall and F1, as spaCy does."""
        return get_ner_prf(examples)

    def _read(self, texts: list[str], tokens: list[numpy.ndarray]) -> list[tuple[numpy.ndarray, numpy.ndarray]]:
        """For each token of each text: the tags' probabilities at its first word piece, and where in the text that
        piece starts; -1 where a token has none.

        Where two windows have that word piece, the one in which it is further from the edge counts. A window that
        begins inside a token counts only if no other has the token: its piece of it is not the first one.
        """
        results = [(numpy.zeros((len(bounds), len(self.tags)), "f"), numpy.full(len(bounds), -1)) for bounds in tokens]
        edges = [numpy.full(len(bounds), -1) for bounds in tokens]
        for window, rows in self._scored(self._windows(texts)):
            text = window["text"]
            first, pieces = first_pieces(tokens[text], window["offsets"])
            begins = window["offsets"][pieces, 0] <= tokens[text][first, 0]
            edge = numpy.where(begins, 1 + numpy.minimum(pieces, len(window["offsets"]) - 1 - pieces), 0)
            better = edge > edges[text][first]
            probabilities, starts = results[text]
            probabilities[first[better]] = rows[pieces[better]]
            starts[first[better]] = window["offsets"][pieces[better], 0]
            edges[text][first[better]] = edge[better]
        return results

    def _windows(self, texts: list[str]) -> list[dict[str, Any]]:
        """The texts' windows, as `encode` gives them."""
        raise NotImplementedError

    def _scored(self, windows: list[dict[str, Any]]) -> Iterator[tuple[dict[str, Any], numpy.ndarray]]:
        """The windows in the order of their lengths, each with the tags' probabilities: a row per word piece."""
        raise NotImplementedError

    def to_bytes(self, *, exclude: Iterable[str] = ()) -> bytes:
        """The files of `to_disk` as bytes."""
        with TemporaryDirectory() as folder:
            self.to_disk(folder)
            files = {
                path.relative_to(folder).as_posix(): path.read_bytes()
                for path in Path(folder).rglob("*")
                if path.is_file()
            }
        return srsly.msgpack_dumps(files)

    def from_bytes(self, data: bytes, *, exclude: Iterable[str] = ()) -> "TokenClassifier":
        """Load what `to_bytes` gave.

        Raises:
            ValueError: The bytes are something else, or name a file that would not be in the component's own folder.
        """
        files = _checked_files(srsly.msgpack_loads(data))
        with TemporaryDirectory() as folder:
            for name, content in files.items():
                path = Path(folder) / name
                path.parent.mkdir(parents=True, exist_ok=True)
                path.write_bytes(content)
            return self.from_disk(folder)

    def to_disk(self, path: str | Path, *, exclude: Iterable[str] = ()) -> None:
        """Write the model's files."""
        Path(path).mkdir(parents=True, exist_ok=True)
        if self.tags:
            self._write(Path(path))
            srsly.write_json(Path(path) / CALIBRATION, self.calibration)

    def from_disk(self, path: str | Path, *, exclude: Iterable[str] = ()) -> "TokenClassifier":
        """Load what `to_disk` wrote."""
        if (Path(path) / CALIBRATION).is_file():
            self.calibration = srsly.read_json(Path(path) / CALIBRATION)
        self._open(Path(path))
        return self

    def _write(self, folder: Path) -> None:
        """Write the files of the model that was loaded."""
        raise NotImplementedError

    def _open(self, folder: Path) -> None:
        """Load a model, where the folder has one."""
        raise NotImplementedError


class HuggingFaceNER(TokenClassifier):
    """A model that transformers has trained, and that PyTorch runs. There is none until `load` or `from_disk`.

    Its folder is a Hugging Face model's, which transformers can load by itself.
    """

    def __init__(
        self, vocab: Vocab, name: str = FACTORY, *, max_length: int = 256, overlap: int = 64, batch_size: int = 32
    ) -> None:
        """Make the component.

        Args:
            vocab: The pipeline's vocabulary.
            name: The component's name.
            max_length: The most word pieces in a window, with the special ones.
            overlap: How many word pieces two windows of a longer text share.
            batch_size: How many of the longest windows are predicted at once on a GPU; more of shorter ones.
        """
        super().__init__(vocab, name, max_length=max_length, overlap=overlap)
        self.cfg["batch_size"] = batch_size
        self.model: Any = None
        self.tokenizer: Any = None

    def load(self, folder: str | Path) -> "HuggingFaceNER":
        """Load the model and its tokenizer. No code in the folder is executed.

        Args:
            folder: A folder that `save_pretrained` wrote.

        Returns:
            The component itself.
        """
        from transformers import AutoModelForTokenClassification, AutoTokenizer

        self.tokenizer = AutoTokenizer.from_pretrained(folder, trust_remote_code=False)
        # No warning that separate padding is slow: windows are sorted by length first.
        self.tokenizer.deprecation_warnings["Asking-to-pad-a-fast-tokenizer"] = True
        model = AutoModelForTokenClassification.from_pretrained(folder, trust_remote_code=False)
        self.model = model.to(get_torch_default_device()).eval()
        self.tags = [model.config.id2label[number] for number in range(model.config.num_labels)]
        return self

    def _windows(self, texts: list[str]) -> list[dict[str, Any]]:
        return encode(self.tokenizer, texts, self.cfg["max_length"], self.cfg["overlap"])

    def _scored(self, windows: list[dict[str, Any]]) -> Iterator[tuple[dict[str, Any], numpy.ndarray]]:
        import torch

        # Windows of similar length together, so that little is computed for padding.
        lengths = [len(window["input_ids"]) for window in windows]
        places = PLACES if self.model.device.type == "cpu" else self.cfg["batch_size"] * self.cfg["max_length"]
        for numbers in _batches(lengths, places):
            batch = [windows[number] for number in numbers]
            inputs = self.tokenizer.pad(
                [{key: window[key] for key in self.tokenizer.model_input_names if key in window} for window in batch],
                return_tensors="pt",
            ).to(self.model.device)
            with torch.inference_mode():
                scored = self.model(**inputs).logits.float().softmax(-1).cpu().numpy()
            yield from zip(batch, scored, strict=True)

    def _write(self, folder: Path) -> None:
        self.model.save_pretrained(folder)
        self.tokenizer.save_pretrained(folder)

    def _open(self, folder: Path) -> None:
        if (folder / "config.json").is_file():
            self.load(folder)


class OnnxHuggingFaceNER(TokenClassifier):
    """A model that transformers has trained, and that onnxruntime runs. There is none until `load` or `from_disk`.

    What comes of a text does not depend on the texts beside it.

    Attributes:
        reader: Cuts texts into word pieces and finds the scores of their tags, once a model is loaded into it.
    """

    def __init__(
        self, vocab: Vocab, name: str = ONNX_FACTORY, *, reader: Any, max_length: int = 256, overlap: int = 64
    ) -> None:
        """Make the component.

        Args:
            vocab: The pipeline's vocabulary.
            name: The component's name.
            reader: An OnnxReader.
            max_length: The most word pieces in a window, with the special ones.
            overlap: How many word pieces two windows of a longer text share.
        """
        super().__init__(vocab, name, max_length=max_length, overlap=overlap)
        self.reader = reader

    def load(self, graph: bytes, tokenizer: bytes, *, longest: int, tags: list[str]) -> "OnnxHuggingFaceNER":
        """Load a model.

        Args:
            graph: An ONNX file's content, with the input `input_ids` and the tags' scores as its output.
            tokenizer: The content of the tokenizer.json that goes with it.
            longest: The most word pieces that the model can read at once, with the special ones.
            tags: The model's labels, in its order.

        Returns:
            The component itself.

        Raises:
            ImportError: A package is missing.
            ValueError: The files can't be read.
        """
        self.reader.load(graph, tokenizer, longest=longest, tags=tags)
        self._take_tags()
        return self

    def _take_tags(self) -> None:
        tags = self.reader.about.get("tags")
        if not isinstance(tags, list) or len(tags) != self.reader.width:
            raise ValueError(f"The tags of the component {self.name} are not those of its model: package it again.")
        self.tags = tags

    def _windows(self, texts: list[str]) -> list[dict[str, Any]]:
        tokenizer, longest = self.reader.tokenizer, min(self.cfg["max_length"], self.reader.about["longest"])
        special = tokenizer.num_special_tokens_to_add(is_pair=False)
        # The reader's tokenizer is this component's alone.
        tokenizer.enable_truncation(longest, stride=_stride(self.cfg["overlap"], longest, special))
        windows = []
        for number, text in enumerate(texts):
            first = tokenizer.encode(text)
            for window in (first, *first.overflowing):
                windows.append({"input_ids": window.ids, "offsets": _offsets(text, window.offsets), "text": number})
        return windows

    def _scored(self, windows: list[dict[str, Any]]) -> Iterator[tuple[dict[str, Any], numpy.ndarray]]:
        scores = self.reader.read([window["input_ids"] for window in windows])
        for window, rows in sorted(zip(windows, scores, strict=True), key=lambda pair: len(pair[1])):
            shares = numpy.exp(rows - rows.max(axis=1, keepdims=True))
            yield window, shares / shares.sum(axis=1, keepdims=True)

    def _write(self, folder: Path) -> None:
        self.reader.to_disk(folder)

    def _open(self, folder: Path) -> None:
        if self.reader.from_disk(folder).files:
            self._take_tags()


def encode(tokenizer: Any, texts: list[str], max_length: int, overlap: int) -> list[dict[str, Any]]:
    """Cut texts into windows of word pieces.

    Args:
        tokenizer: The model's tokenizer.
        texts: The texts.
        max_length: The most word pieces in a window, with the special ones.
        overlap: How many word pieces two windows of a text share.

    Returns:
        For each window the model's inputs; `offsets`: an array of the pieces' start and end in code points of the text,
        without the blanks that some tokenizers count as part of a piece, and both 0 for pieces that stand for nothing;
        and `text`: the number of the text.
    """
    # transformers does not accept an empty list.
    if not texts:
        return []
    special = tokenizer.num_special_tokens_to_add()
    longest = min(max_length, tokenizer.model_max_length)
    encoded = tokenizer(
        texts,
        truncation=True,
        max_length=longest,
        stride=_stride(overlap, longest, special),
        return_overflowing_tokens=True,
        return_offsets_mapping=True,
    )
    # Truncation would stay set in the tokenizer, be saved with it, and cut the texts of everyone who loads it.
    tokenizer.backend_tokenizer.no_truncation()
    windows = []
    for number, text in enumerate(encoded["overflow_to_sample_mapping"]):
        window = {name: encoded[name][number] for name in tokenizer.model_input_names if name in encoded}
        windows.append({**window, "offsets": _offsets(texts[text], encoded["offset_mapping"][number]), "text": text})
    return windows


def first_pieces(tokens: numpy.ndarray, pieces: numpy.ndarray) -> tuple[numpy.ndarray, numpy.ndarray]:
    """Find for each token the first of the pieces that overlap it.

    Args:
        tokens: Start and end of each token.
        pieces: Start and end of each piece; pieces with the same start and end are ignored.

    Returns:
        The numbers of the tokens that have such a piece, and the numbers of the pieces.
    """
    real = numpy.flatnonzero(pieces[:, 1] > pieces[:, 0])
    if not len(real):
        return numpy.array([], int), numpy.array([], int)
    # Pieces come in order: the first that ends after the token's start.
    found = numpy.searchsorted(pieces[real, 1], tokens[:, 0], side="right")
    number = numpy.flatnonzero(found < len(real))
    piece = real[found[number]]
    overlaps = (pieces[piece, 0] < tokens[number, 1]) & (tokens[number, 1] > tokens[number, 0])
    return number[overlaps], piece[overlaps]


def decode(tags: Sequence[str], real: Iterable[bool] | None = None) -> Iterator[tuple[int, int, str]]:
    """Read entities from BIO tags. An I- that does not continue an entity begins one, as B- does.

    Args:
        tags: The tags.
        real: False where there is nothing to tag, such as a blank: it never ends an entity, and it belongs to one only
            where it stands inside.

    Yields:
        The number of the first tag, the number after the last tag, and the type.
    """
    start, end, label = 0, 0, ""
    for number, (tag, counts) in enumerate(zip(tags, real if real is not None else [True] * len(tags), strict=True)):
        if not counts:
            continue
        continues = tag[:2] == "I-" and tag[2:] == label
        if label and not continues:
            yield start, end, label
            label = ""
        if tag != "O":
            start, end, label = (start if continues else number), number + 1, tag[2:]
    if label:
        yield start, end, label


def _batches(lengths: Sequence[int], places: int) -> Iterator[list[int]]:
    """The numbers of windows of these lengths in batches of at most so many places, in the order of their lengths."""
    batch: list[int] = []
    for number in sorted(range(len(lengths)), key=lengths.__getitem__):
        if batch and lengths[number] * (len(batch) + 1) > places:
            yield batch
            batch = []
        batch.append(number)
    if batch:
        yield batch


def _expected(shares: numpy.ndarray, starts: numpy.ndarray, taken: numpy.ndarray) -> numpy.ndarray:
    """The expected number of entities by type, with the tags of different word pieces independent of each other.

    Args:
        shares: The probabilities of B- and I-, of shape (tokens, types, 2).
        starts: Where each token's first word piece starts; -1 where it has none, and so no tag.
        taken: Which tokens are O, whatever their probabilities.
    """
    counts, before = numpy.zeros(shares.shape[1]), numpy.zeros(shares.shape[1])
    for number, (begins, continues) in enumerate(shares.astype("d").transpose(0, 2, 1)):
        if taken[number]:
            before = numpy.zeros_like(before)
        elif starts[number] >= 0:
            inside = begins + continues
            if number and starts[number] == starts[number - 1]:
                # Two tokens in one word piece: the second continues what the first is in, unless that is taken.
                counts += inside if taken[number - 1] else 0
            else:
                counts += begins + continues * (1 - before)
            before = inside
    return counts


def _to_biluo(shares: numpy.ndarray, starts: numpy.ndarray, taken: numpy.ndarray) -> numpy.ndarray:
    """The probabilities of O, and of B, I, L and U of each type, for each token.

    Args:
        shares: As for `_expected`.
        starts: As for `_expected`.
        taken: As for `_expected`.
    """
    tokens, types = shares.shape[:2]
    found = numpy.zeros((tokens, 1 + 4 * types))
    tags = found[:, 1:].reshape(tokens, types, 4)
    real = numpy.flatnonzero((starts >= 0) | taken)
    inside = shares[real].astype("d").sum(axis=2)
    # How probable it is that an entity which is open before a token does not end there.
    stays = shares[real, :, 1].astype("d")
    inside[taken[real]], stays[taken[real]] = 0, 0
    same = numpy.flatnonzero((starts[real][1:] == starts[real][:-1]) & (starts[real][1:] >= 0)) + 1
    # Two tokens in one word piece: the second continues what the first is in, unless one of them is taken.
    same = same[~taken[real[same]] & ~taken[real[same - 1]]]
    stays[same] = 1
    before = numpy.concatenate([numpy.zeros((1, types)), inside])[:-1]
    continues = before * stays
    begins = numpy.maximum(0, inside - continues)
    follows = numpy.concatenate([stays, numpy.zeros((1, types))])[1:]
    for part, values in enumerate((begins * follows, continues * follows, continues, begins)):
        tags[real, :, part] = values if part < 2 else values * (1 - follows)
    # A token without a tag is in an entity that continues after it.
    other = numpy.setdiff1d(numpy.arange(tokens), real)
    following = numpy.searchsorted(real, other)
    tags[other, :, 1] = numpy.concatenate([continues, numpy.zeros((1, types))])[following]
    found[:, 0] = 1 - found[:, 1:].sum(axis=1)
    return numpy.maximum(found, 0).astype("f")


def _bounds(doc: Doc) -> numpy.ndarray:
    """Start and end of each token in code points; both are the same for a token of white space."""
    bounds = [(token.idx, token.idx if token.is_space else token.idx + len(token)) for token in doc]
    return numpy.array(bounds, int).reshape(-1, 2)


def _visible(doc: Doc) -> tuple[str, numpy.ndarray]:
    """A text without the characters that show nothing, and the bounds of the tokens in it."""
    text, bounds = doc.text, _bounds(doc)
    if text.isascii() or not INVISIBLE.search(text):
        return text, bounds
    left_out = numpy.array([0, *(bool(INVISIBLE.match(character)) for character in text)]).cumsum()
    return INVISIBLE.sub("", text), bounds - left_out[bounds]


def _checked_files(files: Any) -> dict[str, bytes]:
    """The files that bytes hold, if all of them belong below a folder, on every system."""
    if not isinstance(files, dict):
        raise ValueError("These bytes are not those of a Hugging Face component: they do not hold files by name.")
    for name, content in files.items():
        parts = name.split("/") if isinstance(name, str) else [""]
        if any(part in ("", ".", "..") or set(part) & set("\\:\0") for part in parts):
            raise ValueError(
                f"The bytes of this component name the file {name!r}, which is not below the component's folder: "
                "nothing was loaded. Do not use these bytes; get the model again from where it was trained."
            )
        if not isinstance(content, bytes):
            raise ValueError(f"The bytes of this component hold no bytes for the file {name!r}: they are damaged.")
    return files


def _taken(doc: Doc) -> numpy.ndarray:
    """Which tokens are in an entity, or blocked (never part of one)."""
    taken: numpy.ndarray = doc.to_array(ENT_IOB) % 2 == 1
    return taken


def _taken_by_others(doc: Doc) -> numpy.ndarray:
    """Which tokens are taken, but for those of entities that have a confidence: the component has set these itself."""
    taken = _taken(doc)
    for ent in doc.ents:
        if _get_confidence(ent) is not None:
            taken[ent.start : ent.end] = False
    return taken


def _words(doc: Doc) -> list[str]:
    return [token.text for token in doc]


def _stride(overlap: int, longest: int, special: int) -> int:
    """An overlap as long as the window is not accepted."""
    return max(0, min(overlap, longest - special - 1))


def _offsets(text: str, offsets: Iterable[tuple[int, int]]) -> numpy.ndarray:
    return numpy.array([_without_blanks(text, *offset) for offset in offsets]).reshape(-1, 2)


def _without_blanks(text: str, start: int, end: int) -> tuple[int, int]:
    piece = text[start:end]
    if not piece.strip():
        return 0, 0
    return start + len(piece) - len(piece.lstrip()), end - len(piece) + len(piece.rstrip())


def _get_confidence(span: Span) -> float | None:
    """A confidence belongs to a span with its type: a span that another component gave another type has none."""
    found: float | None = span.doc.user_data.get(_key(span))
    return found


def _set_confidence(span: Span, confidence: float | None) -> None:
    span.doc.user_data[_key(span)] = confidence


def _key(span: Span) -> tuple[str, str, int, int]:
    # Keys of this form are those of extension attributes. spaCy moves their offsets when it cuts or joins docs.
    return "._.", f"confidence:{span.label_}", span.start_char, span.end_char


def create_huggingface_ner(nlp: Language, name: str, max_length: int, overlap: int, batch_size: int) -> HuggingFaceNER:
    """Make the component, as its factory; the arguments are those of HuggingFaceNER."""
    component = HuggingFaceNER(nlp.vocab, name, max_length=max_length, overlap=overlap, batch_size=batch_size)
    component.own_tokenizer = nlp.tokenizer
    return component


def create_onnx_huggingface_ner(
    nlp: Language, name: str, reader: Any, max_length: int, overlap: int
) -> OnnxHuggingFaceNER:
    """Make the component, as its factory; the arguments are those of OnnxHuggingFaceNER."""
    component = OnnxHuggingFaceNER(nlp.vocab, name, reader=reader, max_length=max_length, overlap=overlap)
    component.own_tokenizer = nlp.tokenizer
    return component


# Also where an earlier version of this module, which registered an attribute without the type, was imported first.
if not Span.has_extension("confidence") or not any(Span.get_extension("confidence")):
    Span.set_extension("confidence", getter=_get_confidence, setter=_set_confidence, force=True)

ASSIGNS = ["doc.ents", "token.ent_iob", "token.ent_type"]
SCORE_WEIGHTS = {"ents_f": 1.0, "ents_p": 0.0, "ents_r": 0.0, "ents_per_type": None}
# Where this plugin and a package that carries a copy of this module are both imported, the first one stays.
if Language.get_factory_name(FACTORY) not in registry.factories:
    Language.factory(
        FACTORY,
        assigns=ASSIGNS,
        default_config={"max_length": 256, "overlap": 64, "batch_size": 32},
        default_score_weights=SCORE_WEIGHTS,
        func=create_huggingface_ner,
    )
if Language.get_factory_name(ONNX_FACTORY) not in registry.factories:
    Language.factory(
        ONNX_FACTORY,
        assigns=ASSIGNS,
        default_config={"reader": {"@misc": "spacy_domain_ner.OnnxReader.v1"}, "max_length": 256, "overlap": 64},
        default_score_weights=SCORE_WEIGHTS,
        func=create_onnx_huggingface_ner,
    )
