"""Fine-tuning with spaCy: two rates, frozen embeddings, a schedule, and what the saved model keeps of them."""

import re

import numpy
import pytest
import spacy
from spacy import util
from thinc.api import Config

from spacy_domain_ner.training import Recipe, train
from spacy_domain_ner.training.optimizer import create_two_rates
from spacy_domain_ner.training.spacy_training import (
    _falls,
    _for_any_machine,
    _on_gpu,
    _schedule,
    find_transformers,
    steps_per_epoch,
)


def moved(optimizer, key: tuple[int, str]) -> float:
    """How far one step with the same gradient moves a weight of that name."""
    weights, _ = optimizer(key, numpy.ones((1,), "f"), numpy.full((1,), 0.1, "f"))
    return float(1 - weights[0])


def test_what_is_new_learns_faster_than_what_was_pre_trained():
    optimizer = create_two_rates(0.001, new_layers=5.0, L2=0.0)
    pre_trained = moved(optimizer, (1, "encoder.layer.0.output.dense.weight"))
    assert pre_trained == pytest.approx(0.001, rel=0.01)
    assert moved(optimizer, (2, "W")) == pytest.approx(5 * pre_trained, rel=0.01)


def test_the_rate_may_be_a_schedule():
    optimizer = create_two_rates(iter([0.1, 0.2, 0.3]), new_layers=2.0, L2=0.0)
    first = moved(optimizer, (1, "a.b"))
    optimizer.step_schedules()
    assert moved(optimizer, (2, "a.b")) == pytest.approx(2 * first, rel=0.01)


def test_schedules_are_set_to_the_steps_of_the_run():
    warmup = {"@schedules": "warmup_linear.v1", "initial_rate": 0.1, "warmup_steps": 1, "total_steps": 2}
    config = Config({"training": {"optimizer": {"learn_rate": warmup}}})
    place = "training.optimizer.learn_rate"
    assert _falls(config)
    assert _schedule(600) == {f"{place}.warmup_steps": 60, f"{place}.total_steps": 600}
    assert _schedule(3) == {f"{place}.warmup_steps": 1, f"{place}.total_steps": 3}


@pytest.mark.parametrize(
    "training",
    [{}, {"optimizer": {}}, {"optimizer": {"learn_rate": 0.1}}, {"optimizer": {"learn_rate": {"@schedules": "x"}}}],
)
def test_other_rates_are_left_alone(training):
    assert not _falls(Config({"training": training}))


def test_half_precision_is_for_a_transformer_on_a_gpu_and_goes_into_no_model(tmp_path):
    assert _on_gpu([]) == {}
    assert _on_gpu(["transformer"]) == {
        "components.transformer.model.mixed_precision": True, "system.gpu_allocator": "pytorch",
    }  # fmt: skip
    trained_on_gpu = Config(
        {
            "nlp": {"lang": "en", "pipeline": ["transformer"]},
            "system": {"gpu_allocator": "pytorch", "seed": 3},
            "components": {"transformer": {"factory": "transformer", "model": {"mixed_precision": True, "name": "x"}}},
        }
    )
    trained_on_gpu.to_disk(tmp_path / "config.cfg")
    (tmp_path / "meta.json").write_text('{"performance": {}}')
    _for_any_machine(tmp_path)
    config = Config().from_disk(tmp_path / "config.cfg")
    assert config["system"] == {"gpu_allocator": None, "seed": 3}
    assert config["components"]["transformer"]["model"] == {"mixed_precision": False, "name": "x"}


def test_a_transformer_that_is_not_in_the_pipeline_does_not_count():
    config = {"nlp": {"pipeline": ["ner"]}, "components": {"transformer": {"factory": "transformer"}, "ner": {}}}
    assert find_transformers(Config(config)) == []


@pytest.mark.slow
@pytest.mark.parametrize("kind", ["wordpiece-cased", "sentencepiece"])
def test_embeddings_stay_as_they_were_and_the_rest_has_learned(tiny, trained, kind):
    from transformers import AutoModel

    before = AutoModel.from_pretrained(tiny(kind)).state_dict()
    nlp = spacy.load(trained(kind, "spacy") / "training/model-best")
    after = nlp.get_pipe("transformer").model.transformer.state_dict()
    same = {name for name in before if before[name].equal(after[name])}
    assert "embeddings.word_embeddings.weight" in same
    learned = {name for name in before if ".layer." in name and name.endswith("weight")} - same
    assert len(learned) > 10


