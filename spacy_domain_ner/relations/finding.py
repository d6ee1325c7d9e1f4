"""Finding the relations of rows: by an LLM, or by the baseline."""

from collections import Counter
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass, field
from itertools import islice
from pathlib import Path

from spacy_domain_ner.corpus.jsonl import read_valid_passages
from spacy_domain_ner.corpus.passage import Passage
from spacy_domain_ner.errors import UserError
from spacy_domain_ner.files import at_work, replacing
from spacy_domain_ner.llm.client import Answer, Client
from spacy_domain_ner.relation_types import RelationTypes, read_relation_types
from spacy_domain_ner.relations.baseline import Baseline, learn_baseline
from spacy_domain_ner.relations.claims import Questions, read_claims, read_verdicts
from spacy_domain_ner.relations.rows import Found, Row, RowReader, nothing_to_read, to_line
from spacy_domain_ner.relations.scores import FoundIn, RelationScores, score_relations
from spacy_domain_ner.relations.windows import Window, windows_of

PURPOSE, VERIFYING = "relations", "relations, verified"
# How many rows are asked about before the relations found in them are verified.
_BATCH = 500


@dataclass
class RelationRun:
    """What a search for relations did.

    Attributes:
        rows: How many rows were read.
        relations: How many relations were found, by type.
        failed: How many rows have an error in the place of relations.
        errors: The first errors, each with the row's place.
        outcomes: What became of what the LLM claimed.
        without_pairs: How many rows have no two entities that may be related: nothing was asked about them.
        requests: How many questions were asked, those that the ledger had answers to included.
        stored: How many of these the ledger had answers to.
        refused: The lines that could not be read, each with its place and the reason.
        baseline: The rules; None where an LLM was asked.
        scores: How well the relations were found; None where there was nothing to compare them with.
    """

    rows: int = 0
    relations: Counter[str] = field(default_factory=Counter)
    failed: int = 0
    errors: list[str] = field(default_factory=list)
    outcomes: Counter[str] = field(default_factory=Counter)
    without_pairs: int = 0
    requests: int = 0
    stored: int = 0
    refused: list[str] = field(default_factory=list)
    baseline: Baseline | None = None
    scores: RelationScores | None = None


def find_relations(
    rows: Sequence[str | Path],
    output: str | Path | None,
    *,
    relation_types: RelationTypes | str | Path = "relation_types.yml",
    client: Client | None = None,
    verify: bool = False,
    train: str | Path | None = None,
    gold: str | Path | None = None,
    text_key: str = "text",
) -> RelationRun:
    """Find the relations between the entities of rows, and write each row again with its `relations`.

    With a client an LLM is asked, else the baseline says what is most frequent in the training passages. What the LLM
    claims must be about entities that are there, of types that fit, with words of the passage as its evidence. A row
    that failed gets an error in the place of relations, and keeps its entities; running the same again asks only about
    those, since all that was answered is in the ledger.

    Args:
        rows: Files of rows: what `extract` has written (`entities`), or annotated passages (`spans`).
        output: The file to write; None writes none.
        relation_types: The relation types, or the file that has them.
        client: The LLM; None takes the baseline.
        verify: Whether the LLM is asked of each relation that it claims whether its evidence states it.
        train: The annotated passages that the baseline learns from.
        gold: Annotated passages with relations, to compare with what was found; None compares nothing.
        text_key: The key of the text in the rows.

    Returns:
        What was found, and how well.

    Raises:
        UserError: A file can't be read, no row has entities, there is nothing to learn from or to compare with, or the
            LLM can't be asked anything.
    """
    if isinstance(relation_types, str | Path):
        relation_types = read_relation_types(relation_types)
    if client is None and train is None:
        raise UserError("`train` is not given", "The baseline learns from annotated passages with relations.")
    if client is None and verify:
        raise UserError("`verify` is for an LLM", "The baseline gives no evidence to verify: leave it out.")
    annotated = None if gold is None else read_valid_passages(gold)
    run = RelationRun()
    if client is None:
        run.baseline = learn_baseline(read_valid_passages(train or ""), relation_types)
    reader = RowReader(run.refused)
    found: list[FoundIn] = []
    with reader.open(rows, text_key) as stream:
        results = _results(stream, relation_types, client, verify, run)
        lines = _lines(results, run, found if annotated is not None else None)
        if output is None:
            for _ in lines:
                pass
        else:
            with at_work(Path(output)), replacing(Path(output)) as written:
                written.writelines(lines)
                if not run.rows:
                    raise nothing_to_read(run.refused)
    if not run.rows:
        raise nothing_to_read(run.refused)
    if annotated is not None:
        run.scores = score_relations(annotated, found, relation_types)
    return run


