"""First labels for unlabelled passages, from what is known before anybody has labelled."""

import json
from collections.abc import Callable, Iterable, Sequence
from pathlib import Path
from typing import TYPE_CHECKING

from spacy_domain_ner.annotation.candidates import key_of
from spacy_domain_ner.annotation.labelled import read_labelled
from spacy_domain_ner.bootstrapping.llm_source import LargeLanguageModel
from spacy_domain_ner.bootstrapping.names import read_names
from spacy_domain_ner.bootstrapping.ordinary import OrdinaryTokens, tokens_in
from spacy_domain_ner.bootstrapping.pool import read_pool, refuse_output_in
from spacy_domain_ner.bootstrapping.reliability import Candidate, absent_of, candidates_of, estimate
from spacy_domain_ner.bootstrapping.report import Bootstrapped
from spacy_domain_ner.bootstrapping.silver import SURE, Labelled, label
from spacy_domain_ner.bootstrapping.sources import (
    AMBIGUOUS,
    LONGER,
    ORDINARY,
    UNSURE,
    Found,
    Gazetteer,
    OtherModel,
    PatternRules,
    Source,
    read_models,
)
from spacy_domain_ner.corpus.jsonl import read_valid_passages, write_passages
from spacy_domain_ner.corpus.passage import Passage
from spacy_domain_ner.errors import UserError
from spacy_domain_ner.exchange.tokenizing import tokenizing_pipeline
from spacy_domain_ner.files import at_work, replacing
from spacy_domain_ner.llm.client import Client
from spacy_domain_ner.reading.texts import find_texts
from spacy_domain_ner.schema import EntitySchema, read_schema

if TYPE_CHECKING:
    from spacy.language import Language
    from spacy.tokens import Doc

SIZE, MAX_WORDS = 2000, 300
# Fewer reviewed passages say too little of the sources.
FEWEST_REVIEWED = 20


