"""A three-way merge of lines.

It differs in two things from git's and from that of the package `merge3` (which is GPL). Changes of neighbouring lines
do not conflict: in project.yml and in the configs each line is a setting of its own, with its comment above, and with
the others a template that rewords a comment conflicts with every value that somebody has changed below it. And a line
that both sides changed is merged by its words: an option that somebody has added to a command stays when the template
changes how the command starts.
"""

import difflib
import re
from collections.abc import Iterator
from dataclasses import dataclass, field


@dataclass
class Merged:
    """The result of a merge.

    Attributes:
        lines: The merged lines. Where both sides changed the same lines, both are there between conflict markers.
        conflicts: The number of the line on which each conflict starts, counted from 1.
    """

    lines: list[str] = field(default_factory=list)
    conflicts: list[int] = field(default_factory=list)


@dataclass(frozen=True)
class _Change:
    """Lines that take the place of the base's lines from `start` to `end`, `end` exclusive."""

    start: int
    end: int
    lines: list[str]
    is_ours: bool

    @property
    def kind(self) -> str:
        """An insertion, a deletion or a replacement."""
        if self.start == self.end:
            return "insertion"
        return "replacement" if self.lines else "deletion"


def merge_lines(base: list[str], ours: list[str], theirs: list[str], names: tuple[str, str]) -> Merged:
    """Merge two changed versions of the same lines.

    Args:
        base: The lines that both versions come from.
        ours: One version.
        theirs: The other version.
        names: What to call the two versions in conflict markers.

    Returns:
        The merged lines, and where they have conflicts.
    """
    merged, position = Merged(), 0
    for group in _groups(sorted(_changes(base, ours, True) + _changes(base, theirs, False), key=_order)):
        start, end = group[0].start, max(change.end for change in group)
        merged.lines += base[position:start]
        position = end
        mine, other = (_changed(base, start, end, [c for c in group if c.is_ours is side]) for side in (True, False))
        if mine == other or all(change.is_ours for change in group):
            merged.lines += mine
        elif not any(change.is_ours for change in group):
            merged.lines += other
        elif (lines := _merge_words(base[start:end], mine, other)) is not None:
            merged.lines += lines
        else:
            _add_conflict(merged, mine, other, names)
    merged.lines += base[position:]
    return merged


def _changes(base: list[str], version: list[str], is_ours: bool) -> list[_Change]:
    matcher = difflib.SequenceMatcher(None, base, version, autojunk=False)
    return [
        _Change(start, end, version[first:last], is_ours)
        for tag, start, end, first, last in matcher.get_opcodes()
        if tag != "equal"
    ]


def _order(change: _Change) -> tuple[int, int]:
    return change.start, change.end


def _groups(changes: list[_Change]) -> Iterator[list[_Change]]:
    """Group the changes that can't be made independently of each other."""
    group: list[_Change] = []
    for change in changes:
        if group and not _belongs(change, group):
            yield group
            group = []
        group.append(change)
    if group:
        yield group


def _belongs(change: _Change, group: list[_Change]) -> bool:
    """Whether a change touches the same lines as earlier ones.

    A line that is inserted at the edge of deleted lines may have been meant for them, so these two belong together.
    """
    end = max(earlier.end for earlier in group)
    if change.start != end:
        return change.start < end
    kinds = {(earlier.kind, change.kind) for earlier in group if earlier.end == end}
    return bool(kinds & {("insertion", "insertion"), ("insertion", "deletion"), ("deletion", "insertion")})


def _changed(base: list[str], start: int, end: int, changes: list[_Change]) -> list[str]:
    """The base's lines from `start` to `end` after one side's changes."""
    lines: list[str] = []
    for change in changes:
        lines += base[start : change.start] + change.lines
        start = change.end
    return lines + base[start:end]


def _merge_words(base: list[str], mine: list[str], other: list[str]) -> list[str] | None:
    """Merge lines that both sides changed, word by word; None where words conflict or the lines are not as many."""
    if not len(base) == len(mine) == len(other):
        return None
    lines = []
    for versions in zip(base, mine, other, strict=True):
        words = [re.findall(r"\s+|\S+", version) for version in versions]
        if max(map(len, words)) == 1:
            return None
        merged = merge_lines(words[0], words[1], words[2], ("", ""))
        if merged.conflicts:
            return None
        lines.append("".join(merged.lines))
    return lines


def _add_conflict(merged: Merged, mine: list[str], other: list[str], names: tuple[str, str]) -> None:
    """Add both sides between markers, except the lines that they have alike at their start and end."""
    first = _alike(mine, other)
    last = _alike(mine[first:][::-1], other[first:][::-1])
    merged.lines += mine[:first]
    merged.conflicts.append(len(merged.lines) + 1)
    merged.lines += [f"<<<<<<< {names[0]}\n", *_whole(mine[first : len(mine) - last]), "=======\n"]
    merged.lines += [*_whole(other[first : len(other) - last]), f">>>>>>> {names[1]}\n"]
    merged.lines += mine[len(mine) - last :]


def _alike(one: list[str], two: list[str]) -> int:
    pairs = zip(one, two, strict=False)
    return next((number for number, (a, b) in enumerate(pairs) if a != b), min(len(one), len(two)))


def _whole(lines: list[str]) -> list[str]:
    """Lines that all end with a line end, so that the next marker starts on a line of its own."""
    return [line if line.endswith("\n") else line + "\n" for line in lines]
