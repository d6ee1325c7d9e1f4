"""What live text is compared with: counts of the evaluation set, which `evaluate` writes and the package carries.

The file holds numbers per source of the evaluation set (per passage where there are few sources), the training set's
words and names as filters that can be asked about an entry but not listed, and the frequent words' shares by hash.
"""

from collections import defaultdict
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from hashlib import blake2b
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy

from spacy_domain_ner.confidence.prediction import expected_entities
from spacy_domain_ner.corpus.passage import Passage
from spacy_domain_ner.corpus.split import group_of
from spacy_domain_ner.errors import UserError
from spacy_domain_ner.files import refuse_newer_format
from spacy_domain_ner.models import REFERENCE, model_digest, model_folder, model_identity
from spacy_domain_ner.monitoring.live import Found
from spacy_domain_ner.monitoring.measures import COLUMNS, PLACE, Measures, Sums
from spacy_domain_ner.monitoring.vocabulary import Vocabulary
from spacy_domain_ner.reading.objects import read_object
from spacy_domain_ner.schema import EntitySchema

if TYPE_CHECKING:
    from spacy.language import Language

    from spacy_domain_ner.evaluation.analysis import Analysis

FORMAT_VERSION = 1
# Fewer sources than this say too little of how much sources differ: each passage stands for itself then.
FEWEST_SOURCES = 20
# A larger evaluation set is drawn from, so that the file stays below half a megabyte.
MOST_GROUPS = 2000
# Columns that references of version 0.1 may lack.
ADDED = frozenset({"known_entities"})
SEED = 0


@dataclass
class Reference:
    """Counts of the evaluation set, and what training had.

    Attributes:
        model: The model's `name`, `version` and `digest`.
        labels: The entity types.
        definitions: A hash of each type's definition, to see later that a definition has changed.
        vocabulary: What training had.
        by: What a row is about: `source` or `passage`.
        rows: The counts of each source or passage: `COLUMNS`, then the entities of each type.
    """

    model: dict[str, str]
    labels: list[str]
    definitions: dict[str, str]
    vocabulary: Vocabulary
    by: str
    rows: Sums

    @property
    def lacking(self) -> list[str]:
        """The columns that an earlier version did not count: nothing can be compared with them."""
        return [name for name in sorted(ADDED) if not self.rows[:, PLACE[name]].any()]

    @property
    def passages(self) -> int:
        """The number of passages that were counted."""
        return int(self.rows[:, 0].sum())

    def to_dict(self) -> dict[str, Any]:
        """The reference as JSON holds it."""
        return {
            "kind": "reference",
            "format_version": FORMAT_VERSION,
            "model": self.model,
            "labels": self.labels,
            "definitions": self.definitions,
            "vocabulary": self.vocabulary.to_dict(),
            "by": self.by,
            "columns": [*COLUMNS, *self.labels],
            "rows": [[_short(value) for value in row] for row in self.rows.tolist()],
        }

    @classmethod
    def from_dict(cls, record: Mapping[str, Any]) -> "Reference":
        """Read what `to_dict` gave.

        Raises:
            KeyError, TypeError, ValueError: It is something else.
        """
        labels = [str(label) for label in record["labels"]]
        columns = [str(column) for column in record["columns"]]
        rows = numpy.array(record["rows"], dtype=numpy.float64)
        if columns[len(columns) - len(labels) :] != labels or rows.ndim != 2 or rows.shape[1] != len(columns):
            raise ValueError("the columns do not fit")
        # By name, since a later version may count more, and an earlier one less: what it lacks is 0, and not compared.
        lacking = [name for name in COLUMNS if name not in columns[: len(columns) - len(labels)]]
        if set(lacking) - ADDED:
            raise ValueError(f"the columns {lacking} are missing")
        rows = numpy.hstack([rows, numpy.zeros((len(rows), len(lacking)))])
        # A type may be called like a column.
        counted = len(columns) - len(labels)
        places = dict(zip(columns[:counted], range(counted), strict=True))
        places |= {name: len(columns) + number for number, name in enumerate(lacking)}
        order = [places[name] for name in COLUMNS] + list(range(counted, len(columns)))
        return cls(
            dict(record["model"]),
            labels,
            dict(record["definitions"]),
            Vocabulary.from_dict(record["vocabulary"]),
            str(record["by"]),
            rows[:, order],
        )


