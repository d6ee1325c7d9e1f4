"""Comparisons with real trainings of the CPU config, as small as they get, and what is written of them."""

import json
import re
import shutil
from collections.abc import Callable
from functools import partial
from pathlib import Path

import numpy
import pytest
from helpers.hostile import HOSTILE
from helpers.html_page import Page
from markdown_it import MarkdownIt

from spacy_domain_ner.cli.compare import print_comparison, read_seeds
from spacy_domain_ner.corpus import Passage, Span, write_passages
from spacy_domain_ner.corpus.spacy_docs import load_tokenizing_pipeline, write_docs
from spacy_domain_ner.errors import UserError
from spacy_domain_ner.evaluation.gates import Gates
from spacy_domain_ner.experiments.comparison import Choice, Comparison, Run, config_paths, read_choice, summarize
from spacy_domain_ner.reports import comparison as report
from spacy_domain_ner.reports.comparison import compare
from spacy_domain_ner.training import Recipe, train

FILES = ["comparison.html", "comparison.json", "comparison.md"]


def lay_out(folder: Path, configs: Path, passages) -> None:
    """What `compare` reads, where it looks for it: two configs of which the second is a smaller network."""
    (folder / "configs").mkdir(parents=True)
    for path in configs.glob("*.cfg"):
        shutil.copy(path, folder / "configs")
    text = (configs / "cnn.cfg").read_text(encoding="utf8")
    (folder / "configs/flat.cfg").write_text(text.replace("depth = 4", "depth = 1"), encoding="utf8")
    nlp = load_tokenizing_pipeline(configs / "cnn.cfg")
    for name in ("train", "dev", "eval"):
        write_passages(folder / f"corpus/{name}.jsonl", passages)
        write_docs(nlp, passages, folder / f"corpus/{name}.spacy")


@pytest.fixture
def project(tmp_path, template_configs, passages, monkeypatch) -> Path:
    """A project that is ready to train: the present folder."""
    lay_out(tmp_path, template_configs, passages)
    monkeypatch.chdir(tmp_path)
    return tmp_path


@pytest.fixture
def verb(domain_ner) -> Callable:
    """`domain-ner compare ...` in this process."""
    return partial(domain_ner, "compare")


def runs(project: Path) -> dict[str, int]:
    """The files of the runs with their times."""
    return {path.name: path.stat().st_mtime_ns for path in (project / "comparison/runs").iterdir()}


def made_up(names: list[str], label: str = "SERVICE", seeds: tuple[int, ...] = (0,)) -> Comparison:
    """Results that no training made: each model finds more than the one before it, all with the same label."""
    size = 40
    of_models = []
    for index, name in enumerate(names):
        hits = numpy.arange(size) % len(names) <= index
        counts = {label: [(int(hit), 0, int(not hit)) for hit in hits]}
        environment = {"python": "3", "spacy": "3.8", "torch": None, "transformers": None, "cpu_count": 2, "gpu": None}
        measured = {"training_seconds": 70.0 * 20**index, "size_mb": 4.25, "documents_per_second": 1234.5}
        of_models.append(
            [
                Run(
                    model=name, seed=seed, inputs={}, environment={**environment}, micro={"f1": 0.5}, types={},
                    counts=counts, **measured,
                )
                for seed in seeds
            ]
        )  # fmt: skip
    return compared(names, of_models, label, seeds)


def compared(
    names: list[str], runs: list[list[Run]], label: str = "SERVICE", seeds: tuple[int, ...] = (0,)
) -> Comparison:
    """The comparison of runs on forty passages with a mention each."""
    gold = [Passage("x", [Span(0, 1, label)]) for _ in range(40)]
    models, mentions = summarize([Choice(name) for name in names], [None] * len(names), runs, gold)
    return Comparison(models, Recipe(), Path("corpus/eval.jsonl"), seeds, len(gold), mentions)


