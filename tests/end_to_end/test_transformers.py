"""Transformers of each tokenizer kind, with both frameworks: trained, packaged, and run without this plugin."""

import email.message
import email.parser
import email.policy
import json
import os
import random
import shutil
import signal
import subprocess
import sys
import time
import zipfile
from collections.abc import Callable
from pathlib import Path

import pytest
import spacy
import srsly
from helpers.tiny_transformers import KINDS
from packaging.requirements import Requirement

from spacy_domain_ner import UserError, package_model
from spacy_domain_ner.cli import main
from spacy_domain_ner.components.huggingface_ner import FACTORY, ONNX_FACTORY
from spacy_domain_ner.components.onnx_reader import GRAPH
from spacy_domain_ner.confidence import calibrate, find_recognizer
from spacy_domain_ner.corpus import Passage, read_valid_passages
from spacy_domain_ner.deployment import onnx_pipeline
from spacy_domain_ner.models import load_model, model_digest

for package in ("spacy_transformers", "onnx", "onnxruntime"):
    pytest.importorskip(package, reason="the extras transformers and onnx are not installed")
torch = pytest.importorskip("torch")
pytestmark = [pytest.mark.slow, pytest.mark.usefixtures("pytorch")]

REPOSITORY = Path(__file__).parents[2]
# onnx is a model of spacy, packaged for onnxruntime, and huggingface-onnx one of huggingface.
CASES = [
    *((kind, framework) for kind in KINDS for framework in ("spacy", "huggingface", "onnx")),
    ("sentencepiece", "huggingface-onnx"),
    ("wordpiece-bare", "spacy"),
]
TRAINED_WITH = {"onnx": "spacy", "huggingface-onnx": "huggingface"}
IN_ONNX = [case for case in CASES if case[1] in TRAINED_WITH]
# One token of more word pieces than a transformer reads.
PATH = f"Redis lost /{'a/' * 700}x again"
METRICS = {
    "passages": 20,
    "gates": {"production": 0.85, "fallback": 0.8},
    "micro": {"precision": 0.5, "recall": 0.5, "f1": 0.5, "support": 40},
    "types": {},
}
COUNTS = {"passages": 20, "without_entities": 0, "types": {}}

# One that neither sees this plugin nor what made DeBERTa's tokenizer: a package requires neither.
BLOCKED = """
import importlib.metadata, sys
for name in ("spacy_domain_ner", "sentencepiece", "google.protobuf", "accelerate"):
    sys.modules[name] = None
installed = importlib.metadata.distributions
importlib.metadata.distributions = lambda **key: (d for d in installed(**key) if d.name != "spacy-domain-ner")
"""
WITHOUT_PYTORCH = """
for name in ("torch", "transformers", "spacy_transformers", "onnx"):
    sys.modules[name] = None
seen = importlib.metadata.distributions
importlib.metadata.distributions = lambda **key: (d for d in seen(**key) if d.name != "spacy-transformers")
"""
EXTRACT = """
import json, os, sys
site, packages = sys.argv[1], sys.argv[2:]
sys.path.insert(0, site)
os.chdir(site)
import spacy
texts = json.load(sys.stdin)
found = {}
for package in packages:
    docs = spacy.load(package).pipe(texts)
    found[package] = [[[ent.start_char, ent.end_char, ent.label_] for ent in doc.ents] for doc in docs]
print(json.dumps(found))
"""


def package_name(kind: str, framework: str) -> str:
    return f"{kind}_{framework}".replace("-", "_")


@pytest.fixture(scope="module")
def model_of(trained) -> Callable[[str, str], Path]:
    """The project of a kind's model by what runs it."""
    return lambda kind, framework: trained(kind, TRAINED_WITH.get(framework, framework))


@pytest.fixture(scope="module")
def files(tmp_path_factory) -> dict[str, Path]:
    """What a package is made from besides the model."""
    told = tmp_path_factory.mktemp("told")
    files = {"schema": REPOSITORY / "assets/software/entity_types.yml"}
    for name, value in (("metrics", METRICS), ("counts", COUNTS), ("about", {})):
        files[name] = told / f"{name}.json"
        srsly.write_json(files[name], value)
    return files


