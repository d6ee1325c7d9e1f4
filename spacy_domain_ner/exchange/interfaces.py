"""The labelling tools' own configuration from the schema: the same labels, colours, keys and definitions in each."""

import json
import re
import xml.etree.ElementTree as ET
from enum import Enum

from spacy_domain_ner.errors import UserError
from spacy_domain_ner.schema import EntitySchema, text_color_on

LONGEST_DOCCANO_LABEL = 100


class Tool(str, Enum):
    """A labelling tool."""

    label_studio = "label-studio"
    doccano = "doccano"
    prodigy = "prodigy"


_QUIET = "font-weight: normal; font-size: 14px; line-height: 20px; margin: 0 0 8px"


def label_studio_interface(schema: EntitySchema) -> str:
    """The labelling configuration for Label Studio 1.x: labels with colours, keys and hints, and the definitions folded
    away beneath them.

    RETURNS: XML for the project's settings, Labeling Interface, Code. Annotations come from the control "label" on the
        object "text"; tasks need the key "text".
    """
    colors, hotkeys = schema.colors, schema.hotkeys
    view = ET.Element("View")
    labels = ET.SubElement(view, "Labels", name="label", toName="text")
    panel = ET.Element("Panel", value="What is what")
    help_text = ET.SubElement(panel, "View")
    for entity_type in schema.entity_types:
        name, definition = entity_type.name, " ".join(entity_type.definition.split())
        color = colors[name]
        label = ET.SubElement(labels, "Label", value=name, background=color, selectedColor=text_color_on(color))
        if name in hotkeys:
            label.set("hotkey", hotkeys[name])
        if definition:
            label.set("hint", definition)
        ET.SubElement(help_text, "Header", value=name, size="5")
        ET.SubElement(
            help_text, "Header", value=_no_variable(definition or "Not described yet."), size="5", style=_QUIET
        )
        for line in entity_type.not_entities:
            shown = _no_variable(f"Not {name}: {' '.join(line.split())}")
            ET.SubElement(help_text, "Header", value=shown, size="5", style=_QUIET)
    ET.SubElement(view, "Text", name="text", value="$text")
    ET.SubElement(view, "Collapse").append(panel)
    ET.indent(view)
    return ET.tostring(view, encoding="unicode") + "\n"


def _no_variable(text: str) -> str:
    """Label Studio puts the task's data in place of $name; an unseen word joiner behind the dollar sign keeps it."""
    return re.sub(r"\$(?=\w|\{)", "$\u2060", text)


def doccano_interface(schema: EntitySchema) -> str:
    """The labels for doccano 1.8: Labels, Actions, Import labels, in a project for sequence labelling.

    RETURNS: JSON. Import it into a project that has no labels yet: doccano refuses a label that is there already.
    RAISES: UserError where a name is longer than doccano takes.
    """
    colors, hotkeys = schema.colors, schema.hotkeys
    for label in schema.labels:
        if len(label) > LONGEST_DOCCANO_LABEL:
            raise UserError(
                f"doccano takes no label of more than {LONGEST_DOCCANO_LABEL} characters: {label}",
                "Shorten the type's name in the schema and in the annotations.",
            )
    labels = [
        {
            "text": label,
            "prefixKey": None,
            "suffixKey": hotkeys.get(label),
            "backgroundColor": colors[label],
            "textColor": text_color_on(colors[label]),
        }
        for label in schema.labels
    ]
    return json.dumps(labels, indent=2, ensure_ascii=False) + "\n"


def prodigy_interface(schema: EntitySchema, instructions: str = "guide/guide.html") -> str:
    """A prodigy.json for this schema: colours, keys, the guide under "?" and a flag for passages that need a decision.

    instructions: The HTML guide, as seen from the folder in which Prodigy is started.
    RETURNS: JSON. Prodigy takes the labels themselves on its command line.
    """
    settings = {
        "custom_theme": {"labels": schema.colors},
        "keymap_by_label": schema.hotkeys,
        "instructions": instructions,
        "show_flag": True,
    }
    return json.dumps(settings, indent=2, ensure_ascii=False) + "\n"