@pytest.fixture(scope="module")
def done(tmp_path_factory, template_configs, make_passages) -> Path:
    """A project in which two models were compared with two seeds."""
    folder = tmp_path_factory.mktemp("compared")
    lay_out(folder, template_configs, make_passages())
    sets = (folder / "corpus/train.spacy", folder / "corpus/dev.spacy")
    compare(
        ["cnn", "flat"],
        Recipe(train=sets[0], dev=sets[1], max_epochs=2),
        configs=folder / "configs",
        eval=folder / "corpus/eval.jsonl",
        output=folder / "comparison",
        say=quiet,
    )
    return folder


def quiet(line: str) -> None:
    pass


@pytest.mark.slow
def test_a_comparison_leaves_its_files_and_a_file_per_run(done):
    assert {path.name for path in (done / "comparison").iterdir()} == {*FILES, "configs", "runs"}
    assert [re.sub(r"[0-9a-f]{8}(?=\.json)", "HASH", name) for name in sorted(runs(done))] == [
        "cnn-0-HASH.json", "cnn-1-HASH.json", "flat-0-HASH.json", "flat-1-HASH.json",
    ]  # fmt: skip


@pytest.mark.slow
def test_the_figures_say_what_was_measured(done):
    figures = json.loads((done / "comparison/comparison.json").read_text(encoding="utf8"))
    assert figures["format_version"] == 1
    assert [figures["passages"], figures["mentions"]] == [20, {"INFRA": 20, "SERVICE": 20}]
    assert figures["environment"]["cpu_count"]
    assert figures["environment"]["spacy"].startswith("3.")
    cnn, flat = figures["models"]
    assert [cnn["name"], flat["name"]] == ["cnn", "flat"]
    assert flat["size_mb"] < cnn["size_mb"]
    assert cnn["difference"] is None
    gained = flat["micro"]["f1"]["value"] - cnn["micro"]["f1"]["value"]
    assert flat["difference"]["value"] == pytest.approx(gained, abs=2e-4)
    for model in (cnn, flat):
        assert set(model["types"]) == {"INFRA", "SERVICE"}
        assert model["training_seconds"] > 0
        assert model["documents_per_second"] > 0


@pytest.mark.slow
def test_a_score_is_that_of_both_seeds_together(done):
    figures = json.loads((done / "comparison/comparison.json").read_text(encoding="utf8"))
    for model in figures["models"]:
        assert [run["seed"] for run in model["runs"]] == [0, 1]
        names = ("true_positives", "false_positives", "false_negatives")
        right, wrong, missed = numpy.sum([[run["micro"][name] for name in names] for run in model["runs"]], axis=0)
        assert right + missed == 2 * 40
        micro = model["micro"]["f1"]
        assert micro["low"] <= micro["value"] <= micro["high"]
        assert micro["value"] == pytest.approx(2 * right / (2 * right + wrong + missed), abs=1e-4)


@pytest.mark.slow
def test_a_second_time_nothing_is_trained(done, verb, monkeypatch):
    monkeypatch.chdir(done)
    before = runs(done)
    again = verb("cnn,flat", "--max-epochs", 2, "--seeds", "0,1")
    assert again.code == 0, again
    assert [f"Run {number} of 4" in again.out for number in range(1, 5)] == [True] * 4
    assert again.out.count("measured before") == 4
    assert "Training" not in again.out
    assert json.loads(Path("comparison/comparison.json").read_text(encoding="utf8"))["verdict"] in again.out
    assert runs(done) == before


@pytest.mark.slow
def test_an_interrupted_comparison_continues_where_it_was(project, verb, monkeypatch):
    trained = []

    def interrupted(recipe, folder):
        trained.append(recipe.config.stem)
        if len(trained) == 2:
            raise KeyboardInterrupt
        train(recipe, folder)

    monkeypatch.setattr("spacy_domain_ner.experiments.runs.train", interrupted)
    assert verb("cnn,flat", "--max-epochs", 1, "--seeds", 0).code == 130
    assert {path.name for path in (project / "comparison").iterdir()} == {"configs", "runs"}
    before = runs(project)
    assert verb("cnn,flat", "--max-epochs", 1, "--seeds", 0).code == 0
    assert trained == ["cnn", "flat", "flat"]
    assert before.items() < runs(project).items()


