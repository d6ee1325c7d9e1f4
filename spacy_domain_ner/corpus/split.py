"""Dividing the passages into training, early-stopping (dev) and evaluation sets.

A salted hash of a group's name (`meta.source`, else the text itself) decides where its passages go, so adding, removing
or reordering passages never moves one that was there. The choice of the salt makes the sets alike in their entity
types: the first split tries up to `SALTS` of them and keeps the best one, for good.

A passage whose `meta.training_only` is true was not drawn at random, and is on the training side or nowhere: where
others of its group are held out, it is left out, since training on it would tell the model of what it is measured by.
A group that has a passage with `meta.held_out_only` is never trained on: of such ones, drawn beside passages that were
chosen, too few would be left to measure by.

So are the passages that came with a pack, where there are enough of the user's own to be measured by: these are the
text that the model will read.
"""

import hashlib
import json
from collections import Counter, defaultdict
from dataclasses import dataclass, field, replace
from pathlib import Path

from spacy_domain_ner.corpus.identity import text_identity
from spacy_domain_ner.corpus.jsonl import passage_lines, read_valid_passages
from spacy_domain_ner.corpus.passage import ORIGIN, OWN, SILVER, TRAINING_ONLY, Passage
from spacy_domain_ner.errors import UserError
from spacy_domain_ner.files import replacing, write_together

SIDES = ("train", "dev", "eval")
HELD_OUT = SIDES[1:]
# Of all passages, and of those that are left.
EVAL_FRACTION, DEV_FRACTION = 0.2, 0.15
# With so many of the user's own passages in each held-out set, those of the pack are for training only.
OWN_ENOUGH = 30
SALTS = 500
# Many groups divide evenly under any salt: fewer salts are tried where trying all would take more hashes than this.
HASHES = 1_000_000


class EmptySideError(UserError):
    """A salt that leaves one of the sets without a passage."""


@dataclass
class Split:
    """The three sets, the salt that made them, and what was left out.

    Attributes:
        train: The passages to train on.
        dev: The passages that decide when training stops.
        eval: The passages that are held out for the evaluation.
        salt: The salt that made the sets.
        duplicates: Passages whose text, under another source, is on another side too. They are left out, since the same
            text on two sides would flatter the evaluation. The evaluation set keeps its copy, then the dev set.
        held_back: Passages for training only that are left out, since their text, or others of their source, are held
            out.
        superseded: Passages with first labels that are left out, since they are annotated by now.
        starters_train: Whether the passages that came with a pack are for training only, since there are enough of the
            user's own in the other sets.
    """

    train: list[Passage]
    dev: list[Passage]
    eval: list[Passage]
    salt: int
    duplicates: list[Passage]
    held_back: list[Passage] = field(default_factory=list)
    superseded: list[Passage] = field(default_factory=list)
    starters_train: bool = False

    @property
    def sides(self) -> dict[str, list[Passage]]:
        """The sets by name."""
        return {"train": self.train, "dev": self.dev, "eval": self.eval}

    def mentions(self) -> dict[str, dict[str, int]]:
        """Count the mentions of each label in each set, by the set's name."""
        counts = {
            side: Counter(span.label for passage in passages for span in passage.spans)
            for side, passages in self.sides.items()
        }
        return {label: {side: counts[side][label] for side in SIDES} for label in sorted(set().union(*counts.values()))}


