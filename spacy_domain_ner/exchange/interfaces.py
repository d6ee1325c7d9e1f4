"""The labelling tools' own configuration from the schema: the same labels, colours, keys and definitions in each."""

import json
import re
import xml.etree.ElementTree as ET
from pathlib import Path

from spacy_domain_ner.errors import UserError
from spacy_domain_ner.exchange.tools import Tool, tool_named
from spacy_domain_ner.files import replacing
from spacy_domain_ner.relation_types import RelationTypes, relation_types_of
from spacy_domain_ner.schema import EntitySchema, read_schema, text_color_on

LONGEST_DOCCANO_LABEL = 100
_QUIET = "font-weight: normal; font-size: 14px; line-height: 20px; margin: 0 0 8px"
_NEXT = {
    Tool.label_studio: "Paste it into the project's Settings, Labeling Interface, Code.",
    Tool.doccano: "Import it with Labels, Actions, Import Labels, into a project that has no labels yet.",
    Tool.prodigy: "PRODIGY_CONFIG={file} prodigy ner.manual DATASET blank:LANGUAGE FILE --label {labels}",
}


def write_interface(
    tool: Tool | str,
    schema: str | Path = "entity_types.yml",
    output: str | Path | None = None,
    *,
    relation_types: str | Path | None = None,
) -> str:
    """Write a labelling tool's own configuration: the labels with their colours, keys and definitions.

    Args:
        tool: `label-studio` (XML for the project's settings), `doccano` (JSON for its import of labels) or `prodigy`
            (a prodigy.json).
        schema: The file of the entity types.
        output: The file to write, None to write none.
        relation_types: The file of the relation types, for Label Studio; None for none.

    Returns:
        The configuration.

    Raises:
        UserError: The schema can't be read, the tool does not take it, or the file can't be written.
    """
    tool, types = tool_named(tool), read_schema(schema)
    if tool is Tool.label_studio:
        text = label_studio_interface(types, relation_types_of(relation_types, types))
    else:
        text = (doccano_interface if tool is Tool.doccano else prodigy_interface)(types)
    if output is not None:
        with replacing(Path(output)) as stream:
            stream.write(text)
    return text


def next_step(tool: Tool | str, file: str | Path, labels: list[str]) -> str:
    """Say how a tool takes its interface.

    Args:
        tool: The tool.
        file: The file with the interface.
        labels: The entity types' names.

    Returns:
        A sentence, or the command to start the tool with.
    """
    return _NEXT[Tool(tool)].format(file=file, labels=",".join(labels))


def label_studio_interface(schema: EntitySchema, relation_types: RelationTypes | None = None) -> str:
    """Make the labelling configuration for Label Studio 1.x: labels with colours, keys and hints, and the definitions
    in a panel that opens below them.

    Args:
        schema: The entity types.
        relation_types: The relation types that people can choose for a relation; None for none.

    Returns:
        XML for the project's settings, Labeling Interface, Code. Annotations come from the control "label" on the
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
    if relation_types is not None:
        relations = ET.SubElement(view, "Relations")
        for one in relation_types.relation_types:
            ET.SubElement(relations, "Relation", value=one.name)
            ET.SubElement(help_text, "Header", value=one.name, size="5")
            said = " ".join(one.definition.split()) or "Not described yet."
            ends = f"From {' or '.join(one.head)} to {' or '.join(one.tail)}. "
            ET.SubElement(help_text, "Header", value=_no_variable(ends + said), size="5", style=_QUIET)
    ET.SubElement(view, "Text", name="text", value="$text")
    ET.SubElement(view, "Collapse").append(panel)
    ET.indent(view)
    return ET.tostring(view, encoding="unicode") + "\n"


def _no_variable(text: str) -> str:
    """Put a word joiner, which nobody sees, after dollar signs: Label Studio puts the task's data in place of $name."""
    return re.sub(r"\$(?=\w|\{)", "$\u2060", text)


def doccano_interface(schema: EntitySchema) -> str:
    """Make the labels for doccano 1.8: Labels, Actions, Import labels, in a project for sequence labelling.

    Args:
        schema: The entity types.

    Returns:
        JSON. Import it into a project that has no labels yet: doccano refuses a label that it already has.

    Raises:
        UserError: A name is longer than doccano takes.
    """
    colors, hotkeys = schema.colors, schema.hotkeys
    for label in schema.labels:
        if len(label) > LONGEST_DOCCANO_LABEL:
            raise UserError(
                f"doccano takes labels of up to {LONGEST_DOCCANO_LABEL} characters, and {label} has {len(label)}",
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
    """Make a prodigy.json: colours, keys, the guide under "?" and a flag for passages that need a decision.

    Args:
        schema: The entity types.
        instructions: The HTML guide, as seen from the folder in which Prodigy is started.

    Returns:
        JSON. Prodigy takes the labels themselves on its command line.
    """
    settings = {
        "custom_theme": {"labels": schema.colors},
        "keymap_by_label": schema.hotkeys,
        "instructions": instructions,
        "show_flag": True,
    }
    return json.dumps(settings, indent=2, ensure_ascii=False) + "\n"