@pytest.mark.slow
def test_a_run_is_repeated_where_what_it_depends_on_has_changed(project, passages, monkeypatch):
    trained = []

    def counted(recipe, folder):
        trained.append(1)
        train(recipe, folder)

    monkeypatch.setattr("spacy_domain_ner.experiments.runs.train", counted)

    def trains(keep=False, **changed) -> bool:
        trained.clear()
        compare(["flat"], Recipe(max_epochs=1, **changed), seeds=[0], keep=keep, say=quiet)
        return bool(trained)

    assert trains()
    assert not trains()
    assert trains(patience_epochs=4)
    config = project / "configs/flat.cfg"
    config.write_text(config.read_text(encoding="utf8").replace("dropout = 0.2", "dropout = 0.1"), encoding="utf8")
    assert trains()
    write_passages(project / "corpus/eval.jsonl", passages[:10])
    assert trains()
    (path,) = [
        path
        for path in (project / "comparison/runs").iterdir()
        if path.stat().st_mtime_ns == max(runs(project).values())
    ]
    path.write_text(path.read_text(encoding="utf8")[:-50], encoding="utf8")
    assert trains()
    # A model that is asked for and has been deleted.
    assert trains(keep=True)
    assert list((project / "comparison/models").glob("flat-0-*/model-best/meta.json"))
    assert not trains(keep=True)
    assert not trains()
    assert list((project / "comparison/models").glob("flat-0-*/model-best/meta.json"))


@pytest.mark.slow
def test_a_transformer_is_compared_in_both_frameworks(project, tiny):
    folder = shutil.copytree(tiny("wordpiece-uncased"), project / "tiny")
    chosen = [folder.name, f"{folder.name}@huggingface"]
    result = compare(chosen, Recipe(max_epochs=1, gpu_id=-1), seeds=[0], say=quiet)
    assert [model.name for model in result.models] == ["tiny", "tiny@huggingface"]
    assert result.models[0].runs[0].environment["torch"]
    assert {path.name for path in (project / "comparison").iterdir()} >= set(FILES)


@pytest.mark.parametrize(
    ("arguments", "expected"),
    [
        pytest.param(["cnn,bort"], "'bort'", id="a wrong name"),
        pytest.param(["cnn,cnn@huggingface"], "not a transformer", id="a framework that does not fit"),
        pytest.param([""], "A base model is missing", id="an empty list"),
        pytest.param(["cnn,,flat"], "A base model is missing", id="a comma too many"),
        pytest.param(["cnn,flat,cnn"], "cnn is given twice", id="the same name twice"),
        pytest.param(["flat,copy"], "flat and copy are the same", id="the same config twice"),
        pytest.param(["cnn", "--seeds", "0,one"], "'0,one'", id="seeds that are not numbers"),
        pytest.param(["cnn", "--seeds", ""], "no seeds", id="no seeds"),
        pytest.param(["cnn", "--seeds", "1,1"], "A seed is given twice", id="a seed twice"),
        pytest.param(["cnn", "--seeds=-1"], "The seed -1", id="a negative seed"),
        pytest.param(["cnn", "--max-epochs", "0"], "--max-epochs is 0", id="no epochs"),
        pytest.param(["cnn", "--gpu-id", "gpu"], "--gpu-id is 'gpu'", id="not a GPU's number"),
        pytest.param(["cnn", "--train", "missing.spacy"], "no file missing.spacy", id="no training set"),
        pytest.param(["cnn", "--dev", "missing.spacy"], "no file missing.spacy", id="no early-stopping set"),
        pytest.param(["cnn", "--eval", "missing.jsonl"], "no file missing.jsonl", id="no evaluation set"),
        pytest.param(["cnn", "--eval", "empty.jsonl"], "no annotated mention", id="an empty evaluation set"),
        pytest.param(["cnn", "--configs", "nowhere"], "cnn.cfg", id="no configs"),
        pytest.param(["cnn", "--gate", "0.5"], "--gate is 0.5 and --fallback is 0.8", id="gates in the wrong order"),
    ],
)
def test_what_can_not_be_compared_is_refused_before_any_training(project, verb, monkeypatch, arguments, expected):
    shutil.copy(project / "configs/flat.cfg", project / "configs/copy.cfg")
    (project / "empty.jsonl").write_text("")
    monkeypatch.setattr(
        "spacy_domain_ner.training.spacy_training.spacy_train", lambda *_, **__: pytest.fail("it trains")
    )
    done = verb(*arguments)
    assert done.code == 1, done
    assert expected in done.err
    assert done.err.count("\n") >= 2, "no hint"
    assert "Traceback" not in done.out + done.err
    for left in ("runs", "models", *FILES):
        assert not (project / "comparison" / left).exists()


