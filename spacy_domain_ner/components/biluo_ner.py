"""An entity recognizer that tags tokens: as fast with many types as with few, and with a probability for each entity.

A linear layer over the token vectors scores each token's tags: O, and B, I, L and U of each type. Only sequences that
are well-formed count, and a sequence's probability is its share among these: a conditional random field whose
transitions are the rules of BILUO (J. Lafferty et al., Conditional Random Fields, 2001; L. Ratinov and D. Roth, Design
Challenges and Misconceptions in Named Entity Recognition, 2009). By those rules a token has either nothing open behind
it or an entity of one type. So each step of the forward, backward and Viterbi recursions is linear in the number of
types, and one step handles a whole batch.

This module stands alone: a packaged model carries a copy of it. It needs spaCy.
"""

from collections.abc import Callable, Iterable, Iterator, Sequence
from itertools import islice
from typing import Any

import numpy
from spacy.language import Language
from spacy.pipeline import TrainablePipe
from spacy.scorer import get_ner_prf
from spacy.tokens import Doc, Span
from spacy.training import Example, validate_get_examples
from spacy.util import filter_spans, registry
from spacy.vocab import Vocab
from thinc.api import Linear, Model, chain, with_array
from thinc.types import Floats2d

FACTORY = "spacy_domain_ner_biluo_v1"
ARCHITECTURE = "spacy_domain_ner.BiluoTagger.v1"
DEFAULT_MODEL = {
    "@architectures": ARCHITECTURE,
    "tok2vec": {"@architectures": "spacy.HashEmbedCNN.v2", "pretrained_vectors": None, "width": 96, "depth": 4,
                "embed_size": 2000, "window_size": 1, "maxout_pieces": 3, "subword_features": True},
}  # fmt: skip

# The score of what can't be. Not infinite, so that differences stay numbers.
NEVER = -1e6
# Tags of a type, in this order behind O.
BEGIN, IN, LAST, UNIT = range(4)
# Docs of about the same length are padded to the longest of them, up to so many tokens in all.
PADDED = 20_000


@registry.architectures(ARCHITECTURE)
def create_biluo_tagger(
    tok2vec: Model[list[Doc], list[Floats2d]],
    nO: int | None = None,  # noqa: N803 (as in thinc)
) -> Model[list[Doc], list[Floats2d]]:
    """A linear layer over token vectors.

    tok2vec: Gives a vector for each token; a listener, for instance.
    nO: The number of tags, by default from the data.
    """
    width = tok2vec.get_dim("nO") if tok2vec.has_dim("nO") else None
    output = Linear(nO, width)
    model: Model[list[Doc], list[Floats2d]] = chain(tok2vec, with_array(output))
    model.set_ref("tok2vec", tok2vec)
    model.set_ref("output_layer", output)
    return model


