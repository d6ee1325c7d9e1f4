"""Checks the answers before anything is made, by what spacy_domain_ner/projects/ in the template's folder knows.

The answers come in as JSON data, never as code, so they may have quotes and backslashes. Needs nothing beyond Python.
"""

import json
import os
import shlex
import sys
from pathlib import Path

ANSWERS = json.loads(r"""{{ cookiecutter | tojson }}""")


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
from spacy_domain_ner.projects.answers import QUESTIONS, find_problems, suggest  # noqa: E402
from spacy_domain_ner.projects.pack import pack_names  # noqa: E402

ANSWERS["_packs"] = pack_names(TEMPLATE)
problems = find_problems(ANSWERS)
if problems:
    wrong = {problem.split(":", 1)[0] for problem in problems}
    meant = {question: suggest(question, ANSWERS) if question in wrong else ANSWERS[question] for question in QUESTIONS}
    given = [f"{question}={answer}" for question, answer in meant.items()]
    command = ["cookiecutter", str(ANSWERS.get("_template") or "TEMPLATE"), "--no-input", *given]
    print("\nNo project was made. These answers can't be used:\n", file=sys.stderr)
    for problem in problems:
        print(f"  - {problem}", file=sys.stderr)
    print("\nYour answers are not lost. This command has them, corrected as far as can be told:\n", file=sys.stderr)
    print(f"  {shlex.join(command)}\n", file=sys.stderr)
    sys.exit(1)