def test_a_framework_follows_the_last_at_sign():
    assert [read_choice(text) for text in ("cnn", " minilm@huggingface", "odd@folder", "owner/name@spacy")] == [
        Choice("cnn"), Choice("minilm", "huggingface"), Choice("odd@folder"), Choice("owner/name"),
    ]  # fmt: skip
    assert read_seeds("0, 7") == (0, 7)
    with pytest.raises(UserError, match=r"0\.5"):
        read_seeds("0.5")


def test_a_path_of_any_length_stands_in_line_on_the_terminal(capsys):
    name = "/models" + 20 * "/fine-tuned"
    print_comparison(made_up(["cnn", name]), Gates())
    lines = capsys.readouterr().out.splitlines()
    rulers = [index for index, line in enumerate(lines) if line.startswith("---")]
    assert len(rulers) == 2
    for index in rulers:
        tables = lines[index - 1 : index + 2]
        assert {len(line) for line in tables} == {len(lines[index])}
    assert name in "".join(lines)


def test_the_verdict_says_what_the_passages_can_show():
    assert report.verdict(made_up(["one"])) == "one: F1 1.000 (1.000 to 1.000)."
    gain = made_up(["one", "two"])
    found = gain.models[1].difference
    points = [f"{100 * value:.1f}" for value in (found.value, found.low, found.high)]
    assert report.verdict(gain) == f"two gains {points[0]} points ({points[1]} to {points[2]}) over one."
    three = report.verdict(made_up(["one", "two", "three"]))
    assert three.startswith("three has the highest F1 of 3 models: 1.000. three gains ")
    same = compared(["one", "two"], [gain.models[0].runs] * 2)
    expected = "two and one: no difference that 40 passages can show (+0.0 points, +0.0 to +0.0)."
    assert report.verdict(same) == expected


def test_a_loss_is_called_one():
    worse, better = (model.runs for model in made_up(["one", "two"]).models)
    loss = compared(["good", "bad"], [better, worse])
    assert re.fullmatch(r"bad loses [\d.]+ points \([\d.]+ to [\d.]+\) against good\.", report.verdict(loss))


def test_the_limits_of_the_figures_are_said():
    assert "what another seed would change" in report.notes(made_up(["one"]))[0]
    assert "of both seeds" in report.notes(made_up(["one"], seeds=(0, 1)))[0]
    mixed = made_up(["one", "two"])
    mixed.models[1].runs[0].environment["gpu"] = "Fast <GPU>"
    assert report.notes(mixed)[1] == "Trained and timed on different devices: one on the CPU, two on Fast <GPU>."
    mixed.models[1].runs[0].environment["spacy"] = "3.7"
    assert "don't compare their times" in report.notes(mixed)[1]


def test_the_gates_are_those_that_are_asked_for():
    # F1 of the first is 2 * 20 / (2 * 20 + 20): 0.667.
    result = made_up(["half", "all"])
    strict, lenient = Gates(0.9, 0.7), Gates(0.6, 0.5)
    said = "Types that reach F1 0.9, out of 1: half 0, all 1. Types below F1 0.7: half 1, all 0."
    assert report.at_the_gates(result, strict) == said
    assert report.at_the_gates(result, lenient).startswith("Types that reach F1 0.6, out of 1: half 1, all 1.")
    assert said in report.to_markdown(result, strict)
    page = Page(report.to_html(result, strict)).text
    assert said in page
    assert "from 0.90 a type is ready for production, below 0.70 it needs another way" in page
    assert report.to_dict(result, strict)["gates"] == {"production": 0.9, "fallback": 0.7}
    # Lower gates are on the scale, too.
    assert not re.search(r'x1="-', report.to_html(result, Gates(0.4, 0.3)))