def bootstrap(
    passages: Iterable[str | Path],
    output: str | Path | None = None,
    *,
    schema: EntitySchema | str | Path = "entity_types.yml",
    gazetteers: Iterable[str | Path] = (),
    patterns: Iterable[str | Path] = (),
    models: "Iterable[str | Path | Language]" = (),
    map: Iterable[str] = (),
    llm: str | Path | None = None,
    sources: Iterable[Source] = (),
    reviewed: Iterable[str | Path] = (),
    held_out: Iterable[str | Path] = (),
    report: str | Path | None = None,
    config: str | Path | None = None,
    size: int = SIZE,
    sure: float = SURE,
    max_words: int = MAX_WORDS,
    file_format: str | None = None,
    encoding: str = "utf-8",
    text_key: str = "text",
    begin: Callable[[str], object] = lambda destination: None,
    progress: Callable[[float], None] | None = None,
) -> Bootstrapped:
    """Label passages from gazetteers, patterns and other models, as far as these can be relied on, and write them.

    The passages are annotated in part: a span is an entity where it is `sure`, tokens that are outside of all names are
    known to be outside, and everything else is unknown. They are for training only.

    Args:
        passages: Files of unlabelled text (JSON lines or lists, text with one passage per line, web pages, tables),
            folders and zip archives of them, or "-" for standard input.
        output: The file to write (JSON lines); None writes none.
        schema: The entity types, or the file that has them.
        gazetteers: Tables with the columns name and type, and perhaps case_sensitive and ambiguous; "TYPE=FILE" for a
            table without types or a text file of names; or folders of tables.
        patterns: Files of patterns as spaCy's EntityRuler takes them (JSON lines).
        models: Other spaCy models: folders, packages or the models themselves.
        map: "LABEL=TYPE" for the labels of the models that are not types themselves.
        llm: The settings of a large language model (llm.yml) that is asked, too. The texts go there.
        sources: Further sources.
        reviewed: Annotation files of passages that people have reviewed. They tell how good the sources are.
        held_out: The files of the sets that the model is measured by. Their passages are not labelled.
        report: A file for the report (JSON); None writes none.
        config: The training config, whose tokenizer cuts the texts. None takes training/config.cfg where it is, else
            spaCy's English rules with those for names.
        size: How many passages to label at most; of more, so many are drawn at random.
        sure: From this probability on, a span is an entity, 0 to 1.
        max_words: The most words of a passage.
        file_format: "jsonl", "json", "text", "csv" (any table of text), "html" or "parquet"; None looks at the files.
        encoding: The encoding of the files that have no byte order mark.
        text_key: The key of the text in JSON records, and its column in tables.
        begin: Called with a line that says where the texts go, before an LLM is asked.
        progress: Called with the share that is done, from 0 to 1.

    Returns:
        The labelled passages and the report.

    Raises:
        UserError: A file can't be read, sources or passages are missing, the LLM's server refuses every question, or
            an argument does not fit.
    """
    if size < 1 or max_words < 1:
        raise UserError(f"`{'size' if size < 1 else 'max_words'}` is below 1", "It must be 1 or more.")
    if not 0.5 <= sure < 1:
        raise UserError(f"`sure` is {sure}", "It must lie between 0.5 and 1, for instance 0.6.")
    result = Bootstrapped()
    types = read_schema(schema) if isinstance(schema, str | Path) else schema
    nlp = tokenizing_pipeline(config)
    reviewed, held_out = [*reviewed], [*held_out]
    used = [*_named_sources(result, nlp, types, gazetteers, patterns, encoding), *read_models(models, map, types)]
    used += sources
    if not used and llm is None:
        raise UserError(
            "There is no source of labels",
            "Name `gazetteers`, `patterns`, `models` or `llm`: what is known of the domain.",
        )
    answers = [one for path in reviewed for one in read_valid_passages(path) if not one.is_silver]
    known = read_labelled([], held_out)
    with find_texts([*passages], file_format=file_format, encoding=encoding, text_key=text_key) as texts:
        refuse_output_in(texts, output)
        read = read_pool(texts, answers, known, nlp.lang, size, max_words, text_key)
    pool = read.passages
    result.read, result.left_out, result.refusals = read.read, read.left_out, read.refusals
    step = _Steps(progress, len(used) + 2 + (llm is not None))
    found = [_find(source, [*answers, *pool], step) for source in used]
    if llm is not None:
        with Client.open(llm) as client:
            begin(client.destination)
            examples = [one for one in answers if key_of(one.text) not in known.texts]
            used.append(asked := LargeLanguageModel(client, types, examples))
            found.append(_find(asked, [*answers, *pool], step))
            if client.stopped is not None:
                raise client.stopped
        if asked.failed:
            result.notes.append(
                f"The LLM did not answer for {len(asked.failed)} passage(s), where only the other sources count: "
                f"{asked.failed[0]}"
            )
    _label(result, nlp, used, answers, pool, found, sure)
    step()
    _note(result, answers)
    if output is not None:
        with at_work(Path(output)):
            write_passages(output, result.passages)
    if report is not None:
        with replacing(Path(report)) as stream:
            stream.write(json.dumps(result.to_json(), ensure_ascii=False, indent=1) + "\n")
    step()
    return result


def _label(
    result: Bootstrapped,
    nlp: "Language",
    sources: Sequence[Source],
    answers: Sequence[Passage],
    pool: Sequence[Passage],
    found: Sequence[Sequence[list[Found] | None]],
    sure: float,
) -> None:
    """Label the pool by what the sources have found in the reviewed passages and in the pool, in this order."""
    docs = [nlp.make_doc(passage.text) for passage in (*answers, *pool)]
    many = len(answers)
    named = [_named(doc, [of_source[n] or [] for of_source in found]) for n, doc in enumerate(docs)]
    ordinary = OrdinaryTokens(docs[many:], named[many:])
    inside = [
        tokens_in(doc, ((span.start, span.end) for span in (*passage.spans, *passage.unknown)))
        for doc, passage in zip(docs, answers, strict=False)
    ]
    ordinary.measure(docs[:many], named[:many], inside)
    candidates = [
        candidates_of(passage, [_beside(doc, of_source[n], ordinary) for of_source in found])
        for n, (doc, passage) in enumerate(zip(docs, (*answers, *pool), strict=True))
    ]
    absent = [absent_of([of_source[n] for of_source in found]) for n in range(many)]
    records = estimate(sources, list(zip(answers, candidates, strict=False)), candidates[many:], absent)
    result.reviewed = many
    result.records = {(sources[number].name, type_): one for (number, type_), one in sorted(records.items())}
    result.agreement = _agreement(sources, candidates[many:])
    for passage, doc, of_passage in zip(pool, docs[many:], candidates[many:], strict=True):
        labelled = label(passage, doc, of_passage, ordinary, sure)
        _add(result, labelled)
    for source in sources:
        if isinstance(source, OtherModel):
            result.unmapped += source.unmapped