@pytest.fixture(scope="module")
def wheel(model_of, files, tmp_path_factory) -> Callable[[str, str], Path]:
    """The wheel of a kind and a framework."""
    output = tmp_path_factory.mktemp("packages")
    built: dict[tuple[str, str], Path] = {}

    def wheel(kind: str, framework: str) -> Path:
        if (kind, framework) not in built:
            project = model_of(kind, framework)
            built[kind, framework] = package_model(
                project / "training/model-best", output, name=package_name(kind, framework),
                runtime="onnx" if framework in TRAINED_WITH else "torch", eval=project / "train.jsonl", **files,
            )  # fmt: skip
        return built[kind, framework]

    return wheel


@pytest.fixture(scope="module")
def site(wheel, tmp_path_factory) -> Path:
    """A folder with all of the packages in it that need PyTorch, and nothing else."""
    return install(tmp_path_factory.mktemp("site"), [wheel(*case) for case in CASES if case not in IN_ONNX])


@pytest.fixture(scope="module")
def onnx_site(wheel, tmp_path_factory) -> Path:
    """A folder with the packages that do without."""
    return install(tmp_path_factory.mktemp("onnx_site"), [wheel(*case) for case in IN_ONNX])


def install(folder: Path, wheels: list[Path]) -> Path:
    command = [sys.executable, "-m", "pip", "install", "--quiet", "--no-deps", "--target", str(folder)]
    subprocess.run([*command, *map(str, wheels)], check=True, capture_output=True)
    return folder


@pytest.fixture(scope="module")
def texts(trained) -> list[str]:
    lines = (trained(*CASES[0]) / "train.jsonl").read_text(encoding="utf8").splitlines()
    taught = [json.loads(line)["text"] for line in lines]
    return [*taught, "", " \n", "Cafe\u0301 🚀 東京 ﬁ", " ".join(taught), PATH]


def extract(script: str, site: Path, cases: list[tuple[str, str]], texts: list[str]) -> dict[str, list]:
    names = [f"en_{package_name(*case)}" for case in cases]
    done = subprocess.run(
        [sys.executable, "-c", script, str(site), *names],
        input=json.dumps(texts),
        capture_output=True,
        encoding="utf8",
        env={**os.environ, "HF_HUB_OFFLINE": "1", "PYTHONUTF8": "1"},
        check=False,
    )
    assert done.returncode == 0, done.stderr
    return json.loads(done.stdout.splitlines()[-1])


@pytest.fixture(scope="module")
def expected(model_of, texts) -> Callable[[str, str], list]:
    """What the trained model finds where it was trained."""

    def expected(kind: str, framework: str) -> list:
        nlp = spacy.load(model_of(kind, framework) / "training/model-best")
        return [[[ent.start_char, ent.end_char, ent.label_] for ent in doc.ents] for doc in nlp.pipe(texts)]

    return expected


@pytest.fixture(scope="module")
def found_without_the_plugin(site, onnx_site, texts) -> dict[str, list]:
    others = [case for case in CASES if case not in IN_ONNX]
    return {
        **extract(BLOCKED + EXTRACT, site, others, texts),
        **extract(BLOCKED + WITHOUT_PYTORCH + EXTRACT, onnx_site, IN_ONNX, texts),
    }


@pytest.mark.parametrize(("kind", "framework"), CASES)
def test_a_package_finds_without_the_plugin_what_the_model_finds_with_it(
    found_without_the_plugin, expected, kind, framework
):
    found = found_without_the_plugin[f"en_{package_name(kind, framework)}"]
    assert found == expected(kind, framework)
    assert sum(map(len, found)) >= 20


@pytest.mark.parametrize("first", ["plugin", "package"])
def test_plugin_and_packages_side_by_side_load_in_either_order(site, texts, expected, first):
    plugin = "from spacy_domain_ner.components import byte_windows, huggingface_ner\n"
    script = plugin + EXTRACT if first == "plugin" else EXTRACT.replace("print(", plugin + "print(")
    cases = [("wordpiece-cased", "huggingface"), ("byte-bpe", "spacy")]
    found = extract(script, site, cases, texts)
    for case in cases:
        assert found[f"en_{package_name(*case)}"] == expected(*case)


