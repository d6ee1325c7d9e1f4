"""Training with transformers' own trainer."""

import json
import re
import shutil
from collections import Counter
from itertools import count
from pathlib import Path

import pytest
import spacy

from spacy_domain_ner.components.huggingface_ner import FACTORY
from spacy_domain_ner.corpus import Passage, Span
from spacy_domain_ner.errors import UserError
from spacy_domain_ner.training import Recipe, huggingface, train

pytest.importorskip("transformers", reason="the transformers extra is not installed")

pytestmark = pytest.mark.slow


@pytest.fixture
def project(trained, tmp_path) -> Path:
    """A copy of a project that a test may change, without its model."""
    made = trained("wordpiece-cased", "huggingface")
    copy = shutil.copytree(made, tmp_path / "project", ignore=shutil.ignore_patterns("model-*"))
    assert not (copy / "training/model-best").exists()
    return copy


def run(project: Path, output: str = "training", **settings) -> Path:
    sets = (project / "train.spacy", project / "dev.spacy")
    train(
        Recipe(project / "training/config.cfg", *sets, **{"max_epochs": 2, "gpu_id": -1, **settings}), project / output
    )
    return project / output / "model-best"


def refused(project: Path, **settings) -> UserError:
    with pytest.raises(UserError) as raised:
        run(project, "new", **settings)
    assert raised.value.hint
    assert not [*(project / "new").rglob("*")]
    return raised.value


def epochs(output: str) -> list[int]:
    return [int(number) for number in re.findall(r"^ +(\d+) +\d+\.\d{4}", output, re.MULTILINE)]


def rewrite(path: Path, change) -> None:
    records = [json.loads(line) for line in path.read_text(encoding="utf8").splitlines()]
    path.write_text("".join(json.dumps(change(record)) + "\n" for record in records), encoding="utf8")


def test_another_gpu_than_the_first_is_chosen_by_what_is_visible(project, monkeypatch):
    monkeypatch.setattr("spacy_domain_ner.training.choose_gpu", lambda wanted, transformer: (int(wanted), "GPU"))
    assert "CUDA_VISIBLE_DEVICES to 1" in refused(project, gpu_id=1).hint


def test_it_stops_when_it_gets_no_better(project, capfd):
    # At a rate of nothing nothing gets better after the first epoch.
    rate = {"huggingface.training.learning_rate": 0.0, "huggingface.training.lr_scheduler_type": "constant"}
    run(project, max_epochs=30, patience_epochs=2, overrides=rate)
    assert epochs(capfd.readouterr().out) == [1, 2, 3]


def test_it_does_not_stop_while_the_learning_rate_falls(project, capfd):
    rate = {"huggingface.training.learning_rate": 0.0, "huggingface.training.lr_scheduler_type": "linear"}
    run(project, max_epochs=4, patience_epochs=1, overrides=rate)
    assert epochs(capfd.readouterr().out) == [1, 2, 3, 4]
    run(project, max_epochs=4, overrides={**rate, "huggingface.training.num_train_epochs": 2})
    assert epochs(capfd.readouterr().out) == [1, 2]


def test_it_ends_at_the_most_epochs_and_leaves_one_model(project, capfd):
    model = run(project, max_epochs=2, gpu_id="auto")
    output = capfd.readouterr().out
    assert epochs(output) == [1, 2]
    assert "Training on" in output
    assert [path.name for path in model.parent.iterdir() if path.name != "config.cfg"] == ["model-best"]
    assert {path.name for path in (model / FACTORY).iterdir()} == {
        "calibration.json", "config.json", "model.safetensors", "special_tokens_map.json", "tokenizer.json",
        "tokenizer_config.json", "vocab.txt",
    }  # fmt: skip


def test_the_same_seed_gives_the_same_model(project):
    one, two, three = (
        (run(project, name, max_epochs=1, seed=seed) / FACTORY / "model.safetensors").read_bytes()
        for name, seed in (("one", 0), ("two", 0), ("three", 1))
    )
    assert one == two != three


def test_the_best_epoch_is_kept_and_not_the_last(trained):
    from transformers import AutoConfig

    project = trained("wordpiece-cased", "huggingface")
    nlp = spacy.load(project / "training/model-best")
    assert nlp.meta["sources"] == [{"name": "wordpiece-cased"}]
    config = AutoConfig.from_pretrained(project / "training/model-best" / FACTORY)
    assert config.id2label[0] == "O"
    labels = nlp.get_pipe(FACTORY).labels
    assert set(config.label2id) == {"O", *(f"{prefix}-{label}" for prefix in "BI" for label in labels)}


