"""Finding entities in lines of files: what goes in, and the JSON lines that come out."""

import json
from collections.abc import Callable, Iterable, Iterator, Mapping
from dataclasses import dataclass, field
from functools import partial
from pathlib import Path
from typing import Any

from spacy_domain_ner.extraction.extractor import Entity, Extractor
from spacy_domain_ner.extraction.hybrid import HybridExtractor
from spacy_domain_ner.reading.records import RefusedError, decoded, parse_record
from spacy_domain_ner.reading.texts import Line


@dataclass
class Extracted:
    """The result of one batch of lines.

    Attributes:
        rows: A JSON line for each passage, encoded: the input's record with `entities` added.
        passages: The number of passages.
        entities: The number of entities in them.
        refusals: The lines that could not be read, each with its place and the reason.
    """

    rows: bytes = b""
    passages: int = 0
    entities: int = 0
    refusals: list[str] = field(default_factory=list)


def extract_batch(
    extractor: Extractor,
    lines: Iterable[Line],
    text_key: str = "text",
    expected: bool = False,
    hybrid: HybridExtractor | None = None,
) -> Extracted:
    """Find the entities in a batch of input lines.

    Args:
        extractor: The model.
        lines: The input, as `reading.texts` reads it.
        text_key: The key of the text in JSON records.
        expected: Whether each row also says how many entities the model expects, and which model that is.
        hybrid: The model with an LLM for its weak types; None asks the model alone.

    Returns:
        The rows, and what could not be read.
    """
    result = Extracted()
    records = []
    for line in lines:
        try:
            records.append(_record(line, text_key))
        except RefusedError as error:
            result.refusals.append(f"{line.place}: {error.reason}")
    rows = []
    texts = [record[text_key] for record in records]
    for record, (entities, counts, llm) in zip(records, _found(extractor, texts, expected, hybrid), strict=True):
        record["entities"] = [entity.to_dict() for entity in entities]
        if llm is not None:
            record["llm"] = llm
        if counts is not None:
            record["expected"] = {label: share for label, count in counts.items() if (share := round(count, 3))}
            record["model"] = extractor.identity
        result.entities += len(entities)
        rows.append(to_json(record) + b"\n")
    result.passages = len(rows)
    result.rows = b"".join(rows)
    return result


def batch_extractor(
    model: str | Path, text_key: str = "text", expected: bool = False, **settings: Any
) -> Callable[[Iterable[Line]], Extracted]:
    """Load a model to find the entities in batches of lines.

    Args:
        model: A trained model's folder or package.
        text_key: The key of the text in JSON records.
        expected: As for `extract_batch`.
        settings: What else `Extractor` takes.

    Returns:
        `extract_batch` for this model.
    """
    return partial(extract_batch, Extractor(model, **settings), text_key=text_key, expected=expected)


def _found(
    extractor: Extractor, texts: list[str], expected: bool, hybrid: HybridExtractor | None
) -> Iterator[tuple[list[Entity], Mapping[str, float] | None, dict[str, Any] | None]]:
    """For each text its entities, what is expected, and what became of asking an LLM."""
    if hybrid is not None:
        for found in hybrid(texts):
            yield found.entities, found.expected if expected else None, found.told
    elif expected:
        yield from ((entities, counts, None) for entities, counts in extractor.with_expected(texts))
    else:
        yield from ((entities, None, None) for entities in extractor(texts))


def _record(line: Line, text_key: str) -> dict[str, Any]:
    if line.problem:
        raise RefusedError(line.problem)
    if line.is_json:
        return parse_record(line.raw, text_key)
    text = decoded(line.raw)
    meta = {"source": line.file} if line.number == 0 else {"source": line.file, "line": line.number}
    return {text_key: text, "meta": meta}


def to_json(value: Any) -> bytes:
    """Write a JSON value as one line, without the line's end.

    Half of a surrogate pair, which metadata or a file's name may have, is written as the escape that it came as.
    """
    try:
        return json.dumps(value, ensure_ascii=False).encode("utf8")
    except UnicodeEncodeError:
        return json.dumps(value).encode("ascii")
