"""Dividing the passages into training, early-stopping (dev) and evaluation sets.

A group of passages (`meta.source`, else the text itself) goes where a salted hash of its name says, so that
adding, removing or reordering passages never moves one that was there. What makes the sets alike in their entity
types is the choice of the salt: the first split tries `SALTS` of them and keeps the best one, for good.
"""

import hashlib
import unicodedata
from collections import Counter, defaultdict
from dataclasses import dataclass
from pathlib import Path

import srsly

from spacy_domain_ner.corpus.passage import Passage
from spacy_domain_ner.errors import UserError
from spacy_domain_ner.files import replacing

SIDES = ("train", "dev", "eval")
SALTS = 500


@dataclass
class Split:
    """The three sets, the salt that made them, and what was left out.

    duplicates: Passages whose text, under another source, is already on another side: left out, since the same
        text on two sides would flatter the evaluation.
    """

    train: list[Passage]
    dev: list[Passage]
    eval: list[Passage]
    salt: int
    duplicates: list[Passage]

    @property
    def sides(self) -> dict[str, list[Passage]]:
        """The sets by name."""
        return {"train": self.train, "dev": self.dev, "eval": self.eval}


def split_passages(
    passages: list[Passage], *, eval_fraction: float = 0.2, dev_fraction: float = 0.15, salt: int | None = None
) -> Split:
    """Divide passages into training, dev and evaluation sets.

    eval_fraction: The share that is held out for evaluation.
    dev_fraction: The share of the rest that decides when training stops.
    salt: The salt of an earlier split, None to choose the one that divides the entity types most evenly.
    RAISES: UserError where a fraction is out of range or there is too little to fill three sets.
    """
    for name, fraction in (("evaluation", eval_fraction), ("dev", dev_fraction)):
        if not 0 < fraction < 1:
            raise UserError(f"The {name} fraction is {fraction}", "It must lie between 0 and 1, for instance 0.2.")
    groups = _groups(passages)
    if len(groups) < len(SIDES):
        raise UserError(
            f"{len(passages)} passage(s) of {len(groups)} source(s) can't be split into three sets",
            "Passages with the same meta.source stay together: add passages from other sources, or give each its own.",
        )
    bounds = (eval_fraction, eval_fraction + (1 - eval_fraction) * dev_fraction)
    if salt is None:
        counts = {name: _weights(members) for name, members in groups.items()}
        salt = min(range(SALTS), key=lambda candidate: _unevenness(counts, candidate, bounds))
    sides, duplicates = _assign(groups, salt, bounds)
    for side in SIDES:
        if not sides[side]:
            raise UserError(
                f"No passage falls into the {side} set", "Add passages, or raise the fraction that it takes."
            )
    return Split(sides["train"], sides["dev"], sides["eval"], salt, duplicates)


def read_salt(path: Path) -> int | None:
    """The salt of an earlier split, None where there was none.

    RAISES: UserError where the file is no split file.
    """
    if not path.exists():
        return None
    try:
        salt = srsly.read_json(path)["salt"]
    except (ValueError, KeyError, TypeError):
        salt = None
    if not isinstance(salt, int):
        raise UserError(f"{path} is no split file", "Restore it, or delete it to divide the passages anew.")
    return salt


def write_salt(path: Path, salt: int) -> None:
    """Keep a split's salt, so that the next split moves nothing."""
    with replacing(path) as stream:
        stream.write(srsly.json_dumps({"salt": salt}, indent=2) + "\n")


def identity(text: str) -> str:
    """What makes two texts the same text: Unicode's composed form, white space folded."""
    return " ".join(unicodedata.normalize("NFC", text).split())


def _groups(passages: list[Passage]) -> dict[str, list[Passage]]:
    groups: dict[str, list[Passage]] = defaultdict(list)
    for passage in passages:
        source = passage.meta.get("source")
        groups[f"source {source}" if source else f"text {identity(passage.text)}"].append(passage)
    return groups


def _weights(passages: list[Passage]) -> Counter[str]:
    """A group's mentions per type, and its passages (under the empty label)."""
    weights = Counter(span.label for passage in passages for span in passage.spans)
    weights[""] = len(passages)
    return weights


def _side(group: str, salt: int, bounds: tuple[float, float]) -> str:
    digest = hashlib.blake2b(f"{salt} {group}".encode(), digest_size=8).digest()
    position = int.from_bytes(digest, "big") / 2**64
    return "eval" if position < bounds[0] else "dev" if position < bounds[1] else "train"


def _unevenness(counts: dict[str, Counter[str]], salt: int, bounds: tuple[float, float]) -> float:
    """How far the sides' shares are from those wanted: chi-square, summed over types and sides."""
    wanted = {"eval": bounds[0], "dev": bounds[1] - bounds[0], "train": 1 - bounds[1]}
    sums: dict[str, Counter[str]] = {side: Counter() for side in SIDES}
    total: Counter[str] = Counter()
    for group, weights in counts.items():
        sums[_side(group, salt, bounds)].update(weights)
        total.update(weights)
    return sum(
        (sums[side][label] - share * number) ** 2 / (share * number)
        for label, number in total.items()
        for side, share in wanted.items()
    )


def _assign(
    groups: dict[str, list[Passage]], salt: int, bounds: tuple[float, float]
) -> tuple[dict[str, list[Passage]], list[Passage]]:
    sides: dict[str, list[Passage]] = {side: [] for side in SIDES}
    duplicates = []
    side_of_text: dict[str, str] = {}
    for group, members in groups.items():
        side = _side(group, salt, bounds)
        for passage in members:
            if side_of_text.setdefault(identity(passage.text), side) == side:
                sides[side].append(passage)
            else:
                duplicates.append(passage)
    return sides, duplicates
