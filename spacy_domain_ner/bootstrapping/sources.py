"""Where first labels come from: gazetteers, patterns, and the models of others. Each finds spans in passages."""

import importlib.util
import re
import unicodedata
from collections import Counter, defaultdict
from collections.abc import Iterable, Iterator, Mapping, Sequence
from difflib import get_close_matches
from pathlib import Path
from typing import TYPE_CHECKING, Any, NamedTuple, Protocol

from spacy_domain_ner.bootstrapping.names import Name, Names
from spacy_domain_ner.bootstrapping.ordinary import is_ordinary, is_stop_word
from spacy_domain_ner.confidence.prediction import predict_with_probabilities
from spacy_domain_ner.corpus.passage import Passage, Span
from spacy_domain_ner.errors import UserError
from spacy_domain_ner.exchange.patterns import Patterns
from spacy_domain_ner.models import load_model
from spacy_domain_ner.schema import EntitySchema
from spacy_domain_ner.text import UNSPACED_SCRIPTS

if TYPE_CHECKING:
    from spacy.language import Language
    from spacy.tokens import Doc

# How a source came to a span, where spans of that kind are less often right than its others.
ORDINARY, AMBIGUOUS = "an ordinary word or number", "a name that is marked as ambiguous"
OTHER_CASE, JOINED, LONGER = "in another case", "a part of a compound", "beside other words of a name"
UNSURE, LIKELY = "the model is unsure", "the model is rather sure"
# An acronym of so many letters is also a word in small letters: IT, WHO, AIDS.
_ACRONYM = 5
_BATCH = 1000
# A tokenizer may cut scripts without spaces anywhere.
_UNSPACED = re.compile(f"[{UNSPACED_SCRIPTS}]")
_WORD = re.compile(r"[^\W\d_]+|\d+")
_JOINTS = "-_/.:@#&+"


class Found(NamedTuple):
    """A span that a source has found.

    Attributes:
        span: The span.
        kind: How the source came to it, where that says how often it is right; "" for what is usual with the source.
    """

    span: Span
    kind: str = ""


class Source(Protocol):
    """What finds spans in passages.

    Attributes:
        name: What the report calls it.
        types: The entity types that it can find: about the others, its silence says nothing.
    """

    @property
    def name(self) -> str: ...

    @property
    def types(self) -> frozenset[str]: ...

    def find(self, passages: Sequence[Passage]) -> Iterable[list[Found] | None]:
        """Find the spans of each passage, in their order; None where there is no answer, so silence says nothing."""
        ...