class BiluoNER(TrainablePipe):
    """Sets `doc.ents`, as spaCy's `ner` does."""

    def __init__(self, vocab: Vocab, model: Model[list[Doc], list[Floats2d]], name: str = FACTORY) -> None:
        self.vocab = vocab
        self.model = model
        self.name = name
        self.cfg: dict[str, Any] = {"labels": []}

    @property
    def labels(self) -> tuple[str, ...]:
        """The entity types."""
        return tuple(self.cfg["labels"])

    @property
    def label_data(self) -> tuple[str, ...]:
        return self.labels

    def add_label(self, label: str) -> int:
        """Add an entity type, before the model is initialized. RETURNS: 0 where it was there, else 1."""
        if label in self.labels:
            return 0
        if self.model.get_ref("output_layer").has_dim("nO"):
            raise ValueError(f"{self.name} is trained for {', '.join(self.labels)}: {label} can't be added any more")
        self.cfg["labels"].append(label)
        self.vocab.strings.add(label)
        return 1

    def initialize(
        self,
        get_examples: Callable[[], Iterable[Example]],
        *,
        nlp: Language | None = None,
        labels: Sequence[str] | None = None,
    ) -> None:
        """Initialize the model. labels: The entity types; None takes those of the examples."""
        validate_get_examples(get_examples, "BiluoNER.initialize")
        if labels is None:
            labels = sorted({ent.label_ for example in get_examples() for ent in example.reference.ents})
        for label in labels:
            self.add_label(label)
        if not self.labels:
            raise ValueError(f"{self.name} has nothing to learn: no example has an entity, and no labels were given")
        output = self.model.get_ref("output_layer")
        if not output.has_dim("nO"):
            output.set_dim("nO", 1 + 4 * len(self.labels))
        sample = [example.x for example in islice(get_examples(), 10)]
        self.model.initialize(X=sample)

    def predict(self, docs: Sequence[Doc]) -> list[list[tuple[int, int, str]]]:
        """The entities of each Doc as tokens from and to, and the type."""
        if not any(len(doc) for doc in docs):
            return [[] for _ in docs]
        scores = self.model.predict(docs)
        results: list[list[tuple[int, int, str]]] = [[] for _ in docs]
        for numbers in _batches(docs):
            lattice = self._lattice(docs, scores, numbers)
            for number, start, end, label in lattice.best():
                results[numbers[number]].append((start, end, self.labels[label]))
        return results

    def probabilities(
        self, docs: Sequence[Doc], asked: Sequence[Iterable[tuple[int, int, str]]] | None = None
    ) -> list[dict[tuple[int, int, str], float]]:
        """How probable each entity is that `predict` finds, by its tokens from and to, and its type.

        It is the model's own estimate, not calibrated on other text.

        asked: Of each Doc further entities whose probability is wanted.
        """
        results: list[dict[tuple[int, int, str], float]] = [{} for _ in docs]
        if any(len(doc) for doc in docs):
            numbers_of = {label: number for number, label in enumerate(self.labels)}
            scores = self.model.predict(docs)
            for numbers in _batches(docs):
                lattice = self._lattice(docs, scores, numbers)
                entities = dict.fromkeys(lattice.best())
                for place, number in enumerate(numbers):
                    for start, end, name in asked[number] if asked else ():
                        if name in numbers_of:
                            entities[place, start, end, numbers_of[name]] = None
                for (place, start, end, label), share in zip(
                    entities, lattice.probabilities(list(entities)), strict=True
                ):
                    results[numbers[place]][start, end, self.labels[label]] = share
        return results

    def _lattice(self, docs: Sequence[Doc], scores: Sequence[Floats2d], numbers: Sequence[int]) -> "Lattice":
        return Lattice(self.model.ops.xp, [scores[n] for n in numbers], [_blanks(docs[n]) for n in numbers])

    def set_annotations(self, docs: Iterable[Doc], predictions: Iterable[list[tuple[int, int, str]]]) -> None:
        for doc, found in zip(docs, predictions, strict=True):
            spans = [Span(doc, start, end, label=label) for start, end, label in found]
            if doc.ents:
                # What an earlier component has set stays where nothing is found.
                taken = {token.i for span in spans for token in span}
                spans = filter_spans([*spans, *(ent for ent in doc.ents if not any(t.i in taken for t in ent))])
            doc.set_ents(spans)

    def get_loss(self, examples: Iterable[Example], scores: Sequence[Floats2d]) -> tuple[float, list[Floats2d]]:
        """The negative log-likelihood of the annotation, and its gradient. Unannotated tokens may have any tag."""
        examples = list(examples)
        docs = [example.predicted for example in examples]
        loss = 0.0
        # Those of docs without tokens stay.
        gradients: list[Any] = list(scores)
        numbers_of = {label: number for number, label in enumerate(self.labels)}
        for numbers in _batches(docs):
            lattice = self._lattice(docs, scores, numbers)
            allowed = [_allowed(examples[n], numbers_of) for n in numbers]
            lost, of_batch = lattice.loss(allowed)
            loss += lost
            for number, gradient in zip(numbers, of_batch, strict=True):
                gradients[number] = gradient
        return loss, gradients

    def score(self, examples: Iterable[Example], **_: Any) -> dict[str, Any]:
        return get_ner_prf(examples)