def find_in_passages(
    passages: Iterable[Passage], types: RelationTypes, client: Client, verify: bool = False
) -> Iterator[tuple[Row, "list[Found] | str"]]:
    """Find the relations of annotated passages by an LLM, without writing anything.

    Args:
        passages: The passages; their own relations are not shown to the LLM.
        types: The relation types.
        client: The LLM.
        verify: Whether each relation is verified.

    Yields:
        Each passage as a row, with its relations or with why there are none.
    """
    from spacy_domain_ner.relations.rows import passages_as_rows

    yield from _asked(passages_as_rows(passages), types, client, verify, RelationRun())


def _results(
    rows: Iterable[Row], types: RelationTypes, client: Client | None, verify: bool, run: RelationRun
) -> Iterator[tuple[Row, list[Found] | str]]:
    if client is not None:
        yield from _asked(rows, types, client, verify, run)
        return
    assert run.baseline is not None
    for row in rows:
        yield row, run.baseline.find(row.text, row.spans)


def _lines(
    results: Iterable[tuple[Row, list[Found] | str]], run: RelationRun, kept: list[FoundIn] | None
) -> Iterator[str]:
    """Give the rows as they are written, and count what is in them."""
    for row, result in results:
        run.rows += 1
        relations = None if isinstance(result, str) else [one.relation for one in result]
        if kept is not None:
            kept.append(FoundIn(row.text, row.source, row.spans, relations, row.is_annotation))
        if isinstance(result, str):
            run.failed += 1
            if len(run.errors) < 20:
                run.errors.append(f"{row.place}: {result}")
            yield to_line(row.with_error(result))
        else:
            run.relations.update(one.relation.type for one in result)
            yield to_line(row.with_relations(result))


@dataclass
class _Asked:
    """A row about which an LLM is asked.

    Attributes:
        row: The row.
        windows: Its parts.
        found: What was found in each of them.
        error: Why nothing was found in one of them; "" where there was no error.
    """

    row: Row
    windows: list[Window]
    found: list[list[Found]] = field(default_factory=list)
    error: str = ""

    @property
    def result(self) -> list[Found] | str:
        """The relations, each once, or the error."""
        unique: dict[object, Found] = {}
        for one in (one for found in self.found for one in found):
            unique.setdefault(one.relation, one)
        return self.error or sorted(unique.values(), key=lambda one: one.relation)


def _asked(
    rows: Iterable[Row], types: RelationTypes, client: Client, verify: bool, run: RelationRun
) -> Iterator[tuple[Row, list[Found] | str]]:
    questions, stream = Questions(types), iter(rows)
    while batch := [_Asked(row, windows_of(row.text, row.spans, types)) for row in islice(stream, _BATCH)]:
        _find(batch, questions, client, run)
        if verify:
            _verify(batch, questions, client, run)
        if client.stopped is not None:
            raise client.stopped
        yield from ((asked.row, asked.result) for asked in batch)


def _find(batch: list[_Asked], questions: Questions, client: Client, run: RelationRun) -> None:
    """Ask for the relations of each window."""
    answers = client.ask((questions.find(window) for asked in batch for window in asked.windows), PURPOSE)
    for asked in batch:
        run.without_pairs += not asked.windows
        for window in asked.windows:
            answer = _counted(next(answers), run)
            if answer.value is None:
                asked.error = asked.error or answer.error
                asked.found.append([])
                continue
            found, outcomes = read_claims(answer.value, window, questions.types)
            run.outcomes.update(outcomes)
            asked.found.append(found)


def _verify(batch: list[_Asked], questions: Questions, client: Client, run: RelationRun) -> None:
    """Ask of each relation whether its evidence states it, and take away those of which it does not."""
    open_ones = [
        (asked, number) for asked in batch if not asked.error for number, found in enumerate(asked.found) if found
    ]
    prompts = (
        questions.verify(asked.windows[number], asked.found[number], asked.row.text) for asked, number in open_ones
    )
    answers = client.ask(prompts, VERIFYING)
    for asked, number in open_ones:
        answer = _counted(next(answers), run)
        if answer.value is None:
            asked.error = asked.error or f"not verified: {answer.error}"
            continue
        found = asked.found[number]
        confirmed = read_verdicts(answer.value, len(found))
        asked.found[number] = [one for one, stated in zip(found, confirmed, strict=True) if stated]
        run.outcomes["unconfirmed"] += len(found) - sum(confirmed)
        run.outcomes["kept"] -= len(found) - sum(confirmed)


def _counted(answer: Answer, run: RelationRun) -> Answer:
    run.requests += 1
    run.stored += answer.is_stored
    return answer