class Gazetteer:
    """Known names, found as whole tokens by spaCy's PhraseMatcher; of names that overlap, the longest one.

    Attributes:
        conflicts: The names that have several types, each with these: all are found, and none is sure.
    """

    def __init__(self, names: Names, nlp: "Language") -> None:
        """Make the matcher.

        Args:
            names: The names.
            nlp: A pipeline whose tokenizer cuts the texts.
        """
        self.name = f"gazetteer {Path(names.file).name}"
        self.types = frozenset(one.type for one in names.names)
        self._nlp = nlp
        self._all = names.names
        self._names: dict[str, list[Name]] = {}
        self._matcher: Any = None
        types: dict[str, set[str]] = defaultdict(set)
        for name in names.names:
            types[name.text.lower()].add(name.type)
        self.conflicts = {text: sorted(of_text) for text, of_text in types.items() if len(of_text) > 1}

    def find(self, passages: Sequence[Passage]) -> Iterator[list[Found]]:
        """Find the names of each passage."""
        self._prepare(passages)
        for passage in passages:
            yield list(self._find(self._nlp.make_doc(passage.text)))

    def _prepare(self, passages: Sequence[Passage]) -> None:
        """Make the matcher of those names whose words the passages have: a gazetteer may have a million others."""
        from spacy.matcher import PhraseMatcher

        self._matcher = PhraseMatcher(self._nlp.vocab, attr="LOWER")
        self._names = defaultdict(list)
        there = {word for passage in passages for word in _words(passage.text)}
        batch: list[Any] = []
        for name in self._all:
            if not (there.issuperset(_words(name.text)) or _UNSPACED.search(name.text)):
                continue
            for doc in map(self._nlp.make_doc, _forms(name.text)):
                key = _key(doc)
                if key not in self._names:
                    batch.append(doc)
                self._names[key].append(name)
            if len(batch) >= _BATCH:
                # A Doc takes ten kilobytes.
                self._matcher.add("NAME", batch)
                batch = []
        self._matcher.add("NAME", batch)

    def _find(self, doc: "Doc") -> Iterator[Found]:
        from spacy.util import filter_spans

        visible, numbers = _without_blanks(doc)
        matches = [visible[start:end] for _, start, end in self._matcher(visible)]
        fitting = [(span, names) for span in matches if (names := self._fitting(span, _key(span)))]
        of_place = {(span.start, span.end): names for span, names in fitting}
        for span in filter_spans([span for span, _ in fitting]):
            first, last = doc[numbers[span.start]], doc[numbers[span.end - 1]]
            start, end = first.idx, last.idx + len(last)
            names = of_place[span.start, span.end]
            kind = self._kind(visible[span.start : span.end], names)
            for type_ in sorted({name.type for name in names}):
                yield Found(Span(start, end, type_), kind)

    def _fitting(self, span: Any, key: str) -> list[Name]:
        """The names that a match stands for: those that are written like it, if there are any."""
        names, written = self._names[key], _plain(span.text)
        if exact := [name for name in names if _plain(name.text) == written]:
            return exact
        if len(span) == 1 and is_stop_word(span[0]):
            return []
        return [name for name in names if not _only_as_written(name)]

    def _kind(self, span: Any, names: list[Name]) -> str:
        if any(name.ambiguous for name in names):
            return AMBIGUOUS
        if all(name.ambiguous is False for name in names):
            return ""
        if len(span) == 1 and is_ordinary(span[0]):
            return ORDINARY
        if _is_joined(span):
            return JOINED
        as_written = any(_plain(name.text) == _plain(span.text) or name.case_sensitive is False for name in names)
        return "" if as_written else OTHER_CASE


class PatternRules:
    """Patterns as spaCy's EntityRuler takes them; of matches that overlap, the longest one."""

    def __init__(self, file: str | Path, nlp: "Language", schema: EntitySchema | None = None) -> None:
        """Read the patterns.

        Args:
            file: The pattern file.
            nlp: A pipeline whose tokenizer cuts the texts.
            schema: The entity types; None takes every label.
        """
        self.name = f"patterns {Path(file).name}"
        self._patterns = Patterns([file], nlp, schema)
        self.types = frozenset(self._patterns.labels)

    def find(self, passages: Sequence[Passage]) -> Iterator[list[Found]]:
        """Find the matches of each passage."""
        for passage in passages:
            yield [Found(span) for span in self._patterns.find(passage.text)]


class OtherModel:
    """A spaCy model whose labels are mapped to entity types.

    Attributes:
        unmapped: How many entities were found whose label has no type here, by label.
    """

    def __init__(self, model: "str | Path | Language", types: Mapping[str, str]) -> None:
        """Load the model.

        Args:
            model: Its folder, the name of its package, or the model itself.
            types: The entity type for each label that is wanted.
        """
        named = isinstance(model, str | Path)
        if isinstance(model, str | Path):
            _check_is_there(str(model))
            self._nlp = load_model(model)
        else:
            self._nlp = model
        self.name = f"model {Path(str(model)).name if named else self._nlp.meta['name']}"
        self._types = dict(types)
        self.unmapped: Counter[str] = Counter()
        labels = {label for _, pipe in self._nlp.pipeline for label in getattr(pipe, "labels", ())}
        self.labels = frozenset(labels)
        self.types = frozenset(type_ for label, type_ in self._types.items() if label in labels)

    def find(self, passages: Sequence[Passage]) -> Iterator[list[Found]]:
        """Find the entities of each passage."""
        bare = (Passage(passage.text) for passage in passages)
        for prediction in predict_with_probabilities(self._nlp, bare):
            found = []
            for span in prediction.spans:
                if span.label in self._types:
                    sure = (prediction.probabilities or {}).get(span, 1.0)
                    kind = "" if sure >= 0.9 else LIKELY if sure >= 0.6 else UNSURE
                    found.append(Found(Span(span.start, span.end, self._types[span.label]), kind))
                else:
                    self.unmapped[span.label] += 1
            yield found