def metadata(wheel: Path) -> email.message.Message:
    with zipfile.ZipFile(wheel) as archive:
        [name] = [name for name in archive.namelist() if name.endswith(".dist-info/METADATA")]
        return email.parser.Parser(policy=email.policy.default).parsestr(archive.read(name).decode("utf8"))


@pytest.mark.parametrize(("kind", "framework"), CASES)
def test_a_package_requires_what_it_needs_and_never_this_plugin(wheel, kind, framework):
    required = {Requirement(line).name for line in metadata(wheel(kind, framework)).get_all("Requires-Dist")}
    more = {
        "spacy": {"spacy-transformers"},
        "huggingface": {"torch", "transformers"},
        "onnx": {"numpy", "onnxruntime", "tokenizers"},
        "huggingface-onnx": {"numpy", "onnxruntime", "tokenizers"},
    }
    assert required == {"spacy", *more[framework]}


@pytest.mark.parametrize(("kind", "framework"), CASES)
def test_no_file_of_a_package_names_a_folder_of_the_machine_that_made_it(wheel, model_of, tiny, kind, framework):
    folders = [str(path).encode() for path in (tiny(kind).parent, model_of(kind, framework), REPOSITORY, Path.home())]
    with zipfile.ZipFile(wheel(kind, framework)) as archive:
        for name in archive.namelist():
            content = archive.read(name)
            # A word piece may be "/" itself.
            assert [folder for folder in folders if len(folder) > 1 and folder in content] == [], name
        [config] = [name for name in archive.namelist() if name.endswith("config.cfg")]
        assert ' = "/' not in archive.read(config).decode("utf8")


@pytest.mark.parametrize(("kind", "framework"), CASES)
def test_a_package_carries_no_more_code_than_it_needs(wheel, kind, framework):
    with zipfile.ZipFile(wheel(kind, framework)) as archive:
        code = {Path(name).name for name in archive.namelist() if name.endswith(".py")}
    needed = {
        "spacy": {"byte_windows.py", "piece_batches.py", "biluo_ner.py"},
        "huggingface": {"huggingface_ner.py"},
        "onnx": {"onnx_encoder.py", "onnx_reader.py", "biluo_ner.py"},
        "huggingface-onnx": {"huggingface_ner.py", "onnx_reader.py"},
    }
    assert code == {"__init__.py", *needed[framework]}


def test_a_package_for_onnxruntime_says_so_and_is_still_of_the_same_training(wheel, model_of):
    project = model_of("byte-bpe", "onnx")
    with zipfile.ZipFile(wheel("byte-bpe", "onnx")) as archive:
        [card] = [name for name in archive.namelist() if name.endswith("README.md")]
        assert "onnxruntime" in archive.read(card).decode("utf8")
        [meta] = [name for name in archive.namelist() if name.count("/") == 2 and name.endswith("meta.json")]
        assert json.loads(archive.read(meta))["digest"] == model_digest(project / "training/model-best")


def negate_embeddings(model) -> None:
    model.base_model.embeddings.word_embeddings.weight.mul_(-1)


def soften_the_head(model) -> None:
    """Leaves the likeliest tags as they are, and makes them less sure."""
    model.classifier.weight.mul_(0.1)
    model.classifier.bias.mul_(0.1)


@pytest.mark.parametrize(
    ("framework", "change"),
    [("onnx", negate_embeddings), ("huggingface-onnx", negate_embeddings), ("huggingface-onnx", soften_the_head)],
)
def test_a_package_that_would_find_something_else_is_not_built(model_of, tmp_path, monkeypatch, framework, change):
    project = model_of("byte-bpe", framework)
    build = onnx_pipeline.build_graph

    def changed(model, longest):
        with torch.no_grad():
            change(model)
        return build(model, longest)

    monkeypatch.setattr(onnx_pipeline, "build_graph", changed)
    shutil.copytree(project / "training/model-best", tmp_path / "model")
    passages = list(read_valid_passages(project / "train.jsonl"))
    with pytest.raises(UserError, match=r"finds other entities, .*, in \d+ of 20 passages, such as .*train.jsonl:"):
        onnx_pipeline.to_onnx(tmp_path / "model", passages)


