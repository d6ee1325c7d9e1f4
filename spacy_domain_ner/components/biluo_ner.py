"""An entity recognizer that tags tokens: as fast with many types as with few, and with a probability for each entity.

A linear layer over the token vectors scores each token's tags: O, and B, I, L and U of each type. A sequence of tags
has the weight exp(sum of its scores) if it is well-formed, and 0 otherwise; its probability is its share of the weight
of all sequences. That is a conditional random field whose transitions are the rules of BILUO (J. Lafferty et al.,
Conditional Random Fields, 2001; L. Ratinov and D. Roth, Design Challenges and Misconceptions in Named Entity
Recognition, 2009). By those rules, between two tokens either nothing is open or an entity of one type is. These states
are all that the forward, backward and Viterbi recursions have to know, so each of their steps is linear in the number
of types, and one step handles a whole batch.

This module stands alone: a packaged model carries a copy of it. It needs spaCy.
"""

import re
import warnings
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from itertools import islice
from typing import Any, NamedTuple

import numpy
from spacy.attrs import ENT_IOB, IS_ASCII, IS_SPACE, ORTH, SPACY
from spacy.language import Language
from spacy.ml.models.tok2vec import Tok2VecListener
from spacy.pipeline import TrainablePipe
from spacy.tokens import Doc, Span
from spacy.training import Example, validate_get_examples
from spacy.util import registry
from spacy.vocab import Vocab
from thinc.api import Linear, Model, chain, resizable, with_array
from thinc.layers.resizable import resize_linear_weighted, resize_model
from thinc.types import Floats2d

# Characters that show nothing: soft hyphen, zero-width characters, marks of direction, variation selectors, tags.
INVISIBLE = re.compile(
    "[\u00ad\u034f\u061c\u115f\u1160\u17b4\u17b5\u180b-\u180f\u200b-\u200f\u202a-\u202e\u2060-\u206f\u3164\ufe00-\ufe0f"
    "\ufeff\uffa0\ufff0-\ufffb\U00013430-\U0001343f\U0001bca0-\U0001bca3\U0001d173-\U0001d17a\U000e0000-\U000e0fff]+"
)

FACTORY = "spacy_domain_ner_biluo_v1"
ARCHITECTURE = "spacy_domain_ner.BiluoTagger.v1"
DEFAULT_MODEL = {
    "@architectures": ARCHITECTURE,
    "tok2vec": {"@architectures": "spacy.HashEmbedCNN.v2", "pretrained_vectors": None, "width": 96, "depth": 4,
                "embed_size": 2000, "window_size": 1, "maxout_pieces": 3, "subword_features": True},
}  # fmt: skip

# The score of an impossible tag. Not infinite, so that differences stay numbers.
NEVER = -1e6
# Smallest weight used; keeps log() finite for impossible paths.
TINY = 1e-300
# Smallest probability whose logarithm is taken, in single precision.
LEAST = 1e-30
# Rescale every STEPS tokens: one token can change a weight by up to e^100, and a double overflows near e^700.
STEPS = 5
# The logarithm of the highest probability that the loss of wrong entities takes into account.
CERTAIN = -1e-3
# The tags of a type, in this order; O comes before the tags of all types.
BEGIN, IN, LAST, UNIT = range(4)
# The key in `doc.user_data` of what another model thinks of each token's tags, to learn from: see `pack_tags`.
SOFT_TAGS = "spacy_domain_ner_soft_tags"
# Tags that are less probable are left out there.
LEAST_SOFT = 0.005
# Docs of about the same length are padded to the longest of them, up to this many tokens per batch.
PADDED = 20_000
OTHER_TOKENS = (
    "The component {name!r} was taken from another pipeline, whose tokenizer did not come along: texts are divided "
    "into other tokens than those that it was trained on, so it misses names. Load the trained pipeline and add the "
    "other components to it, or copy its tokenizer: "
    "nlp.tokenizer.from_bytes(trained.tokenizer.to_bytes(exclude=['vocab']))"
)


@registry.architectures(ARCHITECTURE)
def create_biluo_tagger(
    tok2vec: Model[list[Doc], list[Floats2d]],
    nO: int | None = None,  # noqa: N803 (as in thinc)
) -> Model[list[Doc], list[Floats2d]]:
    """Make a linear layer over token vectors.

    Args:
        tok2vec: Gives a vector for each token; a listener, for instance.
        nO: The number of tags; None takes it from the data.

    Returns:
        A model that gives a score for each token and tag.
    """
    width = tok2vec.get_dim("nO") if tok2vec.has_dim("nO") else None
    output = resizable(Linear(nO, width), resize_layer=resize_linear_weighted)
    model: Model[list[Doc], list[Floats2d]] = chain(tok2vec, with_array(output))
    model.set_ref("tok2vec", tok2vec)
    model.set_ref("output_layer", output)
    return model