def read_models(
    models: Iterable["str | Path | Language"], maps: Iterable[str], schema: EntitySchema
) -> list[OtherModel]:
    """Load other models, with the entity types for their labels.

    Args:
        models: Their folders or packages.
        maps: "LABEL=TYPE", for each model that has the label. A label that is a type needs no map.
        schema: The entity types.

    Raises:
        UserError: A model is not installed, a map is not one, or no model has its label.
    """
    wanted: dict[str, str] = {}
    for one in maps:
        label, equals, type_ = (part.strip() for part in one.partition("="))
        if not (label and equals and type_):
            raise UserError(f"`map` is {one!r}", "Give LABEL=TYPE, for instance `map=ORG=TEAM`.")
        known = schema.type_of(type_)
        if known is None:
            near = get_close_matches(type_.upper(), schema.labels, n=1)
            raise UserError(
                f"`map={one}`: {type_!r} is not an entity type" + (f"; did you mean {near[0]}?" if near else ""),
                f"The entity types are {', '.join(schema.labels)}.",
            )
        wanted[label] = known
    found = []
    for model in models:
        loaded = OtherModel(model, wanted)
        own = {label: known for label in loaded.labels if (known := schema.type_of(label)) and label not in wanted}
        loaded = OtherModel(loaded._nlp, {**own, **wanted}) if own else loaded
        if not loaded.types:
            raise UserError(
                f"No label of the {loaded.name} has an entity type here",
                f"It has {', '.join(sorted(loaded.labels)) or 'no labels'}. Give LABEL=TYPE with `map`.",
            )
        found.append(loaded)
    for label in wanted:
        if not any(label in model.labels for model in found):
            have = sorted(set().union(*(model.labels for model in found)))
            raise UserError(f"`map={label}={wanted[label]}`: no model has the label {label!r}",
                            f"They have {', '.join(have) or 'none: name a model with `models`'}.")  # fmt: skip
    return found


def _check_is_there(model: str) -> None:
    if not Path(model).exists() and not (model.isidentifier() and importlib.util.find_spec(model)):
        raise UserError(
            f"The model {model!r} is not installed, and is not a folder",
            f"Install it (python -m spacy download {model}, or pip install its wheel), or name its folder.",
        )


def _words(text: str) -> list[str]:
    """The runs of letters and of digits in a text, in small letters: no token has a part of one."""
    return _WORD.findall(_plain(text).lower())


def _forms(name: str) -> Iterator[str]:
    """The ways in which Unicode can write a name."""
    yield unicodedata.normalize("NFC", name)
    if not name.isascii() and (taken_apart := unicodedata.normalize("NFD", name)) != name:
        yield taken_apart


def _plain(text: str) -> str:
    return unicodedata.normalize("NFC", " ".join(text.split()))


def _key(tokens: Any) -> str:
    return " ".join(token.lower_ for token in tokens)


def _without_blanks(doc: "Doc") -> tuple["Doc", list[int]]:
    """A passage without the tokens of white space, and the number that each other token has in the passage.

    A name may stand on two lines.
    """
    from spacy.tokens import Doc

    numbers = [token.i for token in doc if not token.is_space]
    if len(numbers) == len(doc):
        return doc, numbers
    spaces = [bool(doc[n].whitespace_) or (n + 1 < len(doc) and doc[n + 1].is_space) for n in numbers]
    return Doc(doc.vocab, words=[doc[n].text for n in numbers], spaces=spaces), numbers


def _only_as_written(name: Name) -> bool:
    """Whether a name is not looked for in another case: it is said so, or it is an acronym."""
    if name.case_sensitive is not None:
        return name.case_sensitive
    return name.text.isupper() and len(name.text) <= _ACRONYM


def _is_joined(span: Any) -> bool:
    """Whether a name is joined to other letters by a sign: `Bombay` in `Bombay-Agra`."""
    doc, before, after = span.doc, span.start - 1, span.end
    if before >= 0 and not doc[before].whitespace_:
        sign = doc[before].text[-1]
        if sign.isalnum():
            return True
        if sign in _JOINTS and before > 0 and not doc[before - 1].whitespace_ and doc[before - 1].text[-1].isalnum():
            return True
    if after + 1 < len(doc) and not span[-1].whitespace_ and not doc[after].whitespace_:
        return doc[after].text[0] in _JOINTS and doc[after + 1].text[0].isalnum()
    return False
