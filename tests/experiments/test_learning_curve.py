"""Learning curves with real trainings of the CPU config, as small as they get, and the parts that these are made of."""

import json
import re
from collections import Counter
from collections.abc import Callable
from functools import partial
from itertools import pairwise
from pathlib import Path

import pytest
import srsly

from spacy_domain_ner.cli.learning_curve import read_sizes
from spacy_domain_ner.corpus import Passage, Span, read_passages, write_passages
from spacy_domain_ner.errors import UserError
from spacy_domain_ner.experiments.learning_curve import (
    FEWEST_PASSAGES,
    _large_enough,
    draw_parts,
    is_curve_of,
    measure_learning_curve,
    read_learning_curve,
)
from spacy_domain_ner.training import Recipe, train
from spacy_domain_ner.training.configure import configure

SIZES = "0.5,0.75,1"
CURVE = Path("metrics/learning_curve.json")


def lay_out(folder: Path, configs: Path, passages) -> None:
    """What `learning-curve` reads, where it looks for it, with a small network."""
    text = (configs / "cnn.cfg").read_text(encoding="utf8")
    (folder / "flat.cfg").write_text(text.replace("depth = 4", "depth = 1"), encoding="utf8")
    for name in ("train", "dev", "eval"):
        write_passages(folder / f"corpus/{name}.jsonl", passages)


@pytest.fixture
def project(tmp_path, template_configs, passages, monkeypatch) -> Path:
    """A project that is ready to measure: the present folder."""
    lay_out(tmp_path, template_configs, passages)
    monkeypatch.chdir(tmp_path)
    return tmp_path


@pytest.fixture
def verb(domain_ner) -> Callable:
    """`domain-ner learning-curve ...` in this process."""
    return partial(domain_ner, "learning-curve")


def runs(project: Path) -> dict[str, int]:
    """The files of the runs with their times."""
    return {path.name: path.stat().st_mtime_ns for path in (project / "metrics/learning_curve_runs/runs").iterdir()}


def grouped(*sizes: int) -> list[Passage]:
    """Groups of these sizes, in which every passage has a mention."""
    return [
        Passage(f"name {group} {number}", [Span(0, 4, "A")], {"source": f"page-{group}"})
        for group, size in enumerate(sizes)
        for number in range(size)
    ]


def texts(part: list[Passage]) -> set[str]:
    return {passage.text for passage in part}


@pytest.fixture(scope="module")
def measured(tmp_path_factory, template_configs, make_passages) -> tuple[Path, list[str]]:
    """A project whose curve was measured, and what was said meanwhile."""
    folder = tmp_path_factory.mktemp("measured")
    lay_out(folder, template_configs, make_passages())
    said: list[str] = []
    measure_learning_curve(
        Recipe(folder / "flat.cfg", folder / "corpus/train.jsonl", folder / "corpus/dev.jsonl", max_epochs=2),
        eval=folder / "corpus/eval.jsonl",
        output=folder / CURVE,
        sizes=(0.5, 0.75, 1),
        say=said.append,
    )
    return folder, said


@pytest.mark.slow
def test_a_measured_curve_leaves_its_file_and_a_file_per_run(measured):
    folder, said = measured
    for start in ("Run 1 of 3: 10 of 20 passages: F1 ", "Run 3 of 3: 20 of 20 passages: F1 "):
        assert any(line.startswith(start) for line in said)
    names = [re.sub(r"-[0-9a-f]{8}(?=\.json)", "-HASH", name) for name in runs(folder)]
    assert sorted(names) == ["10-HASH.json", "14-HASH.json", "20-HASH.json"]
    # No model is left, and no set.
    left = {path.name for path in (folder / "metrics").rglob("*") if path.is_dir()}
    assert left == {"learning_curve_runs", "runs"}


@pytest.mark.slow
def test_the_file_holds_the_counts_and_what_follows_from_them(measured, passages):
    folder, _ = measured
    figures = json.loads((folder / CURVE).read_text(encoding="utf8"))
    assert figures["format_version"] == 1
    assert figures["settings"]["sizes"] == [0.5, 0.75, 1.0]
    assert [part["passages"] for part in figures["measured"]] == [10, 14, 20]
    for part in figures["measured"]:
        # Every passage has a mention of each type.
        assert part["mentions"] == {"SERVICE": part["passages"], "INFRA": part["passages"]}
        for counts in part["counts"].values():
            assert len(counts) == 20
            assert sum(found + missed for found, _, missed in counts) == 20
    curve = read_learning_curve(folder / CURVE)
    assert curve.to_dict() == {name: figures[name] for name in ("points", "forecasts")}
    assert [point.passages for point in curve.points] == [10, 14, 20]
    assert is_curve_of(folder / CURVE, passages)
    assert not is_curve_of(folder / CURVE, passages[:-1])