@pytest.mark.slow
def test_the_saved_config_says_how_it_was_trained_and_runs_on_any_machine(trained):
    project = trained("wordpiece-cased", "spacy")
    values = {"paths.train": str(project / "train.spacy"), "training.batcher.size": 50}
    steps = steps_per_epoch(project / "training/config.cfg", values)
    assert steps > 1
    config = util.load_config(project / "training/model-best/config.cfg")
    rate = config["training"]["optimizer"]["learn_rate"]
    assert (rate["total_steps"], rate["warmup_steps"]) == (12 * steps, 12 * steps // 10)
    assert config["training"]["eval_frequency"] == steps - 1
    assert config["training"]["patience"] == 12 * steps
    assert config["components"]["transformer"]["model"]["mixed_precision"] is False
    assert config["components"]["transformer"]["model"]["grad_scaler_config"] == {}
    assert config["system"]["gpu_allocator"] is None


@pytest.mark.slow
def test_a_real_step_moves_both_sides_by_their_rates(tiny, trained, tmp_path):
    """Two runs of one epoch from the same seed, the rate of what is new ten times higher in the second."""
    from transformers import AutoModel

    project = trained("wordpiece-cased", "spacy")
    before = AutoModel.from_pretrained(tiny("wordpiece-cased")).state_dict()
    distances = []
    for new_layers in (1.0, 10.0):
        output = tmp_path / str(new_layers)
        values = {
            "training.optimizer.new_layers": new_layers,
            "training.optimizer.use_averages": False,
            "training.optimizer.L2": 0.0,
            # One step, and Adam's first is as long as the rate, whatever the gradient.
            "training.optimizer.learn_rate.initial_rate": 0.0001,
            "training.optimizer.learn_rate.warmup_steps": 0,
            "training.batcher.size": 100_000,
        }
        sets = (project / "train.spacy", project / "train.spacy")
        train(Recipe(project / "training/config.cfg", *sets, max_epochs=1, gpu_id=-1, overrides=values), output)
        nlp = spacy.load(output / "model-last")
        after = nlp.get_pipe("transformer").model.transformer.state_dict()
        name = "encoder.layer.0.attention.self.query.weight"
        pre_trained = float((after[name] - before[name]).abs().median())
        nodes = nlp.get_pipe("ner").model.walk()
        # Biases begin at nothing.
        bias = next(node.get_param("b") for node in nodes if node.name == "linear" and node.has_param("b"))
        distances.append((pre_trained, float(numpy.median(numpy.abs(bias)))))
    (slow, new_slow), (slow_again, new_fast) = distances
    assert slow == pytest.approx(0.0001, rel=0.05)
    assert slow_again == pytest.approx(slow, rel=0.05)
    assert new_fast == pytest.approx(10 * new_slow, rel=0.05)


@pytest.mark.slow
def test_a_transformer_is_trained_on_the_cpu_until_its_rate_has_fallen(tiny, trained, tmp_path, capfd):
    torch = pytest.importorskip("torch")
    if torch.cuda.is_available():
        pytest.skip("this machine has a GPU")
    project = trained("wordpiece-cased", "spacy")
    sets = (project / "train.spacy", project / "dev.spacy")
    # At a rate of nothing nothing gets better.
    rate = {"training.optimizer.learn_rate.initial_rate": 0.0}
    train(Recipe(project / "training/config.cfg", *sets, max_epochs=4, patience_epochs=1, overrides=rate), tmp_path)
    output = capfd.readouterr().out
    assert "Training on the CPU: no GPU was found" in output
    assert 3 < max(epochs(output)) <= 4
    fewer = {**rate, "training.max_epochs": 2}
    train(Recipe(project / "training/config.cfg", *sets, max_epochs=4, patience_epochs=1, overrides=fewer), tmp_path)
    assert 1 < max(epochs(capfd.readouterr().out)) <= 2


@pytest.mark.slow
def test_at_a_constant_rate_a_transformer_stops_when_it_gets_no_better(trained, tmp_path, capfd):
    project = trained("wordpiece-cased", "spacy")
    config = util.load_config(project / "training/config.cfg", interpolate=False)
    config["training"]["optimizer"]["learn_rate"] = 0.0
    config.to_disk(tmp_path / "config.cfg")
    sets = (project / "train.spacy", project / "dev.spacy")
    train(Recipe(tmp_path / "config.cfg", *sets, max_epochs=30, patience_epochs=2), tmp_path)
    assert max(epochs(capfd.readouterr().out)) <= 4


def epochs(output: str) -> list[float]:
    return [float(number) for number in re.findall(r"^Epoch ([\d.]+) of ", output, re.MULTILINE)]


@pytest.mark.slow
def test_the_same_seed_gives_the_same_transformer(trained, tmp_path):
    project = trained("wordpiece-cased", "spacy")
    sets = (project / "train.spacy", project / "dev.spacy")
    models = []
    for name, seed in (("one", 0), ("two", 0), ("three", 1)):
        train(Recipe(project / "training/config.cfg", *sets, max_epochs=3, seed=seed, gpu_id=-1), tmp_path / name)
        nlp = spacy.load(tmp_path / name / "model-last")
        weights = nlp.get_pipe("transformer").model.transformer.state_dict()
        models.append({key: value.numpy().tobytes() for key, value in weights.items()})
    assert models[0] == models[1] != models[2]