def split(
    annotations: str | Path,
    output_dir: str | Path,
    state: str | Path | None = None,
    eval_fraction: float = EVAL_FRACTION,
    dev_fraction: float = DEV_FRACTION,
    silver: str | Path | None = None,
) -> Split:
    """Split annotations and write the three sets, as `train.jsonl`, `dev.jsonl` and `eval.jsonl`.

    Passages that came with a pack are for training only as soon as 30 of the user's own are in each of the other sets.

    Args:
        annotations: An annotation file (JSON lines), or a folder of them.
        output_dir: The folder for the three files.
        state: A file that keeps the split's salt, so that the next split moves nothing: it is read where it exists,
            else written. None to choose a new salt.
        eval_fraction: The share of the passages that is held out for evaluation.
        dev_fraction: The share of the rest that decides when training stops.
        silver: Passages with first labels, as `bootstrap` writes them, which go to the training side or nowhere. One
            that is annotated by now is left out. None, or a file that is not there, adds none.

    Returns:
        The three sets.

    Raises:
        UserError: The annotations can't be read or split, or a file can't be written.
    """
    salt = None if state is None else read_salt(state)
    passages = read_valid_passages(annotations)
    superseded: list[Passage] = []
    if silver is not None and Path(silver).exists():
        annotated = {text_identity(passage.text) for passage in passages}
        for passage in read_valid_passages(silver):
            passage = replace(passage, meta={**passage.meta, ORIGIN: SILVER, TRAINING_ONLY: True})
            (superseded if text_identity(passage.text) in annotated else passages).append(passage)
    fractions = {"eval_fraction": eval_fraction, "dev_fraction": dev_fraction}
    try:
        result = _held_out_of_own(passages, salt, fractions) or split_passages(passages, salt=salt, **fractions)
    except EmptySideError as error:
        if salt is None:
            raise
        raise UserError(
            f"{error.what} in the split that {state} keeps",
            f"Delete {state} to divide the passages anew, which moves passages from one set to another; or add "
            "passages, or raise `eval_fraction` or `dev_fraction`.",
        ) from None
    result.superseded = superseded
    # First: sets without the salt that made them could not be made again.
    if state is not None and salt is None:
        write_salt(state, result.salt)
    write_together(
        {Path(output_dir) / f"{side}.jsonl": passage_lines(passages) for side, passages in result.sides.items()}
    )
    return result


def _held_out_of_own(passages: list[Passage], salt: int | None, fractions: dict[str, float]) -> Split | None:
    """The split whose held-out sets have the user's own passages alone; None where they are too few, or no pack."""
    if not any(passage.is_starter for passage in passages):
        return None
    starters_train = [
        replace(passage, meta={**passage.meta, TRAINING_ONLY: True}) if passage.is_starter else passage
        for passage in passages
    ]
    try:
        result = split_passages(starters_train, salt=salt, **fractions)
    except UserError:
        return None
    result.starters_train = True
    own = [sum(passage.origin == OWN for passage in result.sides[side]) for side in HELD_OUT]
    return result if min(own) >= OWN_ENOUGH else None


def split_passages(
    passages: list[Passage],
    *,
    eval_fraction: float = EVAL_FRACTION,
    dev_fraction: float = DEV_FRACTION,
    salt: int | None = None,
) -> Split:
    """Divide passages into training, dev and evaluation sets.

    Args:
        passages: The passages.
        eval_fraction: The share that is held out for evaluation.
        dev_fraction: The share of the rest that decides when training stops.
        salt: The salt of an earlier split, None to choose the one that divides the entity types most evenly.

    Returns:
        The three sets.

    Raises:
        UserError: A fraction is out of range, or there are too few passages to fill three sets.
    """
    for name, fraction in (("eval_fraction", eval_fraction), ("dev_fraction", dev_fraction)):
        if not 0 < fraction < 1:
            raise UserError(f"`{name}` is {fraction}", "It must lie between 0 and 1, for instance 0.2.")
    drawn = [passage for passage in passages if not passage.is_training_only]
    groups = _groups(drawn)
    if len(groups) < len(SIDES):
        raise UserError(
            f"{len(drawn)} passage(s) from {len(groups)} source(s) can't be split into three sets",
            "Passages with the same meta.source stay together: add passages from other sources, or give each its own."
            + (" Those with meta.training_only can't be held out." if len(drawn) < len(passages) else ""),
        )
    bounds = (eval_fraction, eval_fraction + (1 - eval_fraction) * dev_fraction)
    # Those that are never trained on have the two other sides for themselves, in the same proportion.
    bounds_of = {
        group: (bounds[0] / bounds[1], 1.0) if any(passage.is_held_out_only for passage in members) else bounds
        for group, members in groups.items()
    }
    if salt is None:
        salt = _best_salt(groups, bounds_of)
    sides, left_out = _assign(_groups(passages), {group: _side(group, salt, bounds_of[group]) for group in groups})
    for side in SIDES:
        if not sides[side]:
            what = f"No passage falls into the {side} set"
            if side == "train" and all(high == 1 for _, high in bounds_of.values()):
                # No salt would change it.
                raise UserError(what, "Those with meta.held_out_only are never trained on: add others.")
            raise EmptySideError(what, "Add passages, or raise `eval_fraction` or `dev_fraction`.")
    duplicates = [passage for passage in left_out if not passage.is_training_only]
    held_back = [passage for passage in left_out if passage.is_training_only]
    return Split(sides["train"], sides["dev"], sides["eval"], salt, duplicates, held_back)


