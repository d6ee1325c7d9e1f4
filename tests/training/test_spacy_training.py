"""Real training with spaCy, of a small model on a few passages."""

import os
import re
import signal
from pathlib import Path

import pytest
import spacy
import srsly

from spacy_domain_ner import files
from spacy_domain_ner.base_models.configs import read_config
from spacy_domain_ner.confidence import read_calibration
from spacy_domain_ner.corpus import Passage, Span
from spacy_domain_ner.corpus.spacy_docs import write_docs
from spacy_domain_ner.errors import UserError
from spacy_domain_ner.evaluation.scores import predict_spans, score
from spacy_domain_ner.models import load_model
from spacy_domain_ner.training import Recipe, _replacing_models, gpu, spacy_training, train
from spacy_domain_ner.training.spacy_training import _keep_last, _larger_batches, steps_per_epoch


@pytest.fixture
def docs(tmp_path, passages) -> Path:
    write_docs(spacy.blank("en"), passages, tmp_path / "train.spacy")
    return tmp_path / "train.spacy"


def contents(folder: Path) -> dict[str, bytes]:
    return {path.relative_to(folder).as_posix(): path.read_bytes() for path in folder.rglob("*") if path.is_file()}


@pytest.mark.slow
def test_the_same_seed_gives_the_same_model(tmp_path, cnn_config, docs):
    for name, seed in (("one", 0), ("two", 0), ("three", 1)):
        train(Recipe(cnn_config, docs, docs, max_epochs=3, seed=seed), tmp_path / name)
    one, two, three = (contents(tmp_path / name) for name in ("one", "two", "three"))
    assert one == two
    assert one["model-last/ner/model"] != three["model-last/ner/model"]


@pytest.mark.slow
def test_a_model_learns_what_it_is_shown(tmp_path, cnn_config, docs, passages):
    train(Recipe(cnn_config, docs, docs, max_epochs=60, patience_epochs=60), tmp_path / "out")
    assert {path.name for path in (tmp_path / "out").iterdir()} == {"model-best", "model-last"}
    nlp = spacy.load(tmp_path / "out/model-best")
    assert score(passages, predict_spans(nlp, passages), []).micro.f1 > 0.5
    calibration = read_calibration(nlp)
    assert set(calibration.thresholds) == {span.label for passage in passages for span in passage.spans}


@pytest.mark.slow
def test_training_stops_when_it_gets_no_better(tmp_path, cnn_config, docs, capsys, monkeypatch):
    monkeypatch.setattr(spacy_training, "LEAST_PATIENCE", 1)
    train(Recipe(cnn_config, docs, docs, max_epochs=200, patience_epochs=2), tmp_path / "out")
    epochs = [int(number) for number in re.findall(r"^Epoch (\d+)\.", capsys.readouterr().out, re.MULTILINE)]
    assert 3 <= len(epochs) < 100
    # Two evaluations an epoch, where its steps are even, and one before the first step.
    assert max(epochs.count(epoch) for epoch in set(epochs)) <= 3


@pytest.mark.parametrize(
    ("times", "scores", "overrides", "kept"),
    [
        (1, (0.7, 0.6), {}, "last"),
        (100, (0.7, 0.6), {}, "best"),
        # Few mentions do not excuse a model that has forgotten all.
        (3, (0.9, 0.0), {}, "best"),
        (1, (0.6, 0.6), {}, "best"),
        (1, (0.7, 0.6), {"training.optimizer.use_averages": False}, "best"),
        (100, (0.7, 0.6), {"training.score_weights": {"ents_f": 0.1, "ents_r": 0.9}}, "last"),
        (1, (0.7, 0.6), {"training.score_weights": {"ents_f": 0.5, "tag_acc": 0.5}}, "best"),
    ],
)
def test_the_last_model_is_kept_unless_another_is_better_by_more_than_chance(
    tmp_path, cnn_config, passages, times, scores, overrides, kept
):
    write_docs(spacy.blank("en"), passages * times, tmp_path / "dev.spacy")
    for name, f1 in zip(("best", "last"), scores, strict=True):
        performance = {"ents_f": f1, "ents_p": f1, "ents_r": 0.5, "tag_acc": f1}
        model = tmp_path / f"model-{name}"
        model.mkdir()
        srsly.write_json(model / "meta.json", {"performance": performance})
        read_config(cnn_config, overrides).to_disk(model / "config.cfg")
        (model / "name").write_text(name)
    said = _keep_last(Recipe(cnn_config, tmp_path / "dev.spacy", tmp_path / "dev.spacy"), tmp_path)
    assert (tmp_path / "model-best/name").read_text() == kept
    assert (tmp_path / "model-last/name").read_text() == "last"
    assert bool(said) == (kept == "last")


