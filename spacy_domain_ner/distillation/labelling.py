"""Passages that nobody has labelled, as a model reads them: how probable each tag of each token is."""

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, field
from pathlib import Path

import numpy
from spacy.language import Language
from spacy.tokens import Doc, DocBin
from spacy.util import minibatch

from spacy_domain_ner.components.biluo_ner import BEGIN, IN, LAST, SOFT_TAGS, UNIT, pack_tags
from spacy_domain_ner.confidence.prediction import TAGS, before_recognizer, present, recognizer_with
from spacy_domain_ner.corpus.docbin import read_docs
from spacy_domain_ner.corpus.passage import Passage
from spacy_domain_ner.errors import UserError
from spacy_domain_ner.files import clear_leftovers, replacing_path
from spacy_domain_ner.models import memory_zone
from spacy_domain_ner.training.recipe import SPACY, md5

# So many passages are labelled between two files: what a killed run loses.
PER_FILE = 256


@dataclass
class Labelled:
    """What a model has labelled.

    Attributes:
        docs: The passages, with the tags' probabilities in `doc.user_data`, and without entities.
        other_tokens: The number of passages that it divides into other tokens than the student: they are left out.
    """

    docs: list[Doc] = field(default_factory=list)
    other_tokens: int = 0


def label_passages(
    teacher: Language,
    tokenizer: Language,
    passages: Sequence[Passage],
    folder: Path,
    progress: Callable[[float], None] = lambda share: None,
) -> Labelled:
    """Let a model label passages. What is in the folder is not labelled again, so a run that was killed is continued.

    Args:
        teacher: The model. Its recognizer's method `tag_probabilities` is asked.
        tokenizer: The student's tokenizer.
        passages: The passages.
        folder: Keeps what this model has labelled.
        progress: Called with the share that is done, from 0 to 1.

    Raises:
        UserError: The model has no recognizer that can tell, as spaCy's `ner` can't.
    """
    name = recognizer_with(teacher, TAGS)
    known = {doc.text: doc for doc in _read(folder)}
    result, left = Labelled(), []
    for passage in passages:
        words = _words(tokenizer.make_doc(passage.text))
        if words != _words(teacher.make_doc(passage.text)):
            result.other_tokens += 1
        elif passage.text not in known or _words(known[passage.text]) != words:
            left.append(passage.text)
    done = len(passages) - len(left)
    for texts in minibatch(left, size=PER_FILE):
        progress(done / len(passages))
        labelled = list(_label(teacher, name, tokenizer, texts))
        _write(labelled, folder / f"{md5(chr(0).join(texts).encode('utf8', 'surrogatepass'))}{SPACY}")
        known |= {doc.text: doc for doc in labelled}
        done += len(texts)
    progress(1.0)
    result.docs = [known[passage.text] for passage in passages if passage.text in known]
    return result


def _label(nlp: Language, name: str, tokenizer: Language, texts: Sequence[str]) -> Iterator[Doc]:
    recognizer = present(nlp, name, TAGS)
    labels = recognizer.labels
    for batch in minibatch(texts, size=nlp.batch_size):
        with memory_zone(nlp):
            docs = before_recognizer(nlp, name, batch)
            found = recognizer.tag_probabilities(docs)
            for doc, shares in zip(docs, found, strict=True):
                _set_entities(doc, shares, labels)
        for text, shares in zip(batch, found, strict=True):
            doc = tokenizer.make_doc(text)
            doc.user_data[SOFT_TAGS] = pack_tags(labels, shares)
            yield doc


def _set_entities(doc: Doc, shares: numpy.ndarray, labels: Sequence[str]) -> None:
    """Let the entities that other components have set, such as rules, be certain."""
    for ent in doc.ents:
        if ent.label_ not in labels:
            continue
        column = 1 + 4 * labels.index(ent.label_)
        for token in range(ent.start, ent.end):
            part = UNIT if len(ent) == 1 else BEGIN if token == ent.start else LAST if token == ent.end - 1 else IN
            shares[token] = 0
            shares[token, column + part] = 1


def _read(folder: Path) -> Iterator[Doc]:
    for file in sorted(folder.glob(f"*{SPACY}")):
        try:
            yield from read_docs(file.read_bytes(), str(file))
        except UserError:
            # Damaged: its passages are labelled again.
            file.unlink()


def _write(docs: Sequence[Doc], path: Path) -> None:
    written = DocBin(docs=docs, store_user_data=True)
    clear_leftovers(path)
    with replacing_path(path, clear=False) as beside:
        beside.write_bytes(written.to_bytes())


def _words(doc: Doc) -> list[str]:
    return [token.text_with_ws for token in doc]