def read_salt(path: str | Path) -> int | None:
    """Read the salt of an earlier split.

    Args:
        path: The file that keeps it.

    Returns:
        The salt, None where there is no such file yet.

    Raises:
        UserError: The file does not hold a salt.
    """
    if not Path(path).exists():
        return None
    try:
        salt = json.loads(Path(path).read_text("utf8"))["salt"]
    except (OSError, ValueError, KeyError, TypeError, RecursionError):
        salt = None
    if not isinstance(salt, int) or isinstance(salt, bool):
        raise UserError(f"{path} is not a split file", "Restore it, or delete it to divide the passages again.")
    return salt


def write_salt(path: str | Path, salt: int) -> None:
    """Keep a split's salt, so that the next split moves nothing.

    Args:
        path: The file to write.
        salt: The salt.
    """
    with replacing(Path(path)) as stream:
        stream.write(json.dumps({"salt": salt}, indent=2) + "\n")


def group_of(passage: Passage) -> str:
    """The name of a passage's group, which is never divided: its `meta.source`, else the text itself."""
    source = passage.meta.get("source")
    # Sources may be numbers, and 0 is one of them.
    own = source is None or source == ""
    return f"text {text_identity(passage.text)}" if own else f"source {source}"


def _groups(passages: list[Passage]) -> dict[str, list[Passage]]:
    groups: dict[str, list[Passage]] = defaultdict(list)
    for passage in passages:
        groups[group_of(passage)].append(passage)
    return groups


def _best_salt(groups: dict[str, list[Passage]], bounds_of: dict[str, tuple[float, float]]) -> int:
    """The salt that leaves no side empty and whose sides' shares are nearest to those wanted.

    The distance is chi-square, summed over the sides, of the numbers of passages and of each type's mentions.
    """
    import numpy as np

    counts = [Counter(span.label for passage in members for span in passage.spans) for members in groups.values()]
    labels = sorted(set().union(*counts))
    weights = np.array(
        [
            [len(members), *(count[label] for label in labels)]
            for members, count in zip(groups.values(), counts, strict=True)
        ]
    )
    shares = np.array([(low, high - low, 1 - high) for low, high in (bounds_of[group] for group in groups)])
    wanted = shares.T @ weights

    def unevenness(salt: int) -> tuple[int, float]:
        sides = np.array([_side(group, salt, bounds_of[group]) for group in groups])
        sums = np.stack([weights[sides == side].sum(axis=0) for side in ("eval", "dev", "train")])
        # Where none is wanted, none is found.
        distances = np.divide((sums - wanted) ** 2, wanted, out=np.zeros_like(wanted), where=wanted > 0)
        return int((sums[:, 0] == 0).sum()), float(distances.sum())

    tries = max(20, min(SALTS, HASHES // len(groups)))
    return min(range(tries), key=unevenness)


def _side(group: str, salt: int, bounds: tuple[float, float]) -> str:
    digest = hashlib.blake2b(f"{salt} {group}".encode(), digest_size=8).digest()
    position = int.from_bytes(digest, "big") / 2**64
    return "eval" if position < bounds[0] else "dev" if position < bounds[1] else "train"


def _assign(
    groups: dict[str, list[Passage]], side_of_group: dict[str, str]
) -> tuple[dict[str, list[Passage]], list[Passage]]:
    """Put each passage on its side, or leave it out.

    Args:
        groups: The passages of each group.
        side_of_group: The sides of the groups that have passages which were drawn at random. The others have passages
            for training only.
    """
    sides: dict[str, list[Passage]] = {side: [] for side in SIDES}
    left_out = []
    # By side and not by place in the file: the order of the passages must not matter.
    side_of_text: dict[str, str] = {}
    for side in ("eval", "dev", "train"):
        for group, members in groups.items():
            if side_of_group.get(group) == side:
                for passage in members:
                    if not passage.is_training_only:
                        side_of_text.setdefault(text_identity(passage.text), side)
    for group, members in groups.items():
        for passage in members:
            side = side_of_group.get(group, "train")
            wrong = passage.is_training_only and side != "train"
            if not wrong and side_of_text.get(text_identity(passage.text), side) == side:
                sides[side].append(passage)
            else:
                left_out.append(passage)
    return sides, left_out