def test_a_lucky_score_of_the_first_epoch_is_not_what_is_kept(tmp_path, cnn_config, docs, capsys, monkeypatch):
    real = spacy.language.Language.evaluate
    f1 = [0.9]

    def lucky(*arguments, **settings):
        return {**real(*arguments, **settings), "ents_f": f1.pop() if f1 else 0.85}

    monkeypatch.setattr(spacy.language.Language, "evaluate", lucky)
    train(Recipe(cnn_config, docs, docs, max_epochs=3), tmp_path / "out")
    best, last = (contents(tmp_path / "out" / name) for name in ("model-best", "model-last"))
    assert best["ner/model"] == last["ner/model"]
    assert read_calibration(spacy.load(tmp_path / "out/model-best"))
    said = "Its score is 0.850 and the highest 0.900: with 40 mentions in the dev set, the difference may be chance."
    assert f"The last model is kept. {said}" in capsys.readouterr().out


def earlier(folder: Path) -> dict[str, bytes]:
    for name in ("model-best/meta.json", "model-last/meta.json", "notes.txt"):
        (folder / name).parent.mkdir(parents=True, exist_ok=True)
        (folder / name).write_text(f"earlier {name}")
    return contents(folder)


@pytest.mark.parametrize("error", [KeyboardInterrupt, SystemExit])
def test_an_interrupted_run_leaves_the_earlier_model(tmp_path, cnn_config, docs, monkeypatch, error):
    before = earlier(tmp_path / "out")
    real = spacy.language.Language.evaluate
    calls = []

    def interrupted(*arguments, **settings):
        calls.append(1)
        if len(calls) == 2:
            raise error
        return real(*arguments, **settings)

    monkeypatch.setattr(spacy.language.Language, "evaluate", interrupted)
    with pytest.raises(error):
        train(Recipe(cnn_config, docs, docs), tmp_path / "out")
    assert len(calls) == 2
    assert contents(tmp_path / "out") == before
    assert [path for path in (tmp_path / "out").iterdir() if path.name.startswith(".")] == []


@pytest.mark.parametrize("moment", ["training", "replacing"])
def test_a_killed_run_leaves_a_model_that_loads_and_nothing_that_stays(tmp_path, monkeypatch, moment):
    folder = tmp_path / "out"
    folder.mkdir()
    spacy.blank("en").to_disk(folder / "model-best")
    if moment == "replacing":
        monkeypatch.setattr(files, "_exchange", lambda one, other: False)
    if (child := os.fork()) == 0:
        try:
            train_and_die(folder, moment)
        finally:
            os._exit(1)
    assert os.waitpid(child, 0)[1] == signal.SIGKILL
    assert (folder / "model-best").exists() == (moment == "training")
    assert load_model(folder / "model-best").lang == "en"
    with _replacing_models(folder) as scratch:
        spacy.blank("de").to_disk(scratch / "model-best")
    assert load_model(folder / "model-best").lang == "de"
    assert [path.name for path in folder.iterdir()] == ["model-best"]


