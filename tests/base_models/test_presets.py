"""The presets, and finding one by what was asked for."""

import json
import re
from pathlib import Path

import pytest

from spacy_domain_ner.base_models.presets import find_preset, read_presets
from spacy_domain_ner.errors import UserError
from spacy_domain_ner.projects.pack import read_pack

REPOSITORY = Path(__file__).parents[2]
NAMES = ["cnn", "minilm", "roberta", "deberta", "biobert", "pubmedbert", "legal-bert", "finbert"]


def test_the_presets_are_complete():
    assert [preset.name for preset in read_presets()] == NAMES
    for preset in read_presets():
        assert preset.parameters is not None
        assert preset.download is not None
        assert 1e-5 <= preset.learn_rate <= 5e-4
        assert 100 <= preset.batch_words <= 2000
        assert preset.tokenizer["use_fast"]
        assert (preset.hub is None) == (preset.name == "cnn")


def test_the_template_asks_for_the_presets_in_the_same_words():
    context = json.loads((REPOSITORY / "cookiecutter.json").read_text(encoding="utf8"))
    purposes = {preset.name: preset.purpose for preset in read_presets()}
    assert context["_base_models"] == purposes
    assert sorted(context["_words"]) == sorted(["none", *(preset.name for preset in read_presets() if preset.words)])
    asked = dict(re.findall(r"^    (\S+) +(.+)$", context["__prompts__"]["base_model"], re.MULTILINE))
    assert {name: text for name, text in asked.items() if name != "or"} == purposes
    assert read_pack(REPOSITORY / "assets" / context["pack"]).base_model == "cnn"


def test_the_projects_own_comment_names_every_preset():
    project = (REPOSITORY / "{{cookiecutter.domain}}/project.yml").read_text(encoding="utf8")
    comment = project[project.index("# What training starts from") : project.index("base_model:")]
    assert set(NAMES) <= set(re.findall(r"[\w-]+", comment))


def test_a_preset_is_found_by_its_name_and_by_its_hub_name():
    assert find_preset("minilm").hub == "sentence-transformers/all-MiniLM-L6-v2"
    assert find_preset("roberta-base").name == "roberta"
    assert find_preset("dmis-lab/biobert-base-cased-v1.2").tokenizer["do_lower_case"] is False


@pytest.mark.parametrize(
    "name", ["acme/encoder", "acme/deberta", "acme/legal-bert", "nlpaueb/legal-bert-small-uncased"]
)
def test_any_other_hub_name_is_taken_also_one_like_a_presets(name):
    preset = find_preset(name)
    assert (preset.name, preset.hub) == (name, name)


def test_a_folder_is_taken_by_its_full_path(tmp_path, monkeypatch):
    (tmp_path / "mine").mkdir()
    monkeypatch.chdir(tmp_path)
    assert find_preset("mine").hub == str(tmp_path / "mine")


@pytest.mark.parametrize(
    ("name", "hint"),
    [
        ("biobart", "Did you mean biobert?"),
        ("Roberta", "Did you mean roberta?"),
        ("legalbert", "Did you mean legal-bert?"),
        ("mini-lm", "Did you mean minilm?"),
        ("xyz", "Choose one of: cnn, minilm"),
        ("", "Choose one of: cnn, minilm"),
        ("no/such/folder", "Choose one of: cnn, minilm"),
        ("./missing", "Choose one of: cnn, minilm"),
        ("/missing", "Choose one of: cnn, minilm"),
        ("owner/", "Choose one of: cnn, minilm"),
    ],
)
def test_what_is_no_base_model_is_refused_with_the_one_that_was_meant(name, hint):
    with pytest.raises(UserError, match=re.escape(repr(name))) as raised:
        find_preset(name)
    assert raised.value.hint.startswith(hint)