class BiluoNER(TrainablePipe):
    """Sets `doc.ents`, as spaCy's `ner` does, and `span._.confidence` of each entity: the probability that its
    boundaries and its type are right, from 0 to 1. It is calibrated where `calibration` is set, else the model's own
    estimate.

    Entities that a doc already has stay as they are, and it predicts around them. They have no confidence.
    """

    def __init__(
        self,
        vocab: Vocab,
        model: Model[list[Doc], list[Floats2d]],
        name: str = FACTORY,
        *,
        incorrect_spans_key: str | None = None,
        scorer: Callable[..., dict[str, Any]] | None = None,
    ) -> None:
        """Make the component.

        Args:
            vocab: The pipeline's vocabulary.
            model: What `create_biluo_tagger` makes.
            name: The component's name.
            incorrect_spans_key: The key in `doc.spans` of the spans that are known not to be entities of their type,
                to learn from; None where there are none.
            scorer: Scores examples, as spaCy's scorers do.
        """
        self.vocab = vocab
        self.model = model
        self.name = name
        self.scorer = scorer
        self.incorrect_spans_key = incorrect_spans_key
        self.cfg: dict[str, Any] = {"labels": [], "calibration": None}
        # The scores of the docs that were read last, for who asks for `predict` and then `expected`; None keeps none.
        self.kept_scores: list[tuple[Doc, Floats2d]] | None = None
        # That of the pipeline in which the component was made; None after the warning that texts come from another one.
        self.own_tokenizer: Any = None

    @property
    def labels(self) -> tuple[str, ...]:
        """The entity types."""
        return tuple(self.cfg["labels"])

    @property
    def label_data(self) -> tuple[str, ...]:
        """What `initialize` takes as labels."""
        return self.labels

    @property
    def calibration(self) -> dict[str, Any] | None:
        """Slope and intercept of the line from an entity's log-odds to calibrated ones, and what else is kept with
        them; None leaves the model's own estimate."""
        return self.cfg["calibration"]

    @calibration.setter
    def calibration(self, values: dict[str, Any] | None) -> None:
        self.cfg["calibration"] = values

    def add_label(self, label: str) -> int:
        """Add an entity type, which a trained model then has to learn.

        Args:
            label: Its name.

        Returns:
            0 where the component had it already, else 1.
        """
        if label in self.labels:
            return 0
        self.cfg["labels"].append(label)
        self.vocab.strings.add(label)
        if self.model.get_ref("output_layer").has_dim("nO"):
            _resize(self.model, 1 + 4 * len(self.labels))
        return 1

    def initialize(
        self,
        get_examples: Callable[[], Iterable[Example]],
        *,
        nlp: Language | None = None,
        labels: Sequence[str] | None = None,
    ) -> None:
        """Initialize the model.

        Args:
            get_examples: Gives the training examples.
            nlp: The pipeline; not needed.
            labels: The entity types; None takes those of the examples.

        Raises:
            ValueError: There is no entity type.
        """
        validate_get_examples(get_examples, "BiluoNER.initialize")
        if labels is None:
            labels = sorted({ent.label_ for example in get_examples() for ent in example.reference.ents})
        for label in labels:
            self.add_label(label)
        if not self.labels:
            raise ValueError(f"{self.name} has nothing to learn: no example has an entity, and no labels were given")
        output = self.model.get_ref("output_layer")
        if not output.has_dim("nO"):
            for layer in (output, *output.layers):
                layer.set_dim("nO", 1 + 4 * len(self.labels))
        sample = [example.x for example in islice(get_examples(), 10)]
        self.model.initialize(X=sample)

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
        """
        self._compare_tokens(docs)
        results: list[dict[tuple[int, int, str], float]] = [{} for _ in docs]
        if any(len(doc) for doc in docs):
            numbers_of = {label: number for number, label in enumerate(self.labels)}
            scores = self._score(docs)
            for numbers in _batches(docs):
                lattice = self._lattice(docs, scores, numbers, [_taken(docs[n]) for n in numbers])
                entities = dict.fromkeys(lattice.best())
                if asked:
                    for row, number in enumerate(numbers):
                        for start, end, label in asked[number]:
                            if label in numbers_of:
                                entities[BatchEntity(row, start, end, numbers_of[label])] = None
                # The digits after these depend on which docs are read at once. They are cut before the calibration,
                # which was fitted to probabilities without them.
                shares = [round(share, 9) for share in lattice.probabilities(list(entities))]
                for entity, share in zip(entities, _calibrated(shares, self.calibration), strict=True):
                    results[numbers[entity.doc]][entity.start, entity.end, self.labels[entity.type]] = share
        return results

    def expected(self, docs: Sequence[Doc]) -> list[dict[str, float]]:
        """Find how many entities of each type are to be expected, whether or not the best sequence has them.

        An entity has one first token, so the expected number of entities is the sum over the tokens of the
        probability that one begins there: P(B) + P(U). It is multiplied by what `calibration` keeps for the type under
        "expected".

        Entities and blocked tokens that the docs have from elsewhere stay as they are and are not counted. Those that
        this component has set, which have a confidence, count as if they were not set yet.

        Args:
            docs: The docs, before or after this component.

        Returns:
            For each Doc the expected number by entity type.
        """
        results = [dict.fromkeys(self.labels, 0.0) for _ in docs]
        if any(len(doc) for doc in docs):
            factors = (self.calibration or {}).get("expected") or {}
            scores = self._score(docs)
            for numbers in _batches(docs):
                lattice = self._lattice(docs, scores, numbers, [_taken_by_others(docs[n]) for n in numbers])
                for number, counts in zip(numbers, lattice.expected(), strict=True):
                    for label, count in zip(self.labels, counts, strict=True):
                        results[number][label] = float(count) * factors.get(label, factors.get("", 1.0))
        return results

    def uncertainty(self, docs: Sequence[Doc]) -> list[numpy.ndarray]:
        """Find how unsure the component is of each token.

        Args:
            docs: The docs. Entities and blocked tokens count as in `expected`.

        Returns:
            For each Doc an array with a row per token: the entropy of the token's tags, in nats; then, for each type in
            the order of `labels`, the probability that the token is in an entity of it.
        """
        results = [numpy.zeros((len(doc), 1 + len(self.labels)), "f") for doc in docs]
        if any(len(doc) for doc in docs):
            scores = self._score(docs)
            for numbers in _batches(docs):
                lattice = self._lattice(docs, scores, numbers, [_taken_by_others(docs[n]) for n in numbers])
                found = lattice.uncertainty()
                for row, number in enumerate(numbers):
                    results[number][:] = found[: len(docs[number]), row]
        return results

    def tag_probabilities(self, docs: Sequence[Doc]) -> list[numpy.ndarray]:
        """Find how probable each tag of each token is, given the whole doc.

        Args:
            docs: The docs. Entities and blocked tokens count as in `expected`.

        Returns:
            For each Doc an array with a row per token: the probability of O, then those of B, I, L and U of each type,
            in the order of `labels`.
        """
        results = [numpy.zeros((len(doc), 1 + 4 * len(self.labels)), "f") for doc in docs]
        if any(len(doc) for doc in docs):
            scores = self._score(docs)
            for numbers in _batches(docs):
                lattice = self._lattice(docs, scores, numbers, [_taken_by_others(docs[n]) for n in numbers])
                found = lattice.tag_probabilities()
                for row, number in enumerate(numbers):
                    results[number][:] = found[: len(docs[number]), row]
        return results

    def _score(self, docs: Sequence[Doc]) -> Sequence[Floats2d]:
        """Score the tags of each doc's tokens, or take the scores that were kept."""
        if kept := self.kept_scores:
            same = len(kept) == len(docs) and all(
                doc is one and len(doc) == len(scores) for doc, (one, scores) in zip(docs, kept, strict=True)
            )
            if same:
                return [scores for _, scores in kept]
        tok2vec, output = self.model.get_ref("tok2vec"), self.model.get_ref("output_layer")
        found: Sequence[Floats2d]
        if isinstance(tok2vec, Tok2VecListener):
            # Each doc by itself: in a product of many rows the last digits of each depend on how many there are.
            found = [output.predict(rows) for rows in tok2vec.predict(docs)]
        else:
            found = self.model.predict(docs)
        if self.kept_scores is not None:
            self.kept_scores = list(zip(docs, found, strict=True))
        return found

    def _compare_tokens(self, docs: Sequence[Doc]) -> None:
        """Warn once where docs come from a pipeline whose tokenizer divides them in another way than this component's.

        The component was taken from its pipeline into that one, and the tokenizer does not come along.
        """
        for doc in docs if self.own_tokenizer else ():
            if doc.vocab is not self.vocab and _words(self.own_tokenizer(doc.text)) != _words(doc):
                warnings.warn(OTHER_TOKENS.format(name=self.name), stacklevel=2)
                self.own_tokenizer = None
                return

    def _lattice(
        self, docs: Sequence[Doc], scores: Sequence[Floats2d], numbers: Sequence[int], taken: Sequence[Any] = ()
    ) -> "Lattice":
        return Lattice(self.model.ops.xp, [scores[n] for n in numbers], [_blanks(docs[n]) for n in numbers], taken)

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

    def get_loss(self, examples: Iterable[Example], scores: Sequence[Floats2d]) -> tuple[float, list[Floats2d]]:
        """Find the negative log-likelihood of the annotation. Unannotated tokens may have any tag.

        A doc that has soft tags (see `pack_tags`) instead of an annotation adds the cross-entropy of these.

        Args:
            examples: Predicted docs with their annotation.
            scores: The model's scores for them.

        Returns:
            The loss, and its gradient with respect to the scores of each Doc.
        """
        examples = list(examples)
        docs = [example.predicted for example in examples]
        loss = 0.0
        # The gradients of docs without tokens stay empty.
        gradients: list[Any] = list(scores)
        numbers_of = {label: number for number, label in enumerate(self.labels)}
        for numbers in _batches(docs):
            lattice = self._lattice(docs, scores, numbers)
            allowed = [_allowed(examples[n], numbers_of) for n in numbers]
            soft = {
                row: unpack_tags(packed, example.predicted, numbers_of)
                for row, example in enumerate(examples[n] for n in numbers)
                if (packed := example.reference.user_data.get(SOFT_TAGS))
            }
            lost, of_batch = lattice.loss(allowed, soft)
            loss += lost
            for number, gradient in zip(numbers, of_batch, strict=True):
                gradients[number] = gradient
            wrong = [
                BatchEntity(row, span.start, span.end, numbers_of[span.label_])
                for row, number in enumerate(numbers)
                for span in self._incorrect(examples[number])
                if span.label_ in numbers_of
            ]
            if wrong:
                lost, of_wrong = lattice.loss_of_wrong(wrong)
                loss += lost
                for entity, gradient in zip(wrong, of_wrong, strict=True):
                    gradients[numbers[entity.doc]] = gradients[numbers[entity.doc]] + gradient
        return loss, gradients

    def _incorrect(self, example: Example) -> list[Span]:
        key = self.incorrect_spans_key
        group = example.reference.spans.get(key) if key else None
        return example.get_aligned_spans_y2x(list(group), allow_overlap=True) if group else []