def train_and_die(folder: Path, moment: str) -> None:
    real = Path.rename
    if moment == "replacing":
        Path.rename = lambda path, target: die() if path.name == "new" else real(path, target)
    with _replacing_models(folder) as scratch:
        (scratch / "model-best").mkdir()
        if moment == "training":
            die()


def die() -> None:
    os.kill(os.getpid(), signal.SIGKILL)


def test_a_new_model_takes_the_place_of_the_earlier_one_and_of_nothing_else(tmp_path, cnn_config, docs, monkeypatch):
    earlier(tmp_path / "out")
    monkeypatch.chdir(tmp_path / "out")
    train(Recipe(cnn_config, docs, docs, max_epochs=1), Path())
    assert (tmp_path / "out/notes.txt").read_text() == "earlier notes.txt"
    assert spacy.load(tmp_path / "out/model-best").pipe_names[-1] == "ner"
    assert {path.name for path in (tmp_path / "out").iterdir()} == {"model-best", "model-last", "notes.txt"}


@pytest.mark.parametrize(
    ("settings", "expected"),
    [
        ({"max_epochs": 0}, "`max_epochs` is 0"),
        ({"patience_epochs": -1}, "`patience_epochs` is -1"),
        ({"seed": -1}, "The seed -1"),
        ({"overrides": {"foo.bar": 1}}, "foo -> bar"),
        ({"overrides": {"nlp.lang": "qq"}}, "language qq"),
        ({"overrides": {"training.batcher.size": "x"}}, "size"),
        ({"overrides": {"initialize.vectors": "no_such_vectors"}}, "no_such_vectors"),
        ({"overrides": {"training.dropout": 7}}, "dropout|iterator"),
        ({"overrides": {"training.dropout": "much"}}, "a value does not fit"),
        ({"overrides": {"components.ner.model.tok2vec.@architectures": "no.such.v1"}}, "no.such.v1"),
        ({"overrides": {"corpora.train.path": "missing.spacy"}}, "missing.spacy"),
        ({"gpu_id": 999}, "The GPU 999 can't be used"),
    ],
)
def test_a_value_that_can_not_be_trained_with_is_refused_and_the_earlier_model_stays(
    tmp_path, cnn_config, docs, settings, expected
):
    before = earlier(tmp_path / "out")
    with pytest.raises(UserError, match=expected) as raised:
        train(Recipe(cnn_config, docs, docs, **{"max_epochs": 2, **settings}), tmp_path / "out")
    assert raised.value.hint
    assert contents(tmp_path / "out") == before


@pytest.mark.parametrize("side", ["train", "dev"])
@pytest.mark.parametrize(
    ("content", "expected"),
    [
        (None, "No such file"),
        (b"", "not a DocBin"),
        (b"hello", "not a DocBin"),
        ("cut", "not a DocBin"),
        ("none", "has no entities"),
    ],
)
def test_a_set_that_can_not_be_used_is_named(tmp_path, cnn_config, docs, side, content, expected):
    bad = tmp_path / "bad.spacy"
    if content == "none":
        write_docs(spacy.blank("en"), [Passage("No entity here.")], bad)
    elif content is not None:
        bad.write_bytes(docs.read_bytes()[:-20] if content == "cut" else content)
    paths = {"train": docs, "dev": docs, side: bad}
    with pytest.raises(UserError, match=expected) as raised:
        train(Recipe(cnn_config, **paths), tmp_path / "out")
    assert str(bad) in raised.value.what
    assert raised.value.hint
    assert not (tmp_path / "out").exists()


def test_an_output_that_is_a_file_is_refused_and_left_alone(tmp_path, cnn_config, docs):
    (tmp_path / "out").write_text("a file")
    with pytest.raises(UserError, match="Can't write"):
        train(Recipe(cnn_config, docs, docs, max_epochs=1), tmp_path / "out")
    assert (tmp_path / "out").read_text() == "a file"


