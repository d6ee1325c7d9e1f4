"""What a recipe says, and by what two trainings are known to be the same."""

from dataclasses import replace
from pathlib import Path

import pytest

from spacy_domain_ner.errors import UserError
from spacy_domain_ner.training import Recipe


@pytest.mark.parametrize("name", ["corpus/train.jsonl", "corpus/train.spacy"])
def test_a_set_is_named_by_either_of_its_files(name):
    recipe = Recipe("config.cfg", name, "corpus/dev.spacy")
    assert recipe.sets(".jsonl") == (Path("corpus/train.jsonl"), Path("corpus/dev.jsonl"))
    assert recipe.sets(".spacy") == (Path("corpus/train.spacy"), Path("corpus/dev.spacy"))


def test_a_set_with_another_ending_is_taken_as_it_is():
    assert Recipe(train="a.docbin").sets(".spacy")[0] == Path("a.docbin")


@pytest.mark.parametrize(
    ("values", "what"),
    [({"max_epochs": 0}, "`max_epochs` is 0"), ({"patience_epochs": 0}, "`patience_epochs` is 0"),
     ({"seed": -1}, "The seed -1"), ({"seed": 2**32}, "The seed 4294967296")],
)  # fmt: skip
def test_a_number_out_of_range_is_refused_at_once(values, what):
    with pytest.raises(UserError, match=what) as raised:
        Recipe(**values)
    assert raised.value.hint


def test_what_changes_the_model_changes_the_inputs_and_nothing_else_does(tmp_path):
    (tmp_path / "config.cfg").write_text("[nlp]\n")
    recipe = Recipe(tmp_path / "config.cfg")
    before = recipe.inputs(train="a", dev="b")
    for changed in ({"seed": 1}, {"max_epochs": 2}, {"patience_epochs": 2}, {"overrides": {"training.dropout": 0.3}}):
        assert replace(recipe, **changed).inputs(train="a", dev="b") != before, changed
    assert recipe.inputs(train="c", dev="b") != before
    assert replace(recipe, gpu_id=-1, train="elsewhere.jsonl").inputs(train="a", dev="b") == before
    (tmp_path / "config.cfg").write_text("[nlp]\nlang = 'en'\n")
    assert recipe.inputs(train="a", dev="b") != before


def test_runs_that_were_kept_before_there_were_recipes_have_the_same_inputs(tmp_path):
    (tmp_path / "config.cfg").write_text("[nlp]\n")
    assert Recipe(tmp_path / "config.cfg").inputs(train="a", dev="b", eval="c") == {
        "config": "51ea7f41aac26c6e910b06d651118e99", "train": "a", "dev": "b", "eval": "c", "seed": 0,
        "max_epochs": 30, "patience": 5,
    }  # fmt: skip
