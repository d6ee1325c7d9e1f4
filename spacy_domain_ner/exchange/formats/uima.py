"""UIMA's CAS as XMI or JSON, which INCEpTION and DKPro write: a document's text, and annotations of many types on it.

Only the text, and the begin, end and features of annotations are read, so no type system is needed. Offsets count
UTF-16 units. Each sentence becomes a passage.
"""

import re
from collections import Counter
from collections.abc import Collection, Iterator
from dataclasses import dataclass, field
from typing import Any
from xml.etree import ElementTree

from spacy_domain_ner.corpus.jsonl import is_offset
from spacy_domain_ner.errors import UserError
from spacy_domain_ner.exchange.formats.layers import NO_VALUE, Feature, Layers, choose_layers
from spacy_domain_ner.exchange.formats.sentences import cut_into_sentences
from spacy_domain_ner.exchange.formats.version import RawSpan, Version
from spacy_domain_ner.reading.records import RefusedError, parse_json
from spacy_domain_ner.reading.source import UTF_8, Source

_XMI = b"http://www.omg.org/XMI"
_STRUCTURES = "%FEATURE_STRUCTURES"
_SOFA = "uima.cas.Sofa"
_SENTENCE = "Sentence"
_METADATA = "DocumentMetaData"
# What every annotation has, or what is not a value that people chose.
_OWN = {"begin", "end", "sofa", "identifier", "id", "documentTitle", "documentId", "language"}
_NAMESPACE = re.compile(r"\{http:///(.*)\.ecore\}(.*)")
_VERSION_1_1 = re.compile(rb"\A(\s*<\?xml version=[\"'])1\.1")


def is_xmi(head: bytes) -> bool:
    """Whether a file that begins in this way is XMI."""
    return _XMI in head and head.lstrip()[:1] == b"<"


def is_document(value: Any) -> bool:
    """Whether a JSON value is a CAS."""
    return isinstance(value, dict) and isinstance(value.get(_STRUCTURES), list | dict)


def find_layers(source: Source, types: Collection[str] = ()) -> Layers:
    """Find out which layers of a file have its entities.

    Args:
        source: The file.
        types: The entity types that are known.

    Returns:
        The layers.

    Raises:
        UserError: That can't be told, or the file is broken.
    """
    counts: dict[Feature, Counter[str]] = {}
    for annotation in (annotation for view in _views(source) for annotation in view.annotations):
        layer = annotation.layer
        if layer.rpartition(".")[2] in (_SENTENCE, _METADATA, "Token"):
            continue
        for name in annotation.features or {"": NO_VALUE}:
            counts.setdefault(Feature(layer, name), Counter())[annotation.features.get(name, NO_VALUE)] += 1
    return choose_layers(source.name, counts, types)


def read_sentences(source: Source, layers: Layers) -> Iterator[tuple[int, Version | RefusedError]]:
    """Read a file's sentences.

    Args:
        source: The file.
        layers: Where it has its entities.

    Yields:
        The number of a sentence, counted from 1, and its version or why there is none.

    Raises:
        UserError: The file is broken.
    """
    wanted = {feature.layer: feature for feature in layers.features}
    first = 0
    for view in _views(source):
        if not view.text:
            yield first + 1, RefusedError("the document has no text in the file")
            continue
        places = _code_points(view.text)
        refused: list[tuple[str, str]] = []
        spans: list[RawSpan] = []
        for annotation in (one for one in view.annotations if one.layer in wanted):
            feature = wanted[annotation.layer]
            label = layers.label(feature, annotation.features.get(feature.name, ""))
            start, end = places.get(annotation.begin), places.get(annotation.end)
            if start is None or end is None or start >= end:
                where = f"{annotation.begin} to {annotation.end}"
                refused.append(("", f"{label} {where} is empty, cuts a character, or lies outside the text"))
            else:
                spans.append(RawSpan(start, end, label))
        sentences = [
            (start, end)
            for annotation in view.annotations
            if annotation.layer.rpartition(".")[2] == _SENTENCE
            and (start := places.get(annotation.begin)) is not None
            and (end := places.get(annotation.end)) is not None
        ]
        for number, version in cut_into_sentences(view.text, sentences, spans):
            version.refused, refused = version.refused + refused, []
            if view.title:
                version.meta["document"] = view.title
            yield first + number + 1, version
        first += max(len(sentences), 1)