@pytest.mark.parametrize(
    ("overrides", "says"),
    [
        ({"huggingface.training.learn_rate": 1}, "learn_rate"),
        ({"huggingface.training.per_device_train_batch_size": "many"}, "Training with"),
        ({"huggingface.training.lr_scheduler_type": "upwards"}, "upwards"),
        ({"huggingface.training.optim": "no_such"}, "no_such"),
        ({"huggingface.training.learning_rate": "fast"}, "Training with"),
        ({"huggingface.name": None}, "huggingface.name"),
        ({"huggingface.name": "acme/no-such-model"}, "acme/no-such-model"),
        ({"huggingface.max_length": "long"}, "huggingface.max_length"),
        ({"huggingface.max_length": 2}, "huggingface.max_length"),
        ({"huggingface.overlap": -1}, "huggingface.overlap"),
        ({"huggingface.tokenizer.use_fast": False}, "fast tokenizer"),
        ({"training.dropout": 0.5}, "training"),
    ],
    ids=str,
)
def test_a_value_that_can_not_be_trained_with_is_named(project, overrides, says):
    assert says in refused(project, overrides=overrides).what


@pytest.mark.parametrize("side", ["train", "dev"])
def test_a_set_without_entities_is_named(project, side):
    rewrite(project / f"{side}.jsonl", lambda record: {**record, "spans": []})
    assert f"{side}.jsonl" in refused(project).what


@pytest.mark.parametrize("side", ["train", "dev"])
def test_a_set_that_is_empty_or_missing_is_named(project, side):
    (project / f"{side}.jsonl").write_text("")
    assert f"{side}.jsonl" in refused(project).what
    (project / f"{side}.jsonl").unlink()
    assert f"{side}.jsonl" in refused(project).what


def test_the_users_own_passages_are_read_more_often_than_those_of_a_pack(project, monkeypatch):
    numbers = count()
    rewrite(project / "train.jsonl", lambda record: {**record, "meta": {"origin": "starter"} if next(numbers) else {}})
    read, tag = [], huggingface.tagged_windows

    def tag_and_count(tokenizer, tags, passages, section):
        read.append(Counter(passage.origin for passage in passages))
        return tag(tokenizer, tags, passages, section)

    monkeypatch.setattr(huggingface, "tagged_windows", tag_and_count)
    run(project, max_epochs=1)
    lines = (project / "train.jsonl").read_text(encoding="utf8").splitlines()
    assert read[0] == {"own": 8, "starter": len(lines) - 1}
    assert read[1].keys() == {"own"}


def test_a_type_that_only_the_early_stopping_set_has_does_no_harm(project):
    label = {"INFRA": "RARE"}
    rewrite(
        project / "dev.jsonl",
        lambda record: {
            **record, "spans": [{**span, "label": label.get(span["label"], span["label"])} for span in record["spans"]],
        },
    )  # fmt: skip
    nlp = spacy.load(run(project, max_epochs=1))
    assert nlp.get_pipe(FACTORY).labels == ("INFRA", "RARE", "SERVICE")


def test_a_base_model_that_was_fine_tuned_for_something_else_gets_a_new_head(project, tiny, trained):
    other = trained("wordpiece-cased", "huggingface") / "training/model-best" / FACTORY
    for side in ("train", "dev"):
        rewrite(
            project / f"{side}.jsonl",
            lambda record: {**record, "spans": [{**span, "label": "NAME"} for span in record["spans"]]},
        )
    nlp = spacy.load(run(project, max_epochs=1, overrides={"huggingface.name": str(other)}))
    assert nlp.get_pipe(FACTORY).labels == ("NAME",)


def test_a_failing_run_leaves_the_earlier_model(project):
    model = run(project, max_epochs=1)
    before = {path: path.read_bytes() for path in model.rglob("*") if path.is_file()}
    with pytest.raises(UserError):
        run(project, overrides={"huggingface.training.optim": "no_such"})
    assert {path: path.read_bytes() for path in model.rglob("*") if path.is_file()} == before


def test_passages_longer_than_a_window_are_trained_on_and_read_whole(project):
    values = {"huggingface.max_length": 32, "huggingface.overlap": 8, "huggingface.training.learning_rate": 0.01}
    nlp = spacy.load(run(project, max_epochs=3, overrides=values))
    assert nlp.get_pipe(FACTORY).cfg["max_length"] == 32
    assert len(nlp("word " * 500)) == 500


def test_it_reads_a_passage_without_what_nobody_sees_as_the_component_does():
    passage = Passage("the pay\u200bments\ufeff api", [Span(4, 13, "A")], unknown=[Span(14, 18, "")])
    seen = huggingface._visible(passage)
    assert (seen.text, seen.surface(seen.spans[0]), seen.surface(seen.unknown[0])) == (
        "the payments api",
        "payments",
        " api",
    )
    plain = Passage("the payments api", [Span(4, 12, "A")])
    assert huggingface._visible(plain) is plain
