"""spaCy's own forms: TRAIN_DATA pairs (JSON, JSON lines, Python source), the training JSON of spaCy 2, and DocBin; and
DataTurks, from which many TRAIN_DATA files are made."""

import ast
import json
from collections.abc import Iterator
from typing import TYPE_CHECKING, Any

from spacy_domain_ner.corpus.docbin import read_docs
from spacy_domain_ner.corpus.jsonl import is_offset, shown
from spacy_domain_ner.exchange.formats.bio import BadTagError, decode_tags
from spacy_domain_ner.exchange.formats.spacing import align_tokens, join_tokens
from spacy_domain_ner.exchange.formats.version import Status, Version, name_of, text_of
from spacy_domain_ner.reading.records import RefusedError

if TYPE_CHECKING:
    from spacy.tokens import Span


def is_pair(record: Any) -> bool:
    """Whether a value is a pair of TRAIN_DATA, or an annotation tool's object around a list of pairs."""
    if isinstance(record, dict):
        pairs = record.get("annotations")
        return isinstance(pairs, list) and any(is_pair(pair) for pair in pairs)
    if not (isinstance(record, (list, tuple)) and len(record) == 2 and isinstance(record[0], str)):
        return False
    if isinstance(record[1], dict):
        return "entities" in record[1] or "spans" in record[1]
    # In spaCy 1, the second part was the list of entities itself.
    return isinstance(record[1], (list, tuple)) and all(
        isinstance(item, (list, tuple)) and len(item) == 3 and is_offset(item[0]) and is_offset(item[1])
        for item in record[1]
    )


def read_pair(pair: Any, text_key: str | None = None) -> Iterator[Version | RefusedError]:
    """Read a pair `[text, {"entities": [[start, end, label], ...]}]`, or an object around a list of pairs.

    Args:
        pair: The pair.
        text_key: Not used: a pair has no keys.

    Yields:
        Its version; for an object around a list, each pair's version or the reason why there is none.

    Raises:
        RefusedError: It is not a pair.
    """
    if isinstance(pair, dict) and isinstance(pair.get("annotations"), list):
        for number, item in enumerate(pair["annotations"], 1):
            # A passage that was not annotated yet is null in the list.
            if item is not None:
                yield from _numbered(number, read_pair(item))
        return
    if not is_pair(pair):
        raise RefusedError(f"this is not a pair of a text and its entities: {shown(pair)}")
    version = Version(text_of(pair[0]))
    for item in _entities(pair[1]):
        if isinstance(item, (list, tuple)) and len(item) >= 3:
            version.add_span(*item[:3])
        elif isinstance(item, dict):
            version.add_span(item.get("start"), item.get("end"), item.get("label"), item.get("text"))
        else:
            version.refused.append(("", f"this is not [start, end, label]: {shown(item)}"))
    yield version


def _numbered(number: int, versions: Iterator[Version | RefusedError]) -> Iterator[Version | RefusedError]:
    """The versions of a record within another one: the id has its number, and a broken one does not affect others."""
    try:
        for version in versions:
            version.id = version.id or f"record {number}"
            yield version
    except RefusedError as error:
        yield RefusedError(error.reason, error.id or f"record {number}", error.text)


def _entities(annotations: Any) -> list[Any]:
    if not isinstance(annotations, dict):
        return list(annotations)
    entities = annotations.get("entities")
    if entities is None:
        # The spans of a span categorizer, by the names of its groups.
        groups = annotations.get("spans")
        values = list(groups.values()) if isinstance(groups, dict) else [groups]
        entities = [span for spans in values if isinstance(spans, (list, tuple)) for span in spans]
    if not isinstance(entities, (list, tuple, set)):
        raise RefusedError(f"the entities are not a list: {shown(entities)}")
    return list(entities)


def python_pairs(source: str) -> list[Any]:
    """Find the pairs in Python source such as `TRAIN_DATA = [("text", {"entities": [(0, 4, "X")]})]`. Nothing is run.

    Args:
        source: The source.

    Returns:
        The pairs, wherever they stand, in the order of the source; for a pair that is not plain data, its source.

    Raises:
        RefusedError: It is not Python source, or has no pair.
    """
    try:
        nodes: list[ast.AST] = [ast.parse(source)]
    except (SyntaxError, ValueError, RecursionError, MemoryError):
        raise RefusedError("not Python source") from None
    pairs: list[Any] = []
    found = False
    while nodes:
        node = nodes.pop()
        if _looks_like_pair(node):
            try:
                pair = ast.literal_eval(node)
            except (ValueError, TypeError, SyntaxError, RecursionError, MemoryError):
                pair = ast.get_source_segment(source, node)
            if isinstance(pair, str) or is_pair(pair):
                pairs.append(pair)
                found = found or not isinstance(pair, str)
                continue
        nodes += reversed(list(ast.iter_child_nodes(node)))
    if not found:
        raise RefusedError("not Python source with pairs of a text and its entities")
    return pairs


def _looks_like_pair(node: ast.AST) -> bool:
    if not (isinstance(node, (ast.Tuple, ast.List)) and len(node.elts) == 2):
        return False
    text, annotations = node.elts
    if isinstance(annotations, ast.Dict):
        keys = [key.value for key in annotations.keys if isinstance(key, ast.Constant)]
        return "entities" in keys or "spans" in keys
    return isinstance(text, ast.Constant) and isinstance(text.value, str) and isinstance(annotations, ast.List)


def is_dataturks(record: Any) -> bool:
    """Whether a JSON value is a row of a DataTurks export."""
    return isinstance(record, dict) and isinstance(record.get("content"), str) and "annotation" in record