@pytest.mark.parametrize("count", [1, 2, 9])
def test_the_page_stands_alone_and_has_all_figures(count):
    names = [f"model-{number}" for number in range(count)]
    result = made_up(names, seeds=(0, 1))
    html = report.to_html(result, Gates())
    page = Page(html)
    assert page.open == []
    assert not re.search(r"https?:|//|@import|url\(", html)
    assert {tag for tag, _ in page.tags} & {"script", "link", "img", "iframe"} == set()
    for _, attributes in page.tags:
        assert not attributes.keys() & {"src", "srcset", "data", "onload"}
        assert attributes.get("href", "#").startswith("#")
    assert report.verdict(result) in page.text
    for model in result.models:
        assert f"{model.micro.f1.value:.3f}" in page.text
        assert page.text.count(model.name) >= 3
    # Each model has a color with a shape of its own, and the gates are there.
    keys = re.findall(r'class="key mark (color-\d)" aria-hidden="true"><use href="#(shape-\d)"', html)
    assert len(set(keys)) == count
    assert html.count('class="gate"') == 2
    assert html.count('class="bar"') == 2 * count


@pytest.mark.parametrize("text", HOSTILE)
def test_nothing_that_a_name_or_a_label_holds_breaks_the_page_or_the_tables(text):
    result = made_up([text, f"other {text}"], label=text)
    result.models[0].runs[0].environment["gpu"] = text
    html = report.to_html(result, Gates())
    page = Page(html)
    assert page.open == []
    plain = Page(report.to_html(made_up(["one", "two"]), Gates()))
    assert {tag for tag, _ in page.tags} <= {tag for tag, _ in plain.tags} | {"li"}
    assert page.text.count(text) >= 8
    table = Page(MarkdownIt("commonmark").enable("table").render(report.to_markdown(result, Gates())))
    assert [tag for tag, _ in table.tags].count("td") == 2 * 6 + 4
    assert {tag for tag, _ in table.tags} <= {"p", "strong", "table", "thead", "tbody", "tr", "th", "td"}
    assert " ".join(text.split()) in table.text
    assert json.loads(json.dumps(report.to_dict(result, Gates())))["models"][0]["name"] == text


def test_models_whose_names_look_alike_have_files_of_their_own():
    chosen = [Choice("a/b"), Choice("a b"), Choice("A-B"), Choice("../.."), Choice("東京")]
    paths = config_paths(chosen, Path("out"))
    assert len({str(path).lower() for path in paths}) == len(chosen)
    assert {path.parent for path in paths} == {Path("out/configs")}


@pytest.mark.parametrize(
    ("seconds", "expected"),
    [(0.4, "0 s"), (99, "99 s"), (100, "2 min"), (5940, "99 min"), (6000, "1 h 40 min"), (36_300, "10 h 05 min")],
)
def test_a_time_is_said_in_its_unit(seconds, expected):
    assert report.duration(seconds) == expected


def test_what_cnn_knows_about_words_is_a_choice():
    choices = [read_choice(text) for text in ("cnn", " cnn+pubmedbert ", "cnn+acme/bert", "minilm@huggingface")]
    assert [choice.name for choice in choices] == ["cnn", "cnn+pubmedbert", "cnn+acme/bert", "minilm@huggingface"]
    assert [choice.words for choice in choices] == [None, "pubmedbert", "acme/bert", None]
    assert choices[1].base_model == "cnn"
    assert [path.name for path in config_paths(choices, Path("out"))][:2] == ["cnn.cfg", "cnn-pubmedbert.cfg"]