def _add(result: Bootstrapped, labelled: Labelled) -> None:
    result.misaligned += labelled.misaligned
    result.left.update((one.name, one.span.label) for one in labelled.left)
    if not labelled.passage.spans:
        # With these, far more would be known to be outside of all names than is in truth.
        result.left_out["no span in it is sure"] += 1
        return
    for number, count in enumerate(labelled.tokens):
        result.tokens[number] += count
    result.passages.append(labelled.passage)


def _named(doc: "Doc", found: Iterable[list[Found]]) -> set[int]:
    """The tokens of what sources have found in a usual way."""
    doubtful = (ORDINARY, AMBIGUOUS, UNSURE)
    return tokens_in(
        doc, [(one.span.start, one.span.end) for of_source in found for one in of_source if one.kind not in doubtful]
    )


def _beside(doc: "Doc", found: list[Found] | None, ordinary: OrdinaryTokens) -> list[Found] | None:
    """Tell spans that stand beside a word which may belong to the name: it may be longer than the source knows."""
    if not found or not ordinary.is_measured:
        return found
    outside = ordinary.outside(doc)
    changed = []
    for one in found:
        tokens = doc.char_span(one.span.start, one.span.end)
        if tokens is not None and not one.kind:
            beside = (n for n in (tokens.start - 1, tokens.end) if 0 <= n < len(doc))
            if any(not outside[n] and not doc[n].is_punct for n in beside):
                one = one._replace(kind=LONGER)
        changed.append(one)
    return changed


def _agreement(
    sources: Sequence[Source], candidates: Iterable[Sequence[Candidate]]
) -> dict[tuple[str, str], tuple[int, int]]:
    counts: dict[tuple[str, str], tuple[int, int]] = {}
    everything = [one for of_passage in candidates for one in of_passage]
    for first in range(len(sources)):
        for second in range(first + 1, len(sources)):
            either = [
                one
                for one in everything
                if (first in one.kinds or second in one.kinds) and not {first, second} & {*one.absent}
            ]
            both = sum(first in one.kinds and second in one.kinds for one in either)
            counts[sources[first].name, sources[second].name] = (both, len(either))
    return counts


def _named_sources(
    result: Bootstrapped,
    nlp: "Language",
    schema: EntitySchema,
    gazetteers: Iterable[str | Path],
    patterns: Iterable[str | Path],
    encoding: str,
) -> list[Source]:
    found: list[Source] = []
    for file in (one for path in gazetteers for one in _tables(path)):
        names = read_names(file, schema, encoding)
        gazetteer = Gazetteer(names, nlp)
        result.skipped += names.skipped
        result.conflicts.update(gazetteer.conflicts)
        found.append(gazetteer)
    found += [PatternRules(file, nlp, schema) for file in patterns]
    return found


def _tables(path: str | Path) -> list[str | Path]:
    """The tables that a path stands for: itself, or those of a folder."""
    if not Path(path).is_dir():
        return [path]
    files = sorted(file for file in Path(path).rglob("*") if file.suffix.lower() in (".csv", ".tsv") and file.is_file())
    if not files:
        raise UserError(f"The folder {path} has no table", "Files that end in .csv or .tsv are read.")
    return list(files)


def _find(source: Source, passages: Sequence[Passage], step: Callable[[], None]) -> list[list[Found] | None]:
    found = list(source.find(passages))
    step()
    return found


def _note(result: Bootstrapped, answers: Sequence[Passage]) -> None:
    if len(answers) < FEWEST_REVIEWED:
        result.notes.append(
            f"{len(answers)} reviewed passage(s): how good the sources are is a guess, and few tokens are known to be "
            "outside of all names. About 50 reviewed passages, drawn at random, tell it."
        )
    elif not any(one.right for one in result.records.values()):
        result.notes.append("In the reviewed passages the sources find no entity: how good they are is a guess.")
    if not result.passages:
        result.notes.append("No span is sure: the sources find nothing, or are too often wrong in reviewed passages.")


class _Steps:
    """Counts the steps that are done, for a progress bar."""

    def __init__(self, progress: Callable[[float], None] | None, steps: int) -> None:
        self._progress, self._steps, self._done = progress, steps, 0

    def __call__(self) -> None:
        self._done += 1
        if self._progress is not None:
            self._progress(self._done / self._steps)
