"""Puts the template into the wheel, for `domain-ner new` and `domain-ner update`. All else is in pyproject.toml."""

import shutil
from pathlib import Path

from setuptools import setup
from setuptools.command.build_py import build_py

TEMPLATE = ("cookiecutter.json", "hooks", "assets", "{{cookiecutter.domain}}")


class BuildWithTemplate(build_py):
    """Copies the template from the repository's top, where cookiecutter reads it, into the package."""

    def run(self):
        super().run()
        # An editable installation reads the repository itself.
        if self.editable_mode:
            return
        target = Path(self.build_lib, "spacy_domain_ner", "projects", "template")
        shutil.rmtree(target, ignore_errors=True)
        target.mkdir(parents=True)
        for part in map(Path, TEMPLATE):
            if part.is_dir():
                shutil.copytree(part, target / part, ignore=shutil.ignore_patterns("__pycache__"))
            else:
                shutil.copyfile(part, target / part)


setup(cmdclass={"build_py": BuildWithTemplate})