class Lattice:
    """The well-formed tag sequences of a batch, each token's tags being O, then B, I, L and U of each type.

    Arrays have the tokens first, then the docs: a step of a recursion takes one token of all docs. All that it needs to
    know of what came before is the weight of having nothing open, and of having an entity of each type open. Behind a
    doc's end all is O.
    """

    def __init__(self, xp: Any, scores: Sequence[Any], blanks: Sequence[Any]) -> None:
        """
        xp: numpy, or CuPy.
        scores: Of each doc, of shape (tokens, 1 + 4 * types).
        blanks: Of each doc, which of the tokens are white space: no entity begins or ends there.
        """
        self.xp = xp
        self.lengths = [len(rows) for rows in scores]
        self.types = (scores[0].shape[1] - 1) // 4
        self.scores = xp.full((max(self.lengths), len(scores), 1 + 4 * self.types), NEVER, "f")
        self.scores[:, :, 0] = 0
        edges = xp.asarray([False] + [True, False, True, True] * self.types)
        for number, (rows, blank) in enumerate(zip(scores, blanks, strict=True)):
            if blank.any():
                rows = xp.where(xp.asarray(blank)[:, None] & edges, NEVER, rows)
            self.scores[: len(rows), number] = rows

    def best(self) -> Iterator[tuple[int, int, int, int]]:
        """The entities of the most probable sequence of each doc: doc, first token, behind the last, type."""
        xp = self.xp
        outside, tags = _parts(self.scores)
        length, docs = outside.shape
        inside = xp.full((docs, self.types), NEVER, "f")
        # What a token is that has nothing open behind it: 0 is O, then come U and L of each type.
        closing = xp.zeros((length, docs), "i")
        # Whether a token that has an entity open behind it goes on with it, or else begins it.
        goes_on = xp.zeros((length, docs, self.types), "?")
        for t in range(length):
            choices = xp.concatenate([outside[t][:, None], tags[t, ..., UNIT], tags[t, ..., LAST] + inside], axis=1)
            closing[t] = choices.argmax(axis=1)
            first, middle = tags[t, ..., BEGIN], tags[t, ..., IN] + inside
            goes_on[t] = middle > first
            inside = xp.maximum(first, middle) - choices.max(axis=1)[:, None]
        return self._trace(_to_numpy(closing), _to_numpy(goes_on))

    def _trace(self, closing: Any, goes_on: Any) -> Iterator[tuple[int, int, int, int]]:
        length, docs = closing.shape
        inside, end = numpy.full(docs, -1), numpy.zeros(docs, int)
        for t in range(length - 1, -1, -1):
            tag = numpy.where(inside < 0, closing[t], 0)
            for doc in numpy.flatnonzero((tag > 0) & (tag <= self.types)).tolist():
                yield doc, t, t + 1, int(tag[doc]) - 1
            begun = numpy.flatnonzero(inside >= 0)
            begun = begun[~goes_on[t, begun, inside[begun]]]
            for doc in begun.tolist():
                yield doc, t, int(end[doc]), int(inside[doc])
            inside[begun] = -1
            ends = numpy.flatnonzero(tag > self.types)
            inside[ends], end[ends] = tag[ends] - 1 - self.types, t + 1

    def loss(self, allowed: Sequence[Any]) -> tuple[float, list[Any]]:
        """The negative log-likelihood of what the annotation allows, and its gradient for the scores of each doc.

        allowed: Of each doc which tags each token may have, of the shape of its scores.
        """
        xp = self.xp
        mask = xp.zeros(self.scores.shape, "?")
        mask[:, :, 0] = True
        for number, rows in enumerate(allowed):
            mask[: len(rows), number] = xp.asarray(rows)
        total, shares = _marginals(xp, self.scores)
        likely, wanted = _marginals(xp, xp.where(mask, self.scores, NEVER))
        # What no sequence can be, whatever the scores: an annotated mention that ends with a blank, for instance.
        possible = likely > NEVER / 2
        loss = float(xp.where(possible, total - likely, 0).sum())
        gradient = (shares - wanted) * possible[None, :, None]
        return loss, [gradient[:length, number] for number, length in enumerate(self.lengths)]

    def probabilities(self, entities: Sequence[tuple[int, int, int, int]]) -> list[float]:
        """How probable each entity is: the share of the sequences that have it, whatever else they have.

        entities: Doc, first token, behind the last, type.
        """
        sweep = _Sweep(self.xp, self.scores)
        values = []
        for doc, start, end, label in entities:
            parts = [UNIT] if end - start == 1 else [BEGIN, *[IN] * (end - start - 2), LAST]
            weight = sweep.before[start, doc, 0] + sweep.lost_before[start, doc]
            weight += sweep.behind[end - 1, doc, 0] + sweep.lost_behind[end - 1, doc]
            weight += sum(self.scores[start + n, doc, 1 + 4 * label + part] for n, part in enumerate(parts))
            values.append(min(1.0, float(self.xp.exp(weight - sweep.total[doc]))))
        return values


