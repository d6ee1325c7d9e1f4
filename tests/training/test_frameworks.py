"""A further framework is one class and one line in the table: everything that asks for frameworks then knows it."""

import shutil
from pathlib import Path

import pytest
import spacy

from spacy_domain_ner.base_models.configs import fill_in, read_config
from spacy_domain_ner.corpus import write_passages
from spacy_domain_ner.corpus.spacy_docs import load_tokenizing_pipeline
from spacy_domain_ner.errors import UserError
from spacy_domain_ner.experiments.learning_curve import measure_learning_curve
from spacy_domain_ner.experiments.suspects import find_suspects
from spacy_domain_ner.reports.comparison import compare
from spacy_domain_ner.training import Recipe, train
from spacy_domain_ner.training.configure import configure
from spacy_domain_ner.training.frameworks import FRAMEWORKS, find_framework, hub_models
from spacy_domain_ner.training.recipe import read_set

CONFIG = '[nlp]\nlang = "en"\npipeline = []\n\n[gazetteer]\nname = null\n'


class Gazetteer:
    """Learns the names in the training set by heart."""

    name = "gazetteer"
    config_file = "gazetteer.cfg"
    reads = ".jsonl"

    def applies(self, config):
        return "gazetteer" in config

    def trains_transformer(self, config):
        return False

    def fill(self, config, preset):
        fill_in(config, {"gazetteer.name": preset.hub})

    def train(self, recipe, folder, gpu):
        nlp = load_tokenizing_pipeline(recipe.config)
        passages = read_set(recipe.sets(".jsonl")[0])
        names = {(passage.surface(span), span.label) for passage in passages for span in passage.spans}
        patterns = [{"label": label, "pattern": name} for name, label in sorted(names)]
        nlp.add_pipe("entity_ruler").add_patterns(patterns)
        nlp.to_disk(folder / "model-best")

    def hub_model(self, model):
        return model / "entity_ruler"


@pytest.fixture
def project(tmp_path, passages, monkeypatch) -> Path:
    """A project of the further framework: the present folder. It has no .spacy file, and needs none."""
    monkeypatch.setitem(FRAMEWORKS, "gazetteer", Gazetteer())
    monkeypatch.chdir(tmp_path)
    for name in ("train", "dev", "eval"):
        write_passages(tmp_path / f"corpus/{name}.jsonl", passages)
    for path in ("configs/gazetteer.cfg", "configs/names.cfg", "training/config.cfg"):
        Path(path).parent.mkdir(exist_ok=True)
        Path(path).write_text(CONFIG, encoding="utf8")
    return tmp_path


def quiet(line: str) -> None:
    pass


def test_a_config_is_trained_by_the_framework_that_it_is_for(project, passages):
    train(Recipe(), "training")
    nlp = spacy.load("training/model-best")
    assert {(ent.text, ent.label_) for ent in nlp(passages[0].text).ents} == {
        (passages[0].surface(span), span.label) for span in passages[0].spans
    }
    assert find_framework(read_config(Path("training/config.cfg"))).name == "gazetteer"
    assert hub_models(Path("training/model-best")) == [Path("training/model-best/entity_ruler")]


def test_a_base_model_is_configured_for_it_by_name(project, tiny):
    preset = configure(str(tiny("wordpiece-cased")), framework="gazetteer")
    assert read_config(project / "training/config.cfg")["gazetteer"]["name"] == preset.hub
    # What it fills in is its own config, and not a base model.
    with pytest.raises(UserError, match="neither a preset"):
        configure("gazetteer")


def test_it_is_compared_with_others(project, tiny, template_configs):
    shutil.copytree(tiny("wordpiece-cased"), "tiny")
    result = compare(["names", "tiny@gazetteer"], Recipe(gpu_id=-1), seeds=[0], say=quiet)
    assert [model.name for model in result.models] == ["names", "tiny@gazetteer"]
    assert [model.micro.f1.value for model in result.models] == [1, 1]


def test_it_is_trained_many_times(project):
    curve = measure_learning_curve(sizes=(0.5, 0.75, 1), say=quiet)
    assert curve.points[-1].micro == 1
    # A name that a fold's training set lacks is missed, whatever it is: that weighs nothing.
    assert all(suspect.confidence == 0 for suspect in find_suspects(folds=3, say=quiet))


def test_an_unknown_framework_is_refused_with_all_that_are_known(project, domain_ner):
    done = domain_ner("configure", "cnn", "--framework", "flair")
    assert done.code == 1
    assert "--framework is 'flair'" in done.err
    assert "spacy, huggingface, gazetteer" in done.err
