"""domain-ner interface"""

from pathlib import Path

import typer

from spacy_domain_ner.cli._app import verb
from spacy_domain_ner.cli._messages import msg
from spacy_domain_ner.exchange.interfaces import Tool, doccano_interface, label_studio_interface, prodigy_interface
from spacy_domain_ner.files import replacing
from spacy_domain_ner.schema import read_schema

NEXT = {
    Tool.label_studio: "Paste it into the project's Settings, Labeling Interface, Code.",
    Tool.doccano: "Import it with Labels, Actions, Import Labels, into a project that has no labels yet.",
    Tool.prodigy: "PRODIGY_CONFIG={output} prodigy ner.manual DATASET blank:LANGUAGE FILE --label {labels}",
}


@verb("interface")
def interface_cli(
    tool: Tool = typer.Argument(..., help="The labelling tool"),
    schema: Path = typer.Option("entity_types.yml", help="The entity types"),
    output: Path = typer.Option(None, help="Write it to this file instead of standard output"),
) -> None:
    """Write a labelling tool's own configuration: the labels with their colours, keys and hints."""
    text = interface(tool, schema)
    if output is None:
        print(text, end="")
        return
    with replacing(output) as stream:
        stream.write(text)
    labels = ",".join(read_schema(schema).labels)
    msg.good(f"The interface for {tool.value} is in {output}.", NEXT[tool].format(output=output, labels=labels))


def interface(tool: Tool | str, schema: Path) -> str:
    """The configuration for a tool: label-studio (XML), doccano (JSON for its label import) or prodigy (prodigy.json).

    RAISES: UserError where the schema can't be read or the tool can't take it.
    """
    entity_schema = read_schema(schema)
    renderers = {
        Tool.label_studio: label_studio_interface,
        Tool.doccano: doccano_interface,
        Tool.prodigy: prodigy_interface,
    }
    return renderers[Tool(tool)](entity_schema)
