"""The default answers that depend on the pack, for the template's cookiecutter.json (`_extensions` there)."""

import sys
from pathlib import Path

from jinja2 import Environment
from jinja2.ext import Extension

from spacy_domain_ner.errors import UserError
from spacy_domain_ner.projects.pack import Pack, pack_folder, read_pack


class PackDefaults(Extension):
    """Jinja filters: `{{ cookiecutter.pack | pack_entity_types }}`."""

    def __init__(self, environment: Environment) -> None:
        super().__init__(environment)
        environment.filters["pack_entity_types"] = lambda pack: ", ".join(_entity_types(pack))
        environment.filters["pack_base_model"] = lambda pack: getattr(_read(pack), "base_model", "cnn")
        environment.filters["pack_words"] = lambda pack: getattr(_read(pack), "words", "minilm")
        environment.filters["pack_rules"] = lambda pack: ", ".join(getattr(_read(pack), "rules", []))


def _entity_types(pack: str) -> list[str]:
    found = _read(pack)
    return found.entity_types if found else []


def _read(pack: str) -> Pack | None:
    """The pack; None where there is none: whoever checks the answers says so."""
    try:
        return read_pack(pack_folder(_template(), pack))
    except UserError:
        return None


def _template() -> Path:
    """The template that cookiecutter was called with: its folder is then the last one on Python's path."""
    from spacy_domain_ner.projects.scaffold import find_template

    last = Path(sys.path[-1])
    is_template = (last / "cookiecutter.json").is_file() and (last / "spacy_domain_ner/projects/pack.py").is_file()
    return last if is_template else find_template()
