"""Whether a new model may take the place of the present one: both read the same held-out passages."""

import shutil
from dataclasses import dataclass
from pathlib import Path

from spacy_domain_ner.corpus.jsonl import read_valid_passages
from spacy_domain_ner.corpus.passage import Passage
from spacy_domain_ner.errors import UserError
from spacy_domain_ner.evaluation.analysis import analyse, predict
from spacy_domain_ner.evaluation.bootstrap import Estimate
from spacy_domain_ner.evaluation.progress import compare_runs, direction, in_words
from spacy_domain_ner.files import replacing_path
from spacy_domain_ner.models import load_model
from spacy_domain_ner.schema import read_schema


@dataclass(frozen=True)
class Successor:
    """How a new model does against the present one.

    Attributes:
        difference: How much higher its F1 is, with the interval; None where the passages do not tell.
        types_worse: The types whose F1 is lower by more than chance, each with the difference.
        passages: The number of passages that both have read.
    """

    difference: Estimate | None
    types_worse: dict[str, Estimate]
    passages: int

    @property
    def is_worse(self) -> bool:
        """Whether the present model must stay: the new one is worse by more than chance, or nothing tells."""
        return self.difference is None or direction(self.difference) == "worse"

    def __str__(self) -> str:
        if self.difference is None:
            return "The evaluation set does not tell which model is better."
        said = f"The new model is {'' if self.is_worse else 'not '}worse: {in_words(self.difference)}."
        if self.types_worse:
            types = ", ".join(f"{label} ({in_words(found)})" for label, found in self.types_worse.items())
            said += f" Types that are worse: {types}."
        return said


def compare_successor(
    new: str | Path,
    present: str | Path,
    eval: str | Path = "corpus/eval.jsonl",
    schema: str | Path = "entity_types.yml",
) -> Successor:
    """Compare a new model with the present one on the same held-out passages.

    Args:
        new: The new model: its folder, or the name of its package.
        present: The present one: its folder, the folder of its package as `package_model` makes it, or the package's
            name.
        eval: The evaluation set of today (JSON lines), which neither was trained on.
        schema: The entity types of today.

    Returns:
        The comparison.

    Raises:
        UserError: A model or a file can't be read, or there is not a passage.
    """
    annotated = read_valid_passages(eval)
    if not annotated:
        raise UserError(f"{eval} has no passages", "Run the split again: weasel run split")
    labels = read_schema(Path(schema)).labels
    before = predict(load_model(_model_in(present)), annotated)
    earlier = [
        Passage(each.text, sorted(found.spans), each.meta) for each, found in zip(annotated, before, strict=True)
    ]
    progress = compare_runs(analyse(annotated, predict(load_model(new), annotated), labels), earlier)
    if progress is None:
        return Successor(None, {}, 0)
    worse = {label: found for label, found in progress.types.items() if found and direction(found) == "worse"}
    return Successor(progress.micro, worse, progress.passages)


def move_model(new: str | Path, adopt: str | Path) -> None:
    """Move a model's folder into the place of another one.

    Args:
        new: The model's folder.
        adopt: The place, where there may be a model.

    Raises:
        UserError: `new` is not a model's folder, or `adopt` can't be written.
    """
    if not (Path(new) / "config.cfg").is_file():
        raise UserError(
            f"{new} is not the folder of a model", "With `adopt`, name the folder that `train` has written."
        )
    with replacing_path(Path(adopt), folder=True) as beside:
        shutil.move(new, beside)


def _model_in(folder: str | Path) -> str | Path:
    """The model in a package's folder, where it is one."""
    inside = [path.parent for path in Path(folder).glob("*/*/config.cfg")]
    return inside[0] if len(inside) == 1 and not (Path(folder) / "config.cfg").is_file() else folder
