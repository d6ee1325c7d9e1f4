"""Where a project gets the package from that made it."""

import json
from types import SimpleNamespace

import pytest

from spacy_domain_ner.projects.requirement import pin_requirement

LINES = "# What this project needs.\nspacy-domain-ner[transformers]>=0.1.0\n"
URL = "https://example.org/team/ner"


@pytest.fixture
def pinned(tmp_path, monkeypatch):
    """The last line of requirements.txt, by what pip has noted of the installation."""

    def pinned(noted, template=tmp_path, address=None):
        text = None if noted is None else json.dumps(noted)
        monkeypatch.setattr(
            "spacy_domain_ner.projects.requirement.distributions",
            # The first is what a clone has beside its code.
            lambda name: [SimpleNamespace(read_text={"direct_url.json": one}.get) for one in (None, text)],
        )
        path = tmp_path / "requirements.txt"
        path.write_text(LINES)
        pin_requirement(tmp_path, template, address)
        assert path.read_text().startswith("# What this project needs.\n")
        return path.read_text().splitlines()[-1]

    return pinned


def test_a_package_of_an_index_is_named_by_its_version(pinned):
    assert pinned(None) == "spacy-domain-ner[transformers]>=0.1.0"


def test_a_folder_a_wheel_and_a_repository_are_named(pinned, tmp_path):
    wheel = tmp_path / "a wheel.whl"
    wheel.touch()
    assert pinned({"url": wheel.as_uri(), "archive_info": {}}) == (f"spacy-domain-ner[transformers] @ {wheel.as_uri()}")
    assert pinned({"url": tmp_path.as_uri(), "dir_info": {"editable": True}}).endswith(f" @ {tmp_path.as_uri()}")
    vcs = {"vcs": "git", "commit_id": "abc"}
    assert pinned({"url": URL, "vcs_info": vcs}).endswith(f" @ git+{URL}@abc")
    assert pinned({"url": URL, "vcs_info": {**vcs, "requested_revision": "v1"}}).endswith(f" @ git+{URL}@v1")


def test_a_place_that_is_gone_is_not_named(pinned, tmp_path):
    assert pinned({"url": (tmp_path / "gone.whl").as_uri()}) == "spacy-domain-ner[transformers]>=0.1.0"


@pytest.mark.parametrize(
    ("address", "place"),
    [
        ("gh:team/ner", "git+https://github.com/team/ner"),
        (f"{URL}.git", f"git+{URL}.git"),
        (f"{URL}.zip", f"{URL}.zip"),
        ("../ner", None),
    ],
)
def test_a_project_of_plain_cookiecutter_names_the_template_it_came_from(pinned, tmp_path, address, place):
    assert pinned(None, tmp_path, address).partition(" @ ")[2] == (place or "")
    if place is None:
        (tmp_path / "pyproject.toml").touch()
        assert pinned(None, tmp_path, address).endswith(f" @ {tmp_path.as_uri()}")


def test_the_line_can_be_read_by_pip(pinned, tmp_path):
    from packaging.requirements import Requirement

    found = Requirement(pinned({"url": tmp_path.as_uri(), "dir_info": {}}))
    assert (found.name, found.extras, found.url) == ("spacy-domain-ner", {"transformers"}, tmp_path.as_uri())