@dataclass(frozen=True)
class _Annotation:
    """An annotation: its type, its offsets in UTF-16 units, and its features that have a value."""

    layer: str
    begin: int
    end: int
    features: dict[str, str]


@dataclass
class _View:
    """A document: its text, its title, and its annotations."""

    text: str = ""
    title: str = ""
    annotations: list[_Annotation] = field(default_factory=list)


def _views(source: Source) -> list[_View]:
    """The documents in a file: rarely more than one."""
    with source.open() as stream:
        data = stream.read()
    views: dict[str, _View] = {}
    for kind, values in _structures(source, data):
        if kind == _SOFA:
            view = views.setdefault(values.get("id", ""), _View())
            view.text = values.get("sofaString", "")
        elif "begin" in values and "end" in values:
            view = views.setdefault(values.get("sofa", ""), _View())
            begin, end = (int(values[key]) if values[key].isdigit() else -1 for key in ("begin", "end"))
            features = {key: value for key, value in values.items() if key not in _OWN and value != ""}
            view.annotations.append(_Annotation(kind, begin, end, features))
            if kind.rpartition(".")[2] == _METADATA:
                view.title = values.get("documentTitle") or values.get("documentId") or ""
    return list(views.values())


def _structures(source: Source, data: bytes) -> Iterator[tuple[str, dict[str, str]]]:
    """The feature structures of a CAS: the name of a type, and the values as strings."""
    return _from_xmi(source, data) if data.lstrip()[:1] == b"<" else _from_json(source, data)


def _from_xmi(source: Source, data: bytes) -> Iterator[tuple[str, dict[str, str]]]:
    if b"<!DOCTYPE" in data or b"<!ENTITY" in data:
        raise UserError(f"{source.name} defines entities, as no tool that writes XMI does", "Export it again.")
    # What was recoded is UTF-8, whatever its first line says.
    parser = ElementTree.XMLParser(encoding=None if source.encoding == UTF_8 else "utf-8")
    try:
        root = ElementTree.fromstring(_VERSION_1_1.sub(rb"\g<1>1.0", data), parser)
    except (ElementTree.ParseError, ValueError, LookupError) as error:
        raise UserError(f"{source.name} is broken XML: {error}", "Export it again.") from None
    for element in root:
        match = _NAMESPACE.fullmatch(element.tag)
        if match is not None:
            values: dict[str, str] = {str(key).rpartition("}")[2]: value for key, value in element.attrib.items()}
            # A feature may stand in an element of its own.
            values |= {str(child.tag): child.text or "" for child in element if child.tag not in values}
            package = "" if match[1] == "uima/noNamespace" else match[1].replace("/", ".") + "."
            yield package + match[2], values


def _from_json(source: Source, data: bytes) -> Iterator[tuple[str, dict[str, str]]]:
    try:
        document = parse_json(data)
    except RefusedError as error:
        raise UserError(f"{source.name} is {error.reason}", "Export it again.") from None
    if not is_document(document):
        raise UserError(f"{source.name} is not a CAS: it has no {_STRUCTURES}", "Give its own `file_format`, or none.")
    structures = document[_STRUCTURES]
    for one in structures.values() if isinstance(structures, dict) else structures:
        if isinstance(one, dict):
            named = {"%ID": "id", "@sofa": "sofa"}
            values = {
                named.get(str(key), str(key)): value if isinstance(value, str) else str(int(value))
                for key, value in one.items()
                if isinstance(value, str) or is_offset(value)
            }
            yield str(one.get("%TYPE", "")), values


def _code_points(text: str) -> dict[int, int]:
    """The offset in code points for each offset in UTF-16 units at which a character begins or the text ends."""
    places, units = {}, 0
    for index, character in enumerate(text):
        places[units] = index
        units += 1 + (character > "\uffff")
    places[units] = len(text)
    return places
