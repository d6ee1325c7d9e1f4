"""The labelling tools' configuration: what each tool reads in it, and that no text breaks it."""

import json
import xml.etree.ElementTree as ET
from pathlib import Path

import pytest

from spacy_domain_ner.errors import UserError
from spacy_domain_ner.exchange.interfaces import (
    doccano_interface,
    label_studio_interface,
    prodigy_interface,
    write_interface,
)
from spacy_domain_ner.schema import EntitySchema, read_schema

SOFTWARE = read_schema(Path(__file__).parents[2] / "assets/software/entity_types.yml")
HOSTILE = "A \"quoted\" <b>&amp; 'x'</b> ]]> ${HOME} $text 🚀 for things\nof two lines"


def many(number: int) -> EntitySchema:
    return EntitySchema.model_validate({"entity_types": [{"name": f"T{n}"} for n in range(number)]})


def hostile() -> EntitySchema:
    types = [{"name": "A", "definition": HOSTILE, "not_entities": [HOSTILE]}, {"name": "B"}]
    return EntitySchema.model_validate({"entity_types": types})


def test_label_studio_gets_labels_on_the_text_with_colors_keys_and_hints():
    view = ET.fromstring(label_studio_interface(SOFTWARE))
    assert view.tag == "View"
    assert view.find("Labels").attrib == {"name": "label", "toName": "text"}
    assert view.find("Text").attrib == {"name": "text", "value": "$text"}
    labels = view.findall("Labels/Label")
    assert [label.get("value") for label in labels] == SOFTWARE.labels
    assert [label.get("hotkey") for label in labels] == list("123456")
    assert [label.get("background") for label in labels] == list(SOFTWARE.colors.values())
    assert [label.get("hint") for label in labels] == [t.definition for t in SOFTWARE.entity_types]


def test_label_studio_folds_the_definitions_away():
    view = ET.fromstring(label_studio_interface(SOFTWARE))
    assert "open" not in view.find("Collapse").attrib
    shown = [header.get("value") for header in view.findall("Collapse/Panel/View/Header")]
    for entity_type in SOFTWARE.entity_types:
        assert shown[shown.index(entity_type.name) + 1] == entity_type.definition


def test_hostile_text_reaches_label_studio_as_it_is_and_names_no_variable():
    view = ET.fromstring(label_studio_interface(hostile()))
    assert view.find("Labels/Label").get("hint") == " ".join(HOSTILE.split())
    values = [tag.get("value") for tag in view.iter() if tag.get("value")]
    assert [value for value in values if "$text" in value or "${" in value] == ["$text"]  # the Text tag's own
    assert any("\u2060text 🚀" in value for value in values)
    assert view.findall("Labels/Label")[1].get("hint") is None


def test_doccano_gets_the_keys_and_limits_of_its_import():
    labels = json.loads(doccano_interface(many(35)))
    # doccano 1.8.4, label_types/models.py: a suffix key is one digit or lower-case letter, a colour has 7 characters.
    assert {frozenset(label) for label in labels} == {
        frozenset(("text", "prefixKey", "suffixKey", "backgroundColor", "textColor"))
    }
    keys = [label["suffixKey"] for label in labels]
    given = [key for key in keys if key]
    assert len(given) == len(set(given)) == 30
    assert keys[30:] == [None] * 5
    assert set(given) <= set("0123456789abcdefghijklmnopqrstuvwxyz")
    assert {len(label["backgroundColor"]) for label in labels} == {7}
    assert {label["textColor"] for label in labels} <= {"#000000", "#FFFFFF"}


def test_an_unknown_tool_is_refused_with_those_that_are_known(tmp_path):
    with pytest.raises(UserError) as raised:
        write_interface("paper", tmp_path / "entity_types.yml")
    assert "`tool` is 'paper'" in raised.value.what
    assert "label-studio, doccano, prodigy" in raised.value.hint


def test_doccano_gets_white_text_on_a_dark_color():
    types = [{"name": "DARK", "color": "#332288"}, {"name": "LIGHT", "color": "#EEDD88"}]
    labels = json.loads(doccano_interface(EntitySchema.model_validate({"entity_types": types})))
    assert [label["textColor"] for label in labels] == ["#FFFFFF", "#000000"]


def test_a_name_that_doccano_cuts_off_is_refused():
    with pytest.raises(UserError, match="up to 100 characters"):
        doccano_interface(EntitySchema.model_validate({"entity_types": [{"name": "A" * 101}]}))
    assert doccano_interface(EntitySchema.model_validate({"entity_types": [{"name": "A" * 100}]}))


def test_prodigy_gets_colors_keys_and_the_guide():
    settings = json.loads(prodigy_interface(SOFTWARE, "somewhere/guide.html"))
    assert settings["custom_theme"]["labels"] == SOFTWARE.colors
    assert settings["keymap_by_label"] == dict(zip(SOFTWARE.labels, "123456", strict=True))
    assert settings["instructions"] == "somewhere/guide.html"


def test_no_key_is_one_that_prodigy_or_label_studio_keeps_for_itself():
    assert not set(many(40).hotkeys.values()) & set("axfhu0 ")