class _Sweep:
    """The weights of what may stand before and behind each token, of shape (tokens, docs, 1 + types).

    before, behind: The logarithm for nothing open, then for an open entity of each type, less what all of a token have
        in common, so that nothing grows with the length: lost_before and lost_behind, of shape (tokens, docs).
    total: The logarithm of the weight of all sequences of each doc.
    """

    def __init__(self, xp: Any, scores: Any) -> None:
        outside, tags = _parts(scores)
        length, docs, types = tags.shape[:3]
        self.before, self.behind = xp.empty((2, length, docs, 1 + types), "f")
        self.lost_before, self.lost_behind = xp.empty((2, length, docs), "d")
        state = xp.full((docs, 1 + types), NEVER, "f")
        state[:, 0] = 0
        last, lost = state.copy(), xp.zeros(docs, "d")
        for t in range(length):
            self.before[t], self.lost_before[t] = state, lost
            closed, opened = self.before[t, :, :1], self.before[t, :, 1:]
            state[:, 0] = _log_sum(
                xp, outside[t][:, None] + closed, tags[t, ..., UNIT] + closed, tags[t, ..., LAST] + opened
            )
            state[:, 1:] = xp.logaddexp(tags[t, ..., BEGIN] + closed, tags[t, ..., IN] + opened)
            most = state.max(axis=1)
            state -= most[:, None]
            lost = lost + most
        self.total = lost + state[:, 0]
        state, lost = last, xp.zeros(docs, "d")
        for t in range(length - 1, -1, -1):
            self.behind[t], self.lost_behind[t] = state, lost
            closed, opened = self.behind[t, :, :1], self.behind[t, :, 1:]
            state[:, 0] = _log_sum(
                xp, outside[t][:, None] + closed, tags[t, ..., UNIT] + closed, tags[t, ..., BEGIN] + opened
            )
            state[:, 1:] = xp.logaddexp(tags[t, ..., LAST] + closed, tags[t, ..., IN] + opened)
            most = state.max(axis=1)
            state -= most[:, None]
            lost = lost + most


def _marginals(xp: Any, scores: Any) -> tuple[Any, Any]:
    """The logarithm of the weight of all sequences of each doc, and the probability of each tag of each token."""
    sweep = _Sweep(xp, scores)
    before, behind = sweep.before, sweep.behind
    weights = scores.copy()
    _, tags = _parts(weights)
    weights[..., 0] += before[..., 0] + behind[..., 0]
    tags[..., BEGIN] += before[..., :1] + behind[..., 1:]
    tags[..., IN] += before[..., 1:] + behind[..., 1:]
    tags[..., LAST] += before[..., 1:] + behind[..., :1]
    tags[..., UNIT] += before[..., :1] + behind[..., :1]
    weights -= weights.max(axis=2, keepdims=True)
    weights = xp.exp(weights)
    return sweep.total, weights / weights.sum(axis=2, keepdims=True)


def _log_sum(xp: Any, *values: Any) -> Any:
    together = xp.concatenate(values, axis=1)
    most = together.max(axis=1)
    return most + xp.log(xp.exp(together - most[:, None]).sum(axis=1))


def _parts(scores: Any) -> tuple[Any, Any]:
    """Views of the scores of O, and of those of B, I, L and U of each type."""
    return scores[..., 0], scores[..., 1:].reshape(*scores.shape[:-1], -1, 4)


def _batches(docs: Sequence[Doc]) -> Iterator[list[int]]:
    """The numbers of the docs that have tokens, those of about the same length together."""
    batch: list[int] = []
    for number in sorted(range(len(docs)), key=lambda number: len(docs[number])):
        if batch and len(docs[number]) * (len(batch) + 1) > PADDED:
            yield batch
            batch = []
        if len(docs[number]):
            batch.append(number)
    if batch:
        yield batch


def _blanks(doc: Doc) -> numpy.ndarray:
    return numpy.array([token.is_space for token in doc], "?")


def _allowed(example: Example, numbers: dict[str, int]) -> numpy.ndarray:
    """Which tags the annotation leaves to each token: one, or any where it says nothing."""
    tags = example.get_aligned_ner()
    mask = numpy.zeros((len(tags), 1 + 4 * len(numbers)), "?")
    for row, tag in zip(mask, tags, strict=True):
        if tag == "O":
            row[0] = True
        elif tag and tag[2:] in numbers:
            row[1 + 4 * numbers[tag[2:]] + "BILU".index(tag[0])] = True
        else:
            row[:] = True
    return mask


def _to_numpy(array: Any) -> numpy.ndarray:
    return array if isinstance(array, numpy.ndarray) else array.get()


def create_biluo_ner(nlp: Language, name: str, model: Model[list[Doc], list[Floats2d]]) -> BiluoNER:
    """The factory of BiluoNER, whose arguments these are."""
    return BiluoNER(nlp.vocab, model, name)


# Where this plugin and a package that carries a copy of this module are both imported, the first one stays.
if Language.get_factory_name(FACTORY) not in registry.factories:
    Language.factory(
        FACTORY,
        assigns=["doc.ents", "token.ent_iob", "token.ent_type"],
        default_config={"model": DEFAULT_MODEL},
        default_score_weights={"ents_f": 1.0, "ents_p": 0.0, "ents_r": 0.0, "ents_per_type": None},
        func=create_biluo_ner,
    )