@pytest.mark.slow
def test_a_second_time_nothing_is_trained(measured, verb, monkeypatch):
    folder, _ = measured
    monkeypatch.chdir(folder)
    before, figures = runs(folder), json.loads(CURVE.read_text(encoding="utf8"))
    again = verb("flat.cfg", "--sizes", "1, 0.75, 0.5", "--max-epochs", 2)
    assert again.code == 0, again
    assert again.out.count("measured before") == 3
    assert "Training" not in again.out
    assert runs(folder) == before
    after = json.loads(CURVE.read_text(encoding="utf8"))
    assert after["measured"] == figures["measured"]
    curve = read_learning_curve(CURVE)
    for label in ("SERVICE", "INFRA"):
        said = curve.forecasts[label].text if label in curve.forecasts else f"{label}: no forecast"
        assert said in again.out


@pytest.mark.slow
def test_an_interrupted_curve_continues_where_it_was(project, verb, monkeypatch):
    trained = []

    def interrupted(recipe, folder):
        trained.append(len(read_passages(recipe.train).passages))
        if len(trained) == 2:
            raise KeyboardInterrupt
        train(recipe, folder)

    monkeypatch.setattr("spacy_domain_ner.experiments.runs.train", interrupted)
    assert verb("flat.cfg", "--sizes", SIZES, "--max-epochs", 1).code == 130
    assert not CURVE.exists()
    assert [path.name for path in (project / "metrics/learning_curve_runs").iterdir()] == ["runs"]
    before = runs(project)
    assert verb("flat.cfg", "--sizes", SIZES, "--max-epochs", 1).code == 0
    assert trained == [10, 14, 14, 20]
    assert before.items() < runs(project).items()
    assert CURVE.exists()


@pytest.mark.slow
def test_only_the_runs_whose_inputs_have_changed_are_repeated(project, passages, monkeypatch):
    trained = []

    def counted(recipe, folder):
        trained.append(len(read_passages(recipe.train).passages))
        train(recipe, folder)

    monkeypatch.setattr("spacy_domain_ner.experiments.runs.train", counted)

    def trains(sizes=(0.5, 0.75, 1.0), gate=0.85, **changed) -> list[int]:
        trained.clear()
        recipe = Recipe("flat.cfg", max_epochs=1, **changed)
        measure_learning_curve(recipe, sizes=sizes, gate=gate, say=lambda line: None)
        return list(trained)

    assert trains() == [10, 14, 20]
    assert trains(gate=0.5, gpu_id=-1) == []
    assert trains(sizes=(0.5, 0.6, 0.75, 1.0)) == [12]
    # What a model does not see.
    write_passages(
        project / "corpus/train.jsonl",
        [Passage(passage.text, passage.spans, {**passage.meta, "by": "ann"}) for passage in passages],
    )
    assert trains() == []
    # The smallest part is the same with one passage more.
    write_passages(project / "corpus/train.jsonl", [*passages, *grouped(1)])
    assert trains() == [16, 21]
    [spoilt] = (project / "metrics/learning_curve_runs/runs").glob("21-*.json")
    spoilt.write_text(spoilt.read_text(encoding="utf8")[:-50], encoding="utf8")
    assert trains() == [21]


@pytest.mark.slow
def test_a_config_of_transformers_own_trainer_is_measured_as_well(project, tiny, template_configs):
    configure(str(tiny("wordpiece-uncased")), template_configs, Path("config.cfg"), framework="huggingface")
    recipe = Recipe("config.cfg", max_epochs=1, gpu_id=-1)
    curve = measure_learning_curve(recipe, sizes=(0.5, 0.75, 1.0), say=lambda line: None)
    assert [point.passages for point in curve.points] == [10, 14, 20]
    for path in (project / "metrics/learning_curve_runs/runs").iterdir():
        assert srsly.read_json(path)["environment"]["transformers"]