def make_reference(nlp: "Language", analysis: "Analysis", train: Sequence[Passage], schema: EntitySchema) -> Reference:
    """Count the evaluation set, as live text will be counted.

    Args:
        nlp: The model.
        analysis: What it found in the evaluation set.
        train: The training set.
        schema: The entity types.

    Returns:
        The reference.
    """
    labels = sorted(analysis.types)
    measures = Measures(Vocabulary.of(train), labels)
    texts = [passage.text for passage in analysis.passages]
    try:
        expected: Sequence[Mapping[str, float] | None] = list(expected_entities(nlp, texts))
    except UserError:  # a recognizer that can't tell
        expected = [None] * len(texts)
    groups: dict[str, list[list[float]]] = defaultdict(list)
    for number, passage in enumerate(analysis.passages):
        confidences = analysis.confidences[number]
        found = [
            Found(span.start, span.end, span.label, confidences.get(span)) for span in analysis.predictions[number]
        ]
        right, annotated = int(analysis.micro.counts[number, 0]), len(passage.spans)
        groups[group_of(passage)].append(
            measures.count(passage.text, found, expected[number], right=right, annotated=annotated)
        )
    by = "source" if len(groups) >= FEWEST_SOURCES else "passage"
    rows = (
        [numpy.sum(rows, axis=0) for rows in groups.values()]
        if by == "source"
        else [numpy.array(row) for rows in groups.values() for row in rows]
    )
    if len(rows) > MOST_GROUPS:
        chosen = numpy.random.default_rng(SEED).choice(len(rows), MOST_GROUPS, replace=False)
        rows = [rows[number] for number in sorted(chosen)]
    return Reference(model_identity(nlp), labels, hash_definitions(schema), measures.vocabulary, by, numpy.array(rows))


def hash_definitions(schema: EntitySchema) -> dict[str, str]:
    """A hash of what annotators are told of each type: where it differs, the labels may mean something else."""
    return {
        each.name: blake2b(
            repr((each.definition, each.edge_cases)).encode("utf8", "replace"), digest_size=6
        ).hexdigest()
        for each in schema.entity_types
    }


def read_reference(path: str | Path) -> Reference:
    """Read a reference.

    Args:
        path: The file that `evaluate` wrote.

    Raises:
        UserError: There is none, or it is not one.
    """
    hint = "Write it: weasel run evaluate, or `domain-ner evaluate` with --reference"
    otherwise = "is not a reference that `evaluate` has written"
    record = read_object(path, otherwise, hint)
    try:
        if record["kind"] != "reference":
            raise ValueError
        refuse_newer_format(path, record["format_version"], FORMAT_VERSION)
        return Reference.from_dict(record)
    except UserError:
        raise
    except (ValueError, KeyError, TypeError, AttributeError):
        raise UserError(f"{path} {otherwise}", hint) from None


def find_reference(model: str | Path, reference: str | Path | None = None) -> Reference:
    """Find the reference of a model: the file that is given, else the one that the model's package carries.

    Args:
        model: The model's folder, or the name of its package.
        reference: The file that `evaluate` wrote; None looks in the package.

    Raises:
        UserError: There is none, it can't be read, or it is of another model.
    """
    folder = model_folder(model)
    carried = folder / REFERENCE
    if reference is None and not carried.is_file():
        raise UserError(
            f"The model {str(model)!r} carries no reference to compare live text with",
            "Write one, and give it as `reference`: domain-ner evaluate MODEL corpus/eval.jsonl --train "
            "corpus/train.jsonl --reference metrics/reference.json. `domain-ner package` puts it into the package.",
        )
    found = read_reference(carried if reference is None else reference)
    if reference is not None and found.model.get("digest") != model_digest(folder):
        raise UserError(
            f"{reference} is of another model than {model}: {found.model['name']} {found.model['version']}, "
            "trained anew or changed since",
            "Evaluate this model: weasel run evaluate, or `domain-ner evaluate` with --reference",
        )
    return found


def _short(value: float) -> float | int:
    return int(value) if value == int(value) else round(value, 4)
