"""The labelling tools that this package writes tasks and interfaces for."""

from enum import Enum

from spacy_domain_ner.errors import UserError


class Tool(str, Enum):
    """A labelling tool."""

    label_studio = "label-studio"
    doccano = "doccano"
    prodigy = "prodigy"


def tool_named(name: str) -> Tool:
    """The labelling tool of a name.

    Raises:
        UserError: There is no such tool.
    """
    try:
        return Tool(name)
    except ValueError:
        raise UserError(f"`tool` is {name!r}", f"It is one of: {', '.join(tool.value for tool in Tool)}") from None