def test_a_part_of_too_few_passages_is_left_out_where_the_others_make_a_curve():
    said: list[str] = []
    assert _large_enough([0.125, 0.25, 0.5, 1], 63, said.append) == [0.25, 0.5, 1]
    assert said == ["Left out: 0.125 of 63 training passages, which is fewer than 10 passages"]
    assert _large_enough([0.125, 0.25, 0.5, 1], 80, said.append) == [0.125, 0.25, 0.5, 1]
    assert _large_enough([0.125, 0.5, 1], 63, said.append) == [0.125, 0.5, 1]
    assert len(said) == 1


@pytest.mark.parametrize(
    ("arguments", "expected"),
    [
        pytest.param(["--sizes", "0,0.5,1"], "The size 0 is not between 0 and 1", id="nothing"),
        pytest.param(["--sizes", "0.5,1,2"], "The size 2 is not between 0 and 1", id="more than all"),
        pytest.param(["--sizes=-0.5,0.5,1"], "The size -0.5 is not", id="less than nothing"),
        pytest.param(["--sizes", "nan,0.5,1"], "The size nan is not", id="not a number"),
        pytest.param(["--sizes", "half,0.5,1"], "'half,0.5,1'", id="words"),
        pytest.param(["--sizes", "0.5,,1"], "'0.5,,1'", id="a comma too many"),
        pytest.param(["--sizes", ""], "0 size(s) don't make a curve", id="no sizes"),
        pytest.param(["--sizes", "0.5,1"], "2 size(s) don't make a curve", id="two sizes"),
        pytest.param(["--sizes", "0.5,0.5,1"], "0.5 is given twice", id="a size twice"),
        pytest.param(["--sizes", "0.5,0.6,0.75"], "The largest size is 0.75", id="without the whole"),
        pytest.param(["--sizes", "0.5,0.51,1"], "0.5 and 0.51 are the same part", id="sizes too near"),
        pytest.param(["--sizes", "0.125,0.5,1"], "A part of 0.125 is 2 of 20 training passages", id="too few passages"),
        pytest.param(["--train", "late.jsonl"], "has no annotated mention", id="no mention in the smallest part"),
        pytest.param(["--train", "missing.jsonl"], "weasel run split", id="no training set"),
        pytest.param(["--dev", "missing.jsonl"], "weasel run split", id="no early-stopping set"),
        pytest.param(["--eval", "missing.jsonl"], "weasel run split", id="no evaluation set"),
        pytest.param(["--dev", "empty.jsonl"], "empty.jsonl has no entities", id="an empty early-stopping set"),
        pytest.param(["--eval", "empty.jsonl"], "no annotated mention", id="an empty evaluation set"),
        pytest.param(["--seed=-1"], "The seed -1", id="a negative seed"),
        pytest.param(["--max-epochs", "0"], "--max-epochs is 0", id="no epochs"),
        pytest.param(["--gpu-id", "gpu"], "--gpu-id is 'gpu'", id="not a GPU's number"),
        pytest.param(["--gate", "85"], "--gate is 85", id="a gate in per cent"),
    ],
)
def test_what_can_not_be_measured_is_refused_before_any_training(project, verb, monkeypatch, arguments, expected):
    (project / "empty.jsonl").write_text("")
    late = [Passage(f"Nothing here {number}") for number in range(19)]
    write_passages(project / "late.jsonl", [*late, _drawn_late(late)])
    monkeypatch.setattr(
        "spacy_domain_ner.training.spacy_training.spacy_train", lambda *_, **__: pytest.fail("it trains")
    )
    done = verb("flat.cfg", "--sizes", SIZES, *arguments)
    assert done.code == 1, done
    assert expected in done.err
    assert done.err.count("\n") >= 2, "no hint"
    assert "Traceback" not in done.out + done.err
    assert not list(project.glob("metrics/**/*.*"))


def _drawn_late(passages: list[Passage]) -> Passage:
    """A passage with a mention that is drawn after half of the others."""
    for number in range(100):
        one = Passage(f"name {number}", [Span(0, 4, "A")])
        if one.text not in texts(draw_parts([*map(_annotated, passages), one], (0.5, 0.75, 1.0))[0]):
            return one
    raise AssertionError


def _annotated(passage: Passage) -> Passage:
    return Passage(passage.text, [Span(0, 1, "A")])


@pytest.mark.parametrize("config", ["missing.cfg", "broken.cfg", "."])
def test_a_config_that_is_no_good_is_named(project, verb, config):
    (project / "broken.cfg").write_text("[nlp]\n")
    done = verb(config, "--sizes", SIZES)
    assert done.code == 1
    assert config in done.err