def test_a_token_classifier_in_onnxruntime_is_as_sure_as_in_pytorch_and_can_be_in_8_bits(
    model_of, texts, tmp_path, monkeypatch
):
    monkeypatch.setattr(onnx_pipeline, "LARGEST_LOSS", 1)
    project, model = model_of("byte-bpe", "huggingface-onnx"), tmp_path / "model"
    shutil.copytree(project / "training/model-best", model)
    passages = list(read_valid_passages(project / "train.jsonl"))
    onnx_pipeline.to_onnx(model, passages)
    trained, nlp = load_model(project / "training/model-best"), load_model(model)
    assert nlp.get_pipe_meta(FACTORY).factory == ONNX_FACTORY
    assert find_recognizer(nlp).calibration == find_recognizer(trained).calibration
    for text in texts:
        for one, other in zip(found(trained(text)), found(nlp(text)), strict=True):
            assert other == (*one[:3], pytest.approx(one[3], abs=1e-4))
    outcome = onnx_pipeline.to_int8(model, passages, passages[:10])
    assert outcome.f1 > 0.5 < outcome.f1_in_32_bits
    quantized = load_model(model)
    assert b"MatMulIntegerToFloat" in find_recognizer(quantized).reader.files[GRAPH]
    kept, again = find_recognizer(quantized).calibration, calibrate(quantized, passages[:10])
    assert (again.slope, again.intercept) == pytest.approx((kept["slope"], kept["intercept"]))


@pytest.fixture(scope="module")
def in_onnx(model_of, tmp_path_factory) -> Path:
    """The folder of a model that onnxruntime runs in 32 bits."""
    project = model_of("byte-bpe", "onnx")
    folder = tmp_path_factory.mktemp("in_onnx") / "model"
    shutil.copytree(project / "training/model-best", folder)
    onnx_pipeline.to_onnx(folder, list(read_valid_passages(project / "train.jsonl")))
    return folder


def copies(in_onnx: Path, project: Path, folder: Path) -> tuple[Path, list[Passage], list[Passage]]:
    """A copy of a model, what it is measured on, and what it is calibrated by: half of the set of 20."""
    shutil.copytree(in_onnx, folder)
    passages = list(read_valid_passages(project / "train.jsonl"))
    return folder, passages, passages[:10]


def test_8_bits_are_taken_where_they_lose_next_to_nothing_and_the_confidence_is_calibrated_anew(
    in_onnx, model_of, tmp_path, monkeypatch
):
    monkeypatch.setattr(onnx_pipeline, "LARGEST_LOSS", 1)
    model, passages, dev = copies(in_onnx, model_of("byte-bpe", "onnx"), tmp_path / "model")
    outcome = onnx_pipeline.to_int8(model, passages, dev)
    assert outcome.taken
    assert outcome.f1 > 0.5 < outcome.f1_in_32_bits
    assert str(outcome).startswith(f"In 8 bits: F1 {outcome.f1:.4f}, in 32 bits {outcome.f1_in_32_bits:.4f}")
    nlp, before = load_model(model), load_model(in_onnx)
    graphs = [one.get_pipe("transformer").reader.files[GRAPH] for one in (nlp, before)]
    assert graphs[0] != graphs[1]
    kept = find_recognizer(nlp).calibration
    assert kept != find_recognizer(before).calibration
    again = calibrate(nlp, dev)
    assert (again.slope, again.intercept) == pytest.approx((kept["slope"], kept["intercept"]))


def test_what_8_bits_find_in_a_passage_and_how_surely_does_not_depend_on_those_beside_it(
    in_onnx, model_of, texts, tmp_path, monkeypatch
):
    monkeypatch.setattr(onnx_pipeline, "LARGEST_LOSS", 1)
    model, *sets = copies(in_onnx, model_of("byte-bpe", "onnx"), tmp_path / "model")
    onnx_pipeline.to_int8(model, *sets)
    for nlp in (load_model(model), load_model(in_onnx)):
        alone = {text: found(nlp(text)) for text in texts}
        assert sum(map(len, alone.values())) >= 20
        for seed, size in ((0, 3), (1, 7), (2, 100)):
            shuffled = random.Random(seed).sample(texts * 2, 2 * len(texts))
            assert [found(doc) for doc in nlp.pipe(shuffled, batch_size=size)] == [alone[text] for text in shuffled]


