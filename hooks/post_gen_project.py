"""Puts the pack's parts and the record into the new project, by what spacy_domain_ner/projects/ knows of them.

The answers come in as JSON data, never as code, so they may have quotes and backslashes. Needs nothing beyond Python.
"""

import json
import os
import sys
from pathlib import Path

ANSWERS = json.loads(r"""{{ cookiecutter | tojson }}""")
PROJECT = Path.cwd()


def find_template():
    """Find the template's folder; the same function is in both hooks, since a hook can't import before it.

    cookiecutter gives the folder as it was typed: relative to a folder that a hook is not told. While a hook runs,
    cookiecutter itself is in the template's folder, and Linux tells which that is. On other systems the folders that
    cookiecutter can have been started from are tried.
    """
    typed, output = Path(ANSWERS["_repo_dir"]), Path(ANSWERS["_output_dir"])
    started_from = [Path(os.environ.get("PWD", output)), output, *output.parents]
    for template in [Path(f"/proc/{os.getppid()}/cwd"), *(folder / typed for folder in started_from)]:
        if all((template / part).exists() for part in ("cookiecutter.json", "assets", "spacy_domain_ner/projects")):
            return template.resolve()
    sys.exit(f"\nThe template at {typed} is not whole. Get the whole repository, and give its folder's full path.\n")


TEMPLATE = find_template()
sys.path.insert(0, str(TEMPLATE))
from spacy_domain_ner.projects.packs import add_pack, next_steps  # noqa: E402
from spacy_domain_ner.projects.record import make_record  # noqa: E402
from spacy_domain_ner.projects.requirement import pin_requirement  # noqa: E402
from spacy_domain_ner.version import __version__  # noqa: E402

add_pack(PROJECT, TEMPLATE, ANSWERS)
pin_requirement(PROJECT, TEMPLATE, str(ANSWERS.get("_template") or ""))
make_record(PROJECT, TEMPLATE, ANSWERS, __version__).write(PROJECT)
os.chdir(PROJECT.parent)
print(f"\n{next_steps(Path(PROJECT.name), TEMPLATE)}\n")