@pytest.mark.parametrize(
    "sizes", [(1,) * 80, (8,) * 10, (2, 3, 5) * 8, (40, 40), (80,), (50, *(1,) * 30), (79, 1)], ids=str
)
@pytest.mark.parametrize("seed", [0, 1])
def test_each_part_is_contained_in_the_next_and_about_as_large_as_asked(sizes, seed):
    passages = grouped(*sizes)
    parts = draw_parts(passages, (1.0, 0.125, 0.5, 0.25), seed)
    assert parts[-1] == passages
    for small, large in pairwise(parts):
        assert texts(small) < texts(large)
    for part, wanted, between in zip(parts, (10, 20, 40), ((5, 15), (15, 30), (30, 60)), strict=False):
        assert between[0] < len(part) < between[1], wanted
    assert len(parts[0]) >= FEWEST_PASSAGES
    assert draw_parts(passages, (0.125, 0.25, 0.5, 1.0), seed) == parts


def test_groups_are_in_or_out_as_a_whole():
    passages = grouped(*(2, 3, 5) * 8)
    whole = Counter(passage.meta["source"] for passage in passages)
    for part in draw_parts(passages, (0.125, 0.25, 0.5, 1.0)):
        assert all(whole[group] == count for group, count in Counter(p.meta["source"] for p in part).items())


def test_only_a_group_that_is_too_large_for_a_part_is_cut():
    parts = draw_parts(grouped(40, 40), (0.125, 0.5, 1.0))
    counts = [Counter(passage.meta["source"] for passage in part) for part in parts]
    assert [sorted(count.values()) for count in counts] == [[10], [40], [40, 40]]


def test_the_seed_and_nothing_else_decides_what_is_drawn():
    passages = grouped(*(1,) * 80)
    first = texts(draw_parts(passages, (0.25, 0.5, 1.0), 0)[0])
    assert texts(draw_parts(passages[::-1], (0.25, 0.5, 1.0), 0)[0]) == first
    assert texts(draw_parts(passages, (0.25, 0.5, 1.0), 1)[0]) != first
    # Without a source, each text is a group of its own; the same text twice is allowed.
    same = [Passage("name", [Span(0, 4, "A")])] * 40
    assert [len(part) for part in draw_parts(same, (0.25, 0.5, 1.0))] == [10, 20, 40]


def made_up(scores: dict[int, float]) -> dict:
    """The file of a curve with the F1 at each size, on 100 passages with one mention each."""
    parts = [
        {
            "passages": n,
            "mentions": {"A": n},
            "counts": {"A": [[1, 0, 0] if i < 100 * f1 else [0, 1, 1] for i in range(100)]},
        }
        for n, f1 in scores.items()
    ]
    return {
        "format_version": 1, "evaluation_set": "", "settings": {}, "points": [], "forecasts": {}, "measured": parts,
    }  # fmt: skip


def test_the_forecast_is_for_the_gate_that_is_asked_for(tmp_path):
    path = tmp_path / "curve.json"
    path.write_text(json.dumps(made_up({100: 0.4, 200: 0.58, 400: 0.7, 800: 0.78})))
    low, high = (read_learning_curve(path, gate) for gate in (0.7, 0.85))
    assert low.points == high.points
    assert "F1 0.78 is enough" in low.forecasts["A"].text
    assert "more examples for F1 0.85" in high.forecasts["A"].text


def test_a_file_that_is_no_curve_is_named_with_what_to_do(tmp_path):
    path = tmp_path / "curve.json"
    good = made_up({10: 0.1, 20: 0.2, 30: 0.3})
    parts = good["measured"]
    uneven = [*parts[:2], {**parts[2], "counts": {"A": [[1, 0, 0]] * 2}}]
    for bad in ({}, [], {**good, "format_version": 2}, {**good, "measured": parts[:2]}, {**good, "measured": uneven}):
        path.write_text(json.dumps(bad))
        with pytest.raises(UserError, match=r"not a learning curve(.|\n)*weasel run learning-curve"):
            read_learning_curve(path)
    path.write_text("{")
    with pytest.raises(UserError, match="not a learning curve"):
        is_curve_of(path, [])
    with pytest.raises(UserError, match="Can't read"):
        read_learning_curve(tmp_path / "missing.json")


def test_sizes_are_read_with_blanks_around_them():
    assert read_sizes("0.125, 0.25,.5 ,1") == (0.125, 0.25, 0.5, 1.0)