def found(doc: spacy.tokens.Doc) -> list[tuple[int, int, str, float]]:
    return [(ent.start_char, ent.end_char, ent.label_, ent._.confidence) for ent in doc.ents]


def test_8_bits_that_lose_too_much_leave_the_model_as_it_is(in_onnx, model_of, tmp_path, monkeypatch):
    monkeypatch.setattr(onnx_pipeline, "LARGEST_LOSS", -1)
    model, *sets = copies(in_onnx, model_of("byte-bpe", "onnx"), tmp_path / "model")
    outcome = onnx_pipeline.to_int8(model, *sets)
    assert not outcome.taken
    assert str(outcome).startswith(f"Not in 8 bits: F1 {outcome.f1:.4f}, in 32 bits {outcome.f1_in_32_bits:.4f}")
    for file in [path for path in in_onnx.rglob("*") if path.is_file()]:
        assert (model / file.relative_to(in_onnx)).read_bytes() == file.read_bytes(), file


def test_8_bits_are_refused_where_nothing_can_be_measured(in_onnx, model_of, tmp_path):
    model, passages, dev = copies(in_onnx, model_of("byte-bpe", "onnx"), tmp_path / "model")
    empty = [Passage(passage.text, []) for passage in passages]
    with pytest.raises(UserError, match="measured on the evaluation set, which has no entities"):
        onnx_pipeline.to_int8(model, empty, dev)


@pytest.mark.parametrize(("most", "taken"), [(1, True), (-1, False)])
def test_a_package_says_whether_it_is_in_8_bits_with_both_figures(model_of, files, tmp_path, monkeypatch, most, taken):
    monkeypatch.setattr(onnx_pipeline, "LARGEST_LOSS", most)
    project, said = model_of("byte-bpe", "onnx"), []
    wheel = package_model(
        project / "training/model-best", tmp_path, name="small", runtime="onnx-int8", say=said.append,
        eval=project / "train.jsonl", dev=project / "dev.jsonl", **files,
    )  # fmt: skip
    meta = srsly.read_json(wheel.parents[1] / "meta.json")
    assert meta["runtime"] == ("onnx-int8" if taken else "onnx")
    assert meta["digest"] == model_digest(project / "training/model-best")
    outcome = onnx_pipeline.Int8Outcome(**meta["int8"])
    assert outcome.taken is taken
    assert said == [str(outcome)]
    card = (wheel.parents[1] / "README.md").read_text(encoding="utf8")
    assert ("matrix products are in 8 bits" in card) is taken
    for figure in (outcome.f1, outcome.f1_in_32_bits):
        assert f"{100 * figure:.1f} %" in card
    with zipfile.ZipFile(wheel) as archive:
        [graph] = [name for name in archive.namelist() if name.endswith(GRAPH)]
        assert (b"MatMulIntegerToFloat" in archive.read(graph)) is taken


def contents(package: Path) -> dict[str, bytes]:
    """The files of the wheel in a package's folder."""
    [wheel] = package.glob("dist/*.whl")
    with zipfile.ZipFile(wheel) as archive:
        return {name: archive.read(name) for name in archive.namelist()}