@pytest.mark.parametrize(("size", "steps"), [(10, 40), (100_000, 1)])
def test_an_epoch_has_as_many_steps_as_the_batcher_makes_batches(cnn_config, docs, size, steps):
    # The config's augmenter gives each of the twenty passages twice.
    batcher = {"@batchers": "spacy.batch_by_words.v1", "size": size, "tolerance": 0.0, "discard_oversize": False}
    text = cnn_config.read_text()
    lines = "".join(f"{key} = {spacy.util.srsly.json_dumps(value)}\n" for key, value in batcher.items())
    cnn_config.write_text(
        re.sub(r"(?s)(\[training\.batcher\]\n).*?(?=\n*\[(?!training\.batcher\.))", rf"\1{lines}", text)
    )
    assert steps_per_epoch(cnn_config, {"paths.train": str(docs)}) == steps


def test_spans_that_miss_tokens_do_not_stop_training(tmp_path, cnn_config):
    write_docs(
        spacy.blank("en"),
        [Passage("Redis is down", [Span(0, 5, "INFRA")]), Passage("Redis-like", [Span(0, 3, "INFRA")])],
        tmp_path / "odd.spacy",
    )
    train(Recipe(cnn_config, tmp_path / "odd.spacy", tmp_path / "odd.spacy", max_epochs=1), tmp_path / "out")
    assert (tmp_path / "out/model-best/meta.json").is_file()


def test_the_gpu_is_left_alone_unless_asked_for(tmp_path, cnn_config, docs, monkeypatch):
    monkeypatch.setattr(gpu, "require_gpu", lambda gpu_id: pytest.fail("asked for a GPU"))
    train(Recipe(cnn_config, docs, docs, max_epochs=1), tmp_path / "out")


def test_a_large_training_set_is_read_fewer_times_unless_the_user_says_how_many(cnn_config, docs, monkeypatch):
    steps = steps_per_epoch(cnn_config, {"paths.train": str(docs), "paths.dev": str(docs)})
    monkeypatch.setattr(spacy_training, "MOST_STEPS", 12 * steps)

    def epochs(recipe: Recipe) -> int:
        return spacy_training._values(recipe, -1)["training.max_epochs"]

    assert epochs(Recipe(cnn_config, docs, docs)) == 12
    assert epochs(Recipe(cnn_config, docs, docs, max_epochs=3)) == 3
    assert epochs(Recipe(cnn_config, docs, docs, overrides={"training.max_epochs": 30})) == 30
    monkeypatch.setattr(spacy_training, "MOST_STEPS", steps)
    assert epochs(Recipe(cnn_config, docs, docs)) == 10


def test_on_a_small_set_training_goes_on_for_a_thousand_steps_without_a_better_score(cnn_config, docs, monkeypatch):
    steps = steps_per_epoch(cnn_config, {"paths.train": str(docs), "paths.dev": str(docs)})
    assert 5 * steps < 1000

    def patience(recipe: Recipe) -> int:
        return spacy_training._values(recipe, -1)["training.patience"]

    assert patience(Recipe(cnn_config, docs, docs)) == 1000
    assert patience(Recipe(cnn_config, docs, docs, overrides={"training.patience": 7})) == 7
    monkeypatch.setattr(spacy_training, "LEAST_PATIENCE", 5 * steps - 1)
    assert patience(Recipe(cnn_config, docs, docs)) == 5 * steps


def test_a_large_training_set_has_more_words_per_step_unless_the_user_says_how_many(cnn_config):
    config = read_config(cnn_config)
    words = config["training"]["batcher"]["size"]
    assert _larger_batches(config, 600) == {}
    assert _larger_batches(config, 900) == {"training.batcher.size": words * 1.5}
    assert _larger_batches(config, 5000) == {"training.batcher.size": words * 2}
    config["training"]["batcher"]["size"] = {"@schedules": "compounding.v1"}
    assert _larger_batches(config, 5000) == {}
