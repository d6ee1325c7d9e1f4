"""The defaults of the command line are those of the library."""

import inspect
from dataclasses import fields

import pytest
import typer

import spacy_domain_ner
from spacy_domain_ner.cli import compare, learning_curve, suspects, train
from spacy_domain_ner.training import Recipe

VERBS = [
    (train.train_cli, "train"),
    (suspects.suspects_cli, "find_suspects"),
    (learning_curve.learning_curve_cli, "measure_learning_curve"),
    (compare.compare_cli, "compare"),
]
# Lists are text with commas on the command line; both forms of a set name the same set.
LISTS = {"seeds", "sizes", "base_models"}


def of_library(name: str) -> dict[str, object]:
    """The defaults of a function, with those of the recipe that it takes."""
    own = inspect.signature(getattr(spacy_domain_ner, name)).parameters
    return {
        **{field.name: getattr(Recipe(), field.name) for field in fields(Recipe)},
        **{parameter.name: parameter.default for parameter in own.values()},
    }


@pytest.mark.parametrize(("verb", "name"), VERBS, ids=lambda value: value if isinstance(value, str) else "")
def test_an_option_has_the_name_and_the_default_of_the_librarys_parameter(verb, name):
    library = of_library(name)
    for parameter in inspect.signature(verb).parameters.values():
        if parameter.annotation is typer.Context:
            continue
        assert parameter.name in library, parameter.name
        default = parameter.default.default
        if default is ...:
            continue
        expected = library[parameter.name]
        if parameter.name in LISTS:
            assert default == ",".join(f"{number:g}" for number in expected)
        elif parameter.name in ("train", "dev"):
            assert default.with_suffix("") == expected.with_suffix("")
        else:
            assert default == expected, parameter.name
