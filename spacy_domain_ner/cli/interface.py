"""domain-ner interface"""

from pathlib import Path

import typer

from spacy_domain_ner.cli import _importing as importing
from spacy_domain_ner.cli._app import verb
from spacy_domain_ner.cli._messages import msg
from spacy_domain_ner.exchange.tools import Tool


@verb("interface")
def interface_cli(
    tool: Tool = typer.Argument(..., help="The labelling tool"),
    schema: Path = typer.Option("entity_types.yml", help="The entity types"),
    relation_types: Path = importing.RELATION_TYPES,
    output: Path = typer.Option(None, help="Write it to this file instead of standard output"),
) -> None:
    """Write a labelling tool's own configuration: the labels with their colours, keys and hints."""
    import spacy_domain_ner as ner
    from spacy_domain_ner.exchange.interfaces import next_step

    related = importing.default_relation_types(relation_types)
    text = ner.write_interface(tool, schema, output, relation_types=related)
    if output is None:
        msg.data(text)
    else:
        msg.good(
            f"The interface for {tool.value} is in {output}.", next_step(tool, output, ner.read_schema(schema).labels)
        )
