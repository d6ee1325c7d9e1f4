"""Where pip gets the spacy-domain-ner that made a project, for the project's requirements.txt.

Needs nothing beyond Python itself.
"""

import json
import re
from importlib.metadata import distributions
from pathlib import Path
from urllib.parse import unquote, urlsplit

from spacy_domain_ner.files import replacing

_LINE = re.compile(r"^(spacy-domain-ner(?:\[[^\]]*\])?)(>=\S+)$", re.MULTILINE)
_HOSTS = {"gh": "https://github.com", "gl": "https://gitlab.com", "bb": "https://bitbucket.org"}
_ABOUT = "# Made by the package at this place. Once it is on an index, write: {name}{version}\n"


def pin_requirement(project: Path, template: Path, address: str | None = None) -> None:
    """Let a new project's requirements.txt name the package that made it, where that did not come from an index.

    Args:
        project: The project's folder.
        template: The template's folder.
        address: The template's address as cookiecutter got it, None where the installed package made the project.
    """
    place = _place_of_installed() if address is None else _place_of_clone(template, address)
    path = project / "requirements.txt"
    if place is None or not path.is_file():
        return
    text = path.read_text(encoding="utf8")

    def line(found: re.Match[str]) -> str:
        return _ABOUT.format(name=found[1], version=found[2]) + f"{found[1]} @ {place}"

    with replacing(path) as stream:
        stream.write(_LINE.sub(line, text))


def _place_of_installed() -> str | None:
    """The address that pip has noted (PEP 610); None where it took the package from an index."""
    # A clone in which Python was started shows a second, bare record of the package, in which pip has noted nothing.
    records = (found.read_text("direct_url.json") for found in distributions(name="spacy-domain-ner"))
    try:
        origin = json.loads(next(filter(None, records), "{}"))
    except ValueError:
        return None
    url, vcs = origin.get("url"), origin.get("vcs_info")
    if not url:
        return None
    if vcs:
        return f"{vcs['vcs']}+{url}@{vcs.get('requested_revision') or vcs['commit_id']}"
    # A wheel in a folder that is gone can't be named.
    is_gone = url.startswith("file:") and not Path(unquote(urlsplit(url).path)).exists()
    return None if is_gone else url


def _place_of_clone(template: Path, address: str) -> str | None:
    host, colon, path = address.partition(":")
    if colon and host in _HOSTS:
        return f"git+{_HOSTS[host]}/{path.strip('/')}"
    if address.startswith(("http://", "https://")):
        return address if address.endswith(".zip") else f"git+{address}"
    return template.as_uri() if (template / "pyproject.toml").is_file() else None
