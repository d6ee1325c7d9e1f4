"""The labelling interface of a project, as XML: which control marks spans on which text, and with which labels."""

import re
import xml.etree.ElementTree as ET
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from typing import Any
from xml.sax.saxutils import quoteattr

from spacy_domain_ner.errors import UserError, reason
from spacy_domain_ner.exchange.formats.label_studio_texts import looks_like_address
from spacy_domain_ner.reading.records import RefusedError, with_text
from spacy_domain_ner.schema import same_name

_HINT = "`domain-ner interface label-studio` writes one that fits: Settings, Labeling Interface, Code."
# $text, $document.body, $pages[0].text
_VALUE = re.compile(r"\$\w+(\.\w+|\[\d+\])*")


@dataclass(frozen=True)
class SpanControl:
    """The control of a labelling interface with which spans of a text are marked.

    Attributes:
        name: The `from_name` of a region.
        to_name: The `to_name` of a region.
        key: Where a task's data has the text: keys of objects and indices of lists.
        is_address: Whether the data has the address of the text, and not the text.
        labels: For each label of the model that the control has, what it is in a region.
        missing: The labels of the model that the control lacks.
    """

    name: str
    to_name: str
    key: tuple[str | int, ...]
    is_address: bool = False
    labels: Mapping[str, str] = field(default_factory=dict)
    missing: tuple[str, ...] = ()

    @property
    def missing_in_words(self) -> str:
        """What to add to the interface for the labels that it lacks; "" where it has all."""
        if not self.missing:
            return ""
        lines = " ".join(f"<Label value={quoteattr(label)}/>" for label in self.missing)
        return (
            f"The labelling interface lacks {len(self.missing)} label(s) of the model, which are left out of the "
            f"predictions. To have them, add to <Labels name={quoteattr(self.name)}>: {lines}"
        )

    def text_of(self, task: Any) -> str:
        """Give the text of a task.

        Args:
            task: The task, as Label Studio sends it.

        Raises:
            RefusedError: It has none that can be read. It says why.
        """
        data = task.get("data") if isinstance(task, dict) else None
        if not isinstance(data, dict):
            raise RefusedError("a task must be an object with 'data'")
        value: Any = data
        for step in self.key:
            try:
                value = value[step]
            except (LookupError, TypeError):
                raise RefusedError(
                    f"no text under {self._shown_key!r} (there are: {', '.join(map(str, data)) or 'none'})"
                ) from None
        text: str = with_text({self._shown_key: value}, self._shown_key)[self._shown_key]
        if self.is_address and looks_like_address(text):
            raise RefusedError("it has only the address of its text (valueType is url), and nothing is fetched")
        return text

    @property
    def _shown_key(self) -> str:
        first, *rest = self.key
        return str(first) + "".join(f"[{step}]" if isinstance(step, int) else f".{step}" for step in rest)


def span_control(label_config: str, labels: Iterable[str]) -> SpanControl:
    """Find the control of a labelling interface that is meant: Labels on a Text, with most of the model's labels.

    A label of the interface is meant where it has the model's name, or the same letters and digits. Where it has an
    alias, that is what regions have.

    Args:
        label_config: The labelling interface, as XML.
        labels: The model's labels.

    Raises:
        UserError: The interface can't be read, or has no such control. It says what it has.
    """
    root = _parse(label_config)
    objects = {tag.get("name"): tag for tag in root.iter() if tag.get("name") and tag.get("value") is not None}
    controls = [tag for tag in root.iter() if tag.get("name") and tag.get("toName")]
    found: list[SpanControl] = []
    reasons: list[str] = []
    wanted = list(labels)
    for tag in controls:
        for to_name in (tag.get("toName") or "").split(","):
            shown = objects.get(to_name.strip())
            if tag.tag != "Labels" or shown is None or shown.tag != "Text":
                reasons.append(_why_not(tag, to_name, shown))
                continue
            value = (shown.get("value") or "").strip()
            if not _VALUE.fullmatch(value):
                reasons.append(f"Text {to_name!r} shows {value!r}, and not one value of the task's data, such as $text")
            elif shown.get("encoding", "none") != "none":
                reasons.append(f"Text {to_name!r} is encoded ({shown.get('encoding')})")
            else:
                found.append(_control(tag, to_name.strip(), value, shown, wanted))
    if not found:
        there = "; ".join(dict.fromkeys(each for each in reasons if each)) or "it has no control at all"
        raise UserError(f"The labelling interface has no Labels on a Text: {there}", _HINT)
    best = max(found, key=lambda control: len(control.labels))
    if not best.labels:
        raise UserError(
            f"The labelling interface has none of the model's labels. {best.missing_in_words}",
            _HINT,
        )
    return best


def _parse(label_config: str) -> ET.Element:
    if not isinstance(label_config, str) or not label_config.strip():
        raise UserError("The project has no labelling interface", _HINT)
    # Entities can make a small text very large, or name files.
    if "<!DOCTYPE" in label_config or "<!ENTITY" in label_config:
        raise UserError("The labelling interface has a DOCTYPE, which is not read", _HINT)
    try:
        return ET.fromstring(label_config)
    except (ET.ParseError, ValueError) as error:
        raise UserError(f"The labelling interface can't be read as XML: {reason(error)}", _HINT) from None


def _why_not(control: ET.Element, to_name: str, shown: ET.Element | None) -> str:
    if shown is None:
        return f"{control.tag} {control.get('name')!r} is on {to_name!r}, which it does not have"
    if shown.tag in ("HyperText", "Paragraphs") and control.tag.endswith("Labels"):
        return f"{control.tag} {control.get('name')!r} is on {shown.tag}, for which nothing is predicted: use a Text"
    return f"{control.tag} {control.get('name')!r} on {shown.tag}"


def _control(tag: ET.Element, to_name: str, value: str, shown: ET.Element, wanted: list[str]) -> SpanControl:
    # What a region has, by the value and by the alias.
    there: dict[str, str] = {}
    for label in tag.iter("Label"):
        name = label.get("alias") or label.get("value")
        if name:
            there |= {label.get("value") or name: name, name: name}
    known = {label: there[same] for label in wanted if (same := same_name(label, there)) is not None}
    if (tag.get("value") or "").startswith("$"):
        # Its labels come with each task.
        known = {label: known.get(label, label) for label in wanted}
    steps = re.findall(r"\w+", value)
    key = tuple(int(step) if f"[{step}]" in value and step.isdigit() else step for step in steps)
    missing = tuple(label for label in wanted if label not in known)
    return SpanControl(tag.get("name") or "", to_name, key, shown.get("valueType") == "url", known, missing)
