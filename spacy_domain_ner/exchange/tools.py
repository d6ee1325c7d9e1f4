"""The labelling tools that this package writes tasks and interfaces for."""

from enum import Enum


class Tool(str, Enum):
    """A labelling tool."""

    label_studio = "label-studio"
    doccano = "doccano"
    prodigy = "prodigy"
