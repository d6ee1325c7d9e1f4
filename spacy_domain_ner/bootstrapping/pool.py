"""The unlabelled passages: read once, without those that are reviewed or held out."""

from collections import Counter
from collections.abc import Iterable
from dataclasses import dataclass, field, replace
from heapq import heappush, heappushpop
from pathlib import Path

from spacy_domain_ner.annotation.candidates import key_of
from spacy_domain_ner.annotation.junk import why_junk
from spacy_domain_ner.annotation.labelled import Labelled, source_of
from spacy_domain_ner.corpus.jsonl import Refusal
from spacy_domain_ner.corpus.passage import Passage
from spacy_domain_ner.errors import UserError
from spacy_domain_ner.exchange.tasks import stream_to_label
from spacy_domain_ner.reading.texts import TextFiles


@dataclass
class Pool:
    """The passages to label.

    Attributes:
        passages: The passages, without any annotation.
        read: How many passages there were.
        left_out: How many of them are left out, by the reason.
        refusals: The lines and files that could not be read.
    """

    passages: list[Passage] = field(default_factory=list)
    read: int = 0
    left_out: Counter[str] = field(default_factory=Counter)
    refusals: list[Refusal] = field(default_factory=list)


def read_pool(
    files: TextFiles,
    reviewed: Iterable[Passage],
    held_out: Labelled,
    language: str,
    size: int,
    max_words: int,
    text_key: str,
) -> Pool:
    """Read the passages to label: of more than `size`, those with the lowest hashes, which is a random choice.

    Args:
        files: The files of unlabelled text.
        reviewed: The reviewed passages.
        held_out: What is known of the passages that the model is measured by.
        language: The language of the passages.
        size: How many passages to keep at most.
        max_words: The most words of a passage.
        text_key: The key of the text in JSON records, and its column in tables.

    Raises:
        UserError: No passage is left.
    """
    pool = Pool(refusals=[Refusal(name, 0, why) for name, why in files.left_out])
    known, seen = {key_of(one.text) for one in reviewed}, set[bytes]()
    kept: list[tuple[int, str, Passage]] = []
    for line in stream_to_label(files, text_key):
        if isinstance(line, Refusal):
            if line.skipped:
                pool.left_out["rejected or skipped by an annotator"] += 1
            else:
                pool.refusals.append(line)
            continue
        pool.read += 1
        key = key_of(line.text)
        why = why_junk(line.text, language, held_out.script, max_words)
        if key in held_out.texts:
            why = "its text is held out, for the evaluation"
        elif key in known:
            why = "reviewed already"
        elif key in seen:
            why = "the same text again"
        elif source_of(line) in held_out.held_out:
            why = "its source is held out, for the evaluation"
        if why:
            pool.left_out[why] += 1
            continue
        seen.add(key)
        bare = replace(line, spans=[], unknown=[], incorrect=[])
        entry = (-int.from_bytes(key, "big"), line.text, bare)
        if len(kept) < size:
            heappush(kept, entry)
        else:
            heappushpop(kept, entry)
            pool.left_out[f"more than the {size:,} that `size` says"] += 1
    if not kept:
        raise _nothing(pool)
    pool.passages = [passage for _, _, passage in sorted(kept, key=lambda entry: -entry[0])]
    return pool


def refuse_output_in(files: TextFiles, output: str | Path | None) -> None:
    """Refuse to write over what is read.

    Raises:
        UserError: The output is one of the files.
    """
    if output is None or not Path(output).exists():
        return
    for file in files.files:
        if file.can_be_read_again and Path(output).samefile(file.source.archive or file.source.path):
            raise UserError(f"The output {output} is among the passages", "Name another file for `output`.")


def _nothing(pool: Pool) -> UserError:
    reasons = [f"{count} left out: {why}" for why, count in pool.left_out.most_common()]
    reasons += [f"Not read: {refusal}" for refusal in pool.refusals[:5]]
    hint = "\n".join(reasons) or "Give texts that nobody has labelled yet."
    return UserError("There is no passage to label", hint)