class BatchEntity(NamedTuple):
    """An entity in a doc of a batch.

    Attributes:
        doc: The doc's number in the batch.
        start: The first token.
        end: The token after the last one.
        type: The number of the entity type.
    """

    doc: int
    start: int
    end: int
    type: int


class Lattice:
    """The well-formed tag sequences of a batch, each token's tags being O, then B, I, L and U of each type.

    Arrays have the tokens first, then the docs, so that a step of a recursion takes one token of all docs. All that it
    has to know of the tokens before are the weights of the states after them: nothing is open, or an entity of one type
    is. After a doc's last token, all tags are O.
    """

    def __init__(self, xp: Any, scores: Sequence[Any], blanks: Sequence[Any], taken: Sequence[Any] = ()) -> None:
        """Lay out a batch.

        Args:
            xp: NumPy, or CuPy.
            scores: The tags' scores for each doc, of shape (tokens, 1 + 4 * types).
            blanks: For each doc, which tokens are white space: no entity begins or ends there.
            taken: For each doc, which tokens are O, whatever their scores; empty where none are.
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
        for number, fixed in enumerate(taken):
            if fixed.any():
                self.scores[: len(fixed), number, 1:][xp.asarray(fixed)] = NEVER

    def best(self) -> Iterator[BatchEntity]:
        """Find the most probable sequence of each doc (the Viterbi recursion).

        The highest score of the sequences so far is kept for each state, less that of the state in which nothing is
        open. Nothing stays open by O, by U, or by L of the open type; a type is open by its B, or by its I where it was
        open before.

        Yields:
            The entities of those sequences, the last ones first.
        """
        xp = self.xp
        outside, tags = _parts(self.scores)
        length, docs = outside.shape
        inside = xp.full((docs, self.types), NEVER, "f")
        # The tag by which nothing is open after the token: 0 is O, then U of each type, then L of each type.
        closing = xp.zeros((length, docs), "i")
        # True where an open entity continues here, False where one begins.
        continues = xp.zeros((length, docs, self.types), "?")
        for t in range(length):
            choices = xp.concatenate([outside[t][:, None], tags[t, ..., UNIT], tags[t, ..., LAST] + inside], axis=1)
            closing[t] = choices.argmax(axis=1)
            first, middle = tags[t, ..., BEGIN], tags[t, ..., IN] + inside
            continues[t] = middle > first
            inside = xp.maximum(first, middle) - choices.max(axis=1)[:, None]
        return self._trace(_to_numpy(closing), _to_numpy(continues))

    def _trace(self, closing: Any, continues: Any) -> Iterator[BatchEntity]:
        # From the last token to the first. A tag counts unless it lies within an entity that was already found.
        free = [len(closing)] * len(self.lengths)
        for t, doc in zip(*(numbers[::-1].tolist() for numbers in closing.nonzero()), strict=True):
            if t < free[doc]:
                number = int(closing[t, doc]) - 1
                start = t
                if number >= self.types:
                    number -= self.types
                    start -= 1
                    while continues[start, doc, number]:
                        start -= 1
                free[doc] = start
                yield BatchEntity(doc, start, t + 1, number)

    def loss(self, allowed: Sequence[Any], soft: Mapping[int, Any] | None = None) -> tuple[float, list[Any]]:
        """Find the negative log-likelihood of what the annotation allows.

        It is log(weight of all sequences) - log(weight of those that are allowed). Its gradient for a tag is the tag's
        probability, less its probability among the allowed sequences.

        Where a tag's probability is given by another model, that takes the place of the second one. The loss is the
        cross-entropy of the sequences: log(weight of all sequences) - the score that they have on average with that
        model.

        Args:
            allowed: For each doc, which tags each token may have, of the shape of its scores.
            soft: For the numbers of some docs, how probable each tag of each token is, of the same shape.

        Returns:
            The loss, and its gradient with respect to the scores of each doc.
        """
        xp = self.xp
        mask = xp.zeros(self.scores.shape, "?")
        mask[:, :, 0] = True
        for number, rows in enumerate(allowed):
            mask[: len(rows), number] = xp.asarray(rows)
        # Both at once: a step of the recursions takes as long for twice the docs.
        both = xp.concatenate([self.scores, xp.where(mask, self.scores, NEVER)], axis=1)
        (total, likely), (shares, wanted) = (
            xp.split(values, 2, axis=-1 if values.ndim == 1 else 1) for values in _marginals(xp, both)
        )
        # False where no well-formed sequence fits the annotation (a mention that ends with a blank, for instance); such
        # docs teach nothing.
        possible = likely > -xp.inf
        for number, rows in (soft or {}).items():
            # No tag that is impossible here.
            target = xp.where(self.scores[: len(rows), number] > NEVER / 2, xp.asarray(rows), 0)
            wanted[: len(rows), number] = target
            likely[number] = (target * self.scores[: len(rows), number]).sum(dtype="d")
        loss = float(xp.where(possible, total - likely, 0).sum())
        gradient = (shares - wanted) * possible[None, :, None]
        return loss, [gradient[:length, number] for number, length in enumerate(self.lengths)]

    def loss_of_wrong(self, entities: Sequence[BatchEntity]) -> tuple[float, list[Any]]:
        """Find the negative log-likelihood of spans not being entities of a type.

        With the probability p of such an entity, that is -log(1 - p). Its gradient for a tag is p / (1 - p) times the
        difference of the tag's probability among the sequences that have the entity, and among all.

        Args:
            entities: What is known to be wrong.

        Returns:
            The loss, and for each entity the gradient with respect to the scores of its doc.
        """
        xp = self.xp
        scores = self.scores[:, [entity.doc for entity in entities]]
        mask = xp.ones(scores.shape, "?")
        for number, (_, start, end, type_number) in enumerate(entities):
            mask[start:end, number] = False
            for token in range(start, end):
                part = UNIT if end - start == 1 else BEGIN if token == start else LAST if token == end - 1 else IN
                mask[token, number, 1 + 4 * type_number + part] = True
        total, shares = _marginals(xp, scores)
        of_those, given = _marginals(xp, xp.where(mask, scores, NEVER))
        # Clamped: the gradient diverges as the probability approaches 1.
        share = xp.exp(xp.minimum(of_those - total, CERTAIN))
        gradient = (share / (1 - share)).astype("f")[None, :, None] * (given - shares)
        lengths = [self.lengths[entity.doc] for entity in entities]
        return float(-xp.log1p(-share).sum()), [gradient[:length, number] for number, length in enumerate(lengths)]

    def probabilities(self, entities: Sequence[BatchEntity]) -> list[float]:
        """Find how probable entities are: the share of the sequences that have an entity, whatever else they have.

        That is the weight of nothing being open before it, times the weights of its own tags, times the weight of
        nothing being open after it, divided by the weight of all sequences.

        Args:
            entities: The entities.

        Returns:
            The probability of each.
        """
        if not entities:
            return []
        xp = self.xp
        doc, start, end, kind = numpy.array(entities).T
        # Only the docs that have one of them; in double precision, since the distance of a probability from 1 matters.
        numbers, doc = numpy.unique(doc, return_inverse=True)
        doc, start, end, kind = (xp.asarray(values) for values in (doc, start, end, kind))
        scores = self.scores[:, xp.asarray(numbers)].astype("d")
        sweep = _Sweep(xp, scores)
        _, tags = _parts(scores)
        inner = xp.zeros((len(scores) + 1, len(numbers), self.types), "d")
        inner[1:] = tags[..., IN].cumsum(axis=0, dtype="d")
        longer = tags[start, doc, kind, BEGIN] + tags[end - 1, doc, kind, LAST]
        longer = longer + inner[end - 1, doc, kind] - inner[xp.minimum(start + 1, end - 1), doc, kind]
        weight = xp.where(end - start == 1, tags[start, doc, kind, UNIT], longer)
        weight = weight + xp.log(xp.maximum(sweep.before[start, doc, 0], TINY)) + sweep.lost_before[start, doc]
        weight += xp.log(xp.maximum(sweep.after[end - 1, doc, 0], TINY)) + sweep.lost_after[end - 1, doc]
        return _to_numpy(xp.exp(xp.minimum(weight - sweep.total[doc], 0))).tolist()

    def expected(self) -> numpy.ndarray:
        """Find how many entities a sequence has on average, weighted by the probability of the sequences.

        Returns:
            The expected number by type, of shape (docs, types).
        """
        _, tags = _parts(_marginals(self.xp, self.scores)[1])
        return _to_numpy((tags[..., BEGIN] + tags[..., UNIT]).sum(axis=0, dtype="d"))

    def tag_probabilities(self) -> numpy.ndarray:
        """Find how probable each tag of each token is: of shape (tokens, docs, 1 + 4 * types)."""
        return _to_numpy(_marginals(self.xp, self.scores)[1])

    def uncertainty(self) -> numpy.ndarray:
        """Find the entropy of each token's tags, and the probability that the token is in an entity of each type.

        Returns:
            Both, one after the other, of shape (tokens, docs, 1 + types).
        """
        xp = self.xp
        shares = _marginals(xp, self.scores)[1]
        entropy = -(shares * xp.log(xp.maximum(shares, LEAST))).sum(axis=2)
        return _to_numpy(xp.concatenate([entropy[..., None], _parts(shares)[1].sum(axis=3)], axis=2))


class _Sweep:
    """The weights of what may stand before and after each token: the forward and backward recursions.

    With a token's weights O, B, I, L and U, the forward step from the states before the token (nothing open, or type k
    open) to those after it is

        closed' = closed * (O + sum over k of U[k]) + sum over k of open[k] * L[k]
        open[k]' = closed * B[k] + open[k] * I[k]

    and the backward step is the same from the end, with B and L exchanged. The states are scaled now and then, so that
    nothing grows with the length (L. Rabiner, A Tutorial on Hidden Markov Models, 1989).

    Attributes:
        weights: The weight of each token's tags, relative to the highest; of shape (tokens, docs, 1 + 4 * types).
        before: The weights of the states before each token, first of nothing open, then of an open entity of each type;
            of shape (tokens, docs, 1 + types).
        after: The same after each token: the weights of what may follow from that state to the end.
        lost_before: The logarithms of what the scaling took from `before`; of shape (tokens, docs).
        lost_after: The same for `after`.
        total: The logarithm of the weight of all sequences of each doc; minus infinity where there is none.
    """

    def __init__(self, xp: Any, scores: Any) -> None:
        most = scores.max(axis=2)
        self.weights = xp.exp(scores - most[..., None])
        outside, tags = _parts(self.weights)
        length, docs, types = tags.shape[:3]
        # Both recursions run at once, since the backward one is the forward one from the end with B and L exchanged.
        closed, opens, middle, closes = (
            xp.concatenate([forward, backward[::-1]], axis=1)
            for forward, backward in (
                (outside + tags[..., UNIT].sum(axis=2),) * 2,
                (tags[..., BEGIN], tags[..., LAST]),
                (tags[..., IN], tags[..., IN]),
                (tags[..., LAST], tags[..., BEGIN]),
            )
        )
        # In double precision: a few steps without scaling may leave little.
        states = xp.zeros((length + 1, 2 * docs, 1 + types), "d")
        states[0, :, 0] = 1
        lost = xp.zeros((length + 1, 2 * docs), "d")
        for t in range(length):
            old, new = states[t], states[t + 1]
            new[:, 0] = closed[t] * old[:, 0] + (closes[t] * old[:, 1:]).sum(axis=1)
            new[:, 1:] = opens[t] * old[:, :1] + middle[t] * old[:, 1:]
            lost[t + 1] = lost[t]
            if t % STEPS == 0:
                lost[t + 1] += self._scale(xp, new)
        below = most.cumsum(axis=0, dtype="d")
        self.before, self.after = states[:-1, :docs], states[-2::-1, docs:]
        self.lost_before, self.lost_after = lost[:-1, :docs], lost[-2::-1, docs:] + below[-1] - below
        self.lost_before[1:] += below[:-1]
        all_closed = states[-1, :docs, 0]
        self.total = xp.where(
            all_closed > 0, below[-1] + lost[-1, :docs] + xp.log(xp.maximum(all_closed, TINY)), -xp.inf
        )

    @staticmethod
    def _scale(xp: Any, state: Any) -> Any:
        """Make the highest weight of each doc 1, and return the logarithms of what the highest weights were."""
        scale = xp.maximum(state.max(axis=1), TINY)
        state /= scale[:, None]
        return xp.log(scale)


def _marginals(xp: Any, scores: Any) -> tuple[Any, Any]:
    """The logarithm of the weight of all sequences of each doc, and the probability of each tag of each token.

    A tag's probability is the weight of the state before it, times the tag's weight, times the weight of the state that
    it leads to, divided by the sum of these products over the token's tags.
    """
    sweep = _Sweep(xp, scores)
    before, after, shares = sweep.before, sweep.after, sweep.weights.astype("d")
    _, tags = _parts(shares)
    shares[..., 0] *= before[..., 0] * after[..., 0]
    tags[..., BEGIN] *= before[..., :1] * after[..., 1:]
    tags[..., IN] *= before[..., 1:] * after[..., 1:]
    tags[..., LAST] *= before[..., 1:] * after[..., :1]
    tags[..., UNIT] *= before[..., :1] * after[..., :1]
    return sweep.total, (shares / xp.maximum(shares.sum(axis=2, keepdims=True), TINY)).astype("f")


def _calibrated(shares: Sequence[float], calibration: dict[str, Any] | None) -> list[float]:
    if not calibration:
        return list(shares)
    values = numpy.clip(numpy.asarray(shares, "d"), 1e-9, 1 - 1e-9)
    log_odds = calibration["slope"] * numpy.log(values / (1 - values)) + calibration["intercept"]
    found: list[float] = (1 / (1 + numpy.exp(-log_odds))).tolist()
    return found


def pack_tags(labels: Sequence[str], shares: numpy.ndarray) -> dict[str, Any]:
    """Put how probable each tag of each token is into a form that is small and that a DocBin keeps, for
    `doc.user_data[SOFT_TAGS]`.

    Args:
        labels: The entity types.
        shares: A row per token: the probability of O, then those of B, I, L and U of each type.

    Returns:
        The types, and for the tags that are not improbable: how many each token has, their numbers, and their
        probabilities.
    """
    kept = shares >= LEAST_SOFT
    shares = numpy.where(kept, shares, 0)
    shares = shares / numpy.maximum(shares.sum(axis=1, keepdims=True), LEAST)
    return {
        "labels": list(labels),
        "counts": kept.sum(axis=1).astype("u2"),
        "tags": kept.nonzero()[1].astype("u2"),
        "shares": shares[kept].astype("f2"),
    }


def unpack_tags(packed: dict[str, Any], doc: Doc, numbers: dict[str, int]) -> numpy.ndarray:
    """Undo `pack_tags` for a model that may have other types, or the same in another order.

    Args:
        packed: What `pack_tags` gave.
        doc: The tokens.
        numbers: The numbers of the model's types.

    Returns:
        A row per token, as for `pack_tags`. What was thought of types that the model does not have counts as O.

    Raises:
        ValueError: They are those of other tokens.
    """
    if len(packed["counts"]) != len(doc):
        raise ValueError(
            f"The soft tags of a doc of {len(packed['counts'])} tokens were given to one that has {len(doc)}: it was "
            "labelled with other rules for tokens"
        )
    places = [numbers.get(label) for label in packed["labels"]]
    # The first column gets what is not known here.
    columns = numpy.array([0, *(0 if n is None else 1 + 4 * n + part for n in places for part in range(4))])
    found = numpy.zeros((len(doc), 1 + 4 * len(numbers)), "f")
    rows = numpy.repeat(numpy.arange(len(doc)), packed["counts"])
    numpy.add.at(found, (rows, columns[packed["tags"]]), packed["shares"].astype("f"))
    # What rounding has left over.
    found[:, 0] = numpy.maximum(0, 1 - found[:, 1:].sum(axis=1))
    return found


def _resize(model: Model, size: int) -> None:
    """Give a model more tags, whose parameters are 0 at first."""
    output = model.get_ref("output_layer")
    before = output.get_dim("nO")
    resize_model(output, size)
    for node in (model, model.layers[-1]):
        if node.has_dim("nO") and node.get_dim("nO") == before:
            node.set_dim("nO", size, force=True)


def _parts(scores: Any) -> tuple[Any, Any]:
    """Views of the scores of O, and of the scores of B, I, L and U of each type."""
    return scores[..., 0], scores[..., 1:].reshape(*scores.shape[:-1], -1, 4)


def _batches(docs: Sequence[Doc]) -> Iterator[list[int]]:
    """The numbers of the docs that have tokens, in batches of about the same length."""
    batch: list[int] = []
    for number in sorted(range(len(docs)), key=lambda number: len(docs[number])):
        if batch and len(docs[number]) * (len(batch) + 1) > PADDED:
            yield batch
            batch = []
        if len(docs[number]):
            batch.append(number)
    if batch:
        yield batch


def _words(doc: Doc) -> list[str]:
    return [token.text for token in doc]


def _blanks(doc: Doc) -> numpy.ndarray:
    """Which tokens show nothing: an entity neither begins nor ends with one."""
    blanks: numpy.ndarray = doc.to_array(IS_SPACE).astype("?")
    if not doc.to_array(IS_ASCII).all():
        for token in doc:
            blanks[token.i] |= not INVISIBLE.sub("", token.text)
    return blanks


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


def _allowed(example: Example, numbers: dict[str, int]) -> numpy.ndarray:
    """Which tags the annotation allows for each token: one, or all where it says nothing."""
    doc = example.reference
    mask = numpy.zeros((len(example.predicted), 1 + 4 * len(numbers)), "?")
    if not numpy.array_equal(example.predicted.to_array([ORTH, SPACY]), doc.to_array([ORTH, SPACY])):
        for row, tag in zip(mask, example.get_aligned_ner(), strict=True):
            row[_tags(tag, numbers)] = True
        return mask
    # The same, without aligning token by token what is aligned.
    iob = doc.to_array(ENT_IOB)
    outside = (iob == 2) | (doc.to_array(IS_SPACE).astype("?") & iob.any())
    mask[outside, 0] = True
    mask[~outside] = True
    for ent in doc.ents:
        mask[ent.start : ent.end] = False
        for token in range(ent.start, ent.end):
            part = "U" if len(ent) == 1 else "B" if token == ent.start else "L" if token == ent.end - 1 else "I"
            mask[token, _tags(f"{part}-{ent.label_}", numbers)] = True
    return mask


def _tags(tag: str | None, numbers: dict[str, int]) -> int | slice:
    """The column of a tag; all columns where there is none, or a type that the model does not have."""
    if tag == "O":
        return 0
    if tag and tag[2:] in numbers:
        return 1 + 4 * numbers[tag[2:]] + "BILU".index(tag[0])
    return slice(None)


def _to_numpy(array: Any) -> numpy.ndarray:
    return array if isinstance(array, numpy.ndarray) else array.get()


def _get_confidence(span: Span) -> float | None:
    """A confidence belongs to a span with its type: a span that another component gave another type has none."""
    found: float | None = span.doc.user_data.get(_key(span))
    return found


def _set_confidence(span: Span, confidence: float | None) -> None:
    span.doc.user_data[_key(span)] = confidence


def _key(span: Span) -> tuple[str, str, int, int]:
    # Keys of this form are those of extension attributes. spaCy moves their offsets when it cuts or joins docs.
    return "._.", f"confidence:{span.label_}", span.start_char, span.end_char


def create_biluo_ner(
    nlp: Language,
    name: str,
    model: Model[list[Doc], list[Floats2d]],
    incorrect_spans_key: str | None,
    scorer: Callable[..., dict[str, Any]] | None,
) -> BiluoNER:
    """Make the component, as its factory; the arguments are those of BiluoNER."""
    component = BiluoNER(nlp.vocab, model, name, incorrect_spans_key=incorrect_spans_key, scorer=scorer)
    component.own_tokenizer = nlp.tokenizer
    return component


# Also where an earlier version of this module, which registered an attribute without the type, was imported first.
if not Span.has_extension("confidence") or not any(Span.get_extension("confidence")):
    Span.set_extension("confidence", getter=_get_confidence, setter=_set_confidence, force=True)


# Where this plugin and a package that carries a copy of this module are both imported, the first one stays.
if Language.get_factory_name(FACTORY) not in registry.factories:
    Language.factory(
        FACTORY,
        assigns=["doc.ents", "token.ent_iob", "token.ent_type"],
        default_config={
            "model": DEFAULT_MODEL,
            "incorrect_spans_key": None,
            "scorer": {"@scorers": "spacy.ner_scorer.v1"},
        },
        default_score_weights={"ents_f": 1.0, "ents_p": 0.0, "ents_r": 0.0, "ents_per_type": None},
        func=create_biluo_ner,
    )