def read_dataturks(row: Any, text_key: str | None = None) -> Iterator[Version]:
    """Read a DataTurks row, whose ends are inclusive.

    Args:
        row: The row.
        text_key: Not used: the key of the text is always the same.

    Yields:
        Its version.

    Raises:
        RefusedError: It has no text, or its annotation is not a list.
    """
    if not isinstance(row, dict):
        raise RefusedError("a row must be an object")
    version = Version(text_of(row.get("content")))
    annotations = row.get("annotation")
    if annotations is None:
        version.status = Status.UNANNOTATED
    if not isinstance(annotations, list | None):
        raise RefusedError(f"'annotation' must be a list, not {shown(annotations)}")
    for item in annotations or []:
        labels = item.get("label") if isinstance(item, dict) else None
        points = item.get("points") if isinstance(item, dict) else None
        for label in labels if isinstance(labels, list) and labels else [labels]:
            for point in points if isinstance(points, list) and points else [{}]:
                point = point if isinstance(point, dict) else {}
                version.add_span(point.get("start"), point.get("end"), label, point.get("text"), inclusive=True)
    yield version


def is_training_json(record: Any) -> bool:
    """Whether a JSON value is a document of spaCy 2's training JSON."""
    return isinstance(record, dict) and isinstance(record.get("paragraphs"), list)


def read_training_json(document: Any, text_key: str | None = None) -> Iterator[Version | RefusedError]:
    """Read a document of spaCy 2's training JSON.

    Args:
        document: The document.
        text_key: Not used: the key of the text is always the same.

    Yields:
        A version for each sentence, its text cut from the paragraph's `raw` where that is given; the reason for a
        sentence or a paragraph that can't be read.

    Raises:
        RefusedError: It is not such a document.
    """
    if not is_training_json(document):
        raise RefusedError("a document must be an object with 'paragraphs'")
    source = name_of(document.get("id"))
    for paragraph in document["paragraphs"]:
        raw = paragraph.get("raw") if isinstance(paragraph, dict) else None
        position = 0
        for tokens in _sentences(paragraph):
            if isinstance(tokens, RefusedError):
                yield RefusedError(tokens.reason, source)
                continue
            words = [str(token.get("orth", "")) for token in tokens]
            tags = [str(token.get("ner") or "-") for token in tokens]
            places = align_tokens(words, raw, position) if isinstance(raw, str) else None
            if places and isinstance(raw, str):
                position = places[-1][1]
                first = places[0][0]
                text, offsets = raw[first:position], [(start - first, end - first) for start, end in places]
            else:
                text, offsets = join_tokens(words)
            try:
                yield from tagged_version(text, offsets, tags, source)
            except RefusedError as error:
                yield RefusedError(error.reason, source, text)


def _sentences(paragraph: Any) -> Iterator[list[dict[str, Any]] | RefusedError]:
    sentences = paragraph.get("sentences") if isinstance(paragraph, dict) else None
    if not isinstance(sentences, list):
        yield RefusedError(f"a paragraph must be an object with 'sentences', not {shown(paragraph)}")
        return
    for sentence in sentences:
        tokens = sentence.get("tokens") if isinstance(sentence, dict) else None
        if not (isinstance(tokens, list) and all(isinstance(token, dict) for token in tokens)):
            yield RefusedError(f"a sentence must be an object with 'tokens', not {shown(sentence)}")
        else:
            yield tokens


def tagged_version(text: str, offsets: list[tuple[int, int]], tags: list[str], source: str) -> Iterator[Version]:
    """Make the version of tokens with tags.

    Args:
        text: The text.
        offsets: Each token's start and end, in code points.
        tags: Each token's tag.
        source: The document's name, "" where it has none.

    Yields:
        The version.

    Raises:
        RefusedError: A value is not a tag.
    """
    try:
        spans, repaired = decode_tags(tags)
    except BadTagError as error:
        raise RefusedError(str(error)) from None
    version = Version(text, id=source, meta={"source": source} if source else {})
    for first, last, label in spans:
        version.add_span(offsets[first][0], offsets[last][1], label)
    if repaired:
        version.notes.append(f"{repaired} span(s) without a proper beginning")
    if "-" in tags:
        version.status = Status.UNANNOTATED if set(tags) == {"-"} else Status.PARTIAL
    yield version


def read_docbin(data: bytes, name: str) -> Iterator[Version]:
    """Read a DocBin (`.spacy`).

    Args:
        data: The file's content.
        name: The file's name, for messages.

    Yields:
        The version of each Doc.

    Raises:
        UserError: It is not a DocBin, or it is damaged.
    """
    for number, doc in enumerate(read_docs(data, name), 1):
        version = Version(doc.text, id=str(number))
        meta = doc.user_data.get("meta")
        version.meta = {key: value for key, value in meta.items() if _is_json(value)} if isinstance(meta, dict) else {}
        # 0 says that nothing is known about the token.
        unknown = [(token.idx, token.idx + len(token)) for token in doc if token.ent_iob == 0]
        spans: list[Span] = list(doc.ents)
        if len(unknown) == len(doc) and doc.spans:
            # The spans of a span categorizer.
            unknown, spans = [], [span for group in doc.spans.values() for span in group]
        for span in spans:
            version.add_span(span.start_char, span.end_char, span.label_)
        version.leave_unknown(unknown, said=any(token.ent_iob == 2 for token in doc))
        yield version


def _is_json(value: Any) -> bool:
    try:
        json.dumps(value)
    except (TypeError, ValueError, RecursionError):
        return False
    return True