def test_a_package_whose_making_is_killed_at_any_moment_is_whole_or_not_there_and_the_next_run_makes_it(
    model_of, files, tmp_path
):
    project, name = model_of("byte-bpe", "huggingface-onnx"), "en_small-0.1.0"
    before = model_digest(project / "training/model-best")

    def start(output: str) -> int:
        """Run `domain-ner package`, in a process that need not import PyTorch again. RETURNS: Its id."""
        if child := os.fork():
            return child
        try:
            nowhere = os.open(os.devnull, os.O_WRONLY)
            os.dup2(nowhere, 1)
            os.dup2(nowhere, 2)
            options = {**files, "name": "small", "runtime": "onnx", "eval": project / "train.jsonl"}
            words = [str(word) for option, value in options.items() for word in (f"--{option}", value)]
            sys.argv = ["domain-ner", "package", str(project / "training/model-best"), str(tmp_path / output), *words]
            main()
        except SystemExit as left:
            os._exit(int(left.code or 0))
        finally:
            os._exit(99)

    def run(output: str) -> float:
        """RETURNS: The seconds that it took."""
        since = time.monotonic()
        assert os.waitpid(start(output), 0)[1] == 0
        return time.monotonic() - since

    seconds = run("whole")
    whole = contents(tmp_path / "whole" / name)
    output, killed = tmp_path / "killed", 0
    for third in range(3):
        child = start("killed")
        time.sleep(seconds * (third + random.random()) / 3)
        os.kill(child, signal.SIGKILL)
        killed += os.WIFSIGNALED(os.waitpid(child, 0)[1])
        seen = [path.name for path in output.glob("*") if not path.name.startswith(".")]
        assert seen in ([], [name])
        assert not seen or contents(output / name) == whole
    assert killed
    run("killed")
    assert contents(output / name) == whole
    assert [path.name for path in output.iterdir() if not path.name.startswith(".")] == [name]
    assert model_digest(project / "training/model-best") == before


@pytest.mark.parametrize("framework", ["huggingface", "huggingface-onnx"])
def test_beside_the_wheel_lies_a_model_of_its_own_for_transformers(wheel, texts, framework):
    from transformers import pipeline

    folder = wheel("sentencepiece", framework).parents[1] / "huggingface"
    assert (folder / "README.md").is_file()
    assert pipeline("token-classification", model=str(folder), device=-1)(texts[0])
    assert not (wheel("sentencepiece", "spacy").parents[1] / "huggingface").exists()


@pytest.fixture(scope="module")
def project(tiny, tmp_path_factory) -> Path:
    """A project baked for a model as BioBERT is published: cased, and with vocab.txt for its whole tokenizer."""
    folder = tmp_path_factory.mktemp("bake")
    command = [sys.executable, "-m", "cookiecutter", str(REPOSITORY), "--no-input", "--output-dir", str(folder)]
    subprocess.run([*command, f"base_model={tiny('wordpiece-bare')}"], check=True, capture_output=True)
    project = folder / "software"
    annotations = project / "assets/annotations.jsonl"
    lines = annotations.read_text(encoding="utf8").splitlines(keepends=True)
    annotations.write_text("".join(lines[::40]), encoding="utf8")
    (project / "tests/sentences.yml").write_text("- text: checkout-api is slow\n", encoding="utf8")
    return project


def test_a_cased_model_stays_cased_in_its_package(trained):
    nlp = spacy.load(trained("wordpiece-bare", "spacy") / "training/model-best")
    tokenizer = nlp.get_pipe("transformer").model.tokenizer
    assert "".join(tokenizer.tokenize("CRIMS")).replace("##", "") == "CRIMS"
    assert tokenizer.model_max_length == 512


def test_the_steps_of_a_baked_project_run_with_weasel(project):
    command = [sys.executable, "-m", "weasel", "run", "all", "."]
    overrides = ["--vars.framework", "huggingface", "--vars.max_epochs", "1", "--vars.eval_fraction", "0.3"]
    environment = {**os.environ, "PYTHONIOENCODING": "utf8", "HF_HUB_OFFLINE": "1"}
    done = subprocess.run(
        [*command, *overrides], cwd=project, env=environment, capture_output=True, encoding="utf8", check=False
    )
    assert done.returncode == 0, done.stdout + done.stderr
    config = (project / "training/config.cfg").read_text(encoding="utf8")
    assert "do_lower_case = false" in config
    assert "model_max_length = 512" in config
    assert spacy.load(project / "training/model-best").pipe_names == ["spacy_domain_ner_huggingface"]
    assert srsly.read_json(project / "metrics/metrics.json")["passages"] > 5
    assert srsly.read_json(project / "metrics/try.json")
    [wheel] = project.glob("packages/*/dist/*.whl")
    required = {Requirement(line).name for line in metadata(wheel).get_all("Requires-Dist")}
    assert required == {"spacy", "torch", "transformers"}
