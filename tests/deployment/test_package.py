"""A model's wheel: what is in it, what it says about the model, and what is refused."""

import email.message
import email.parser
import email.policy
import json
import shutil
import subprocess
import sys
import zipfile
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from helpers.memorized import memorized
from helpers.outcome import Outcome

from spacy_domain_ner import Passage, Span, UserError, package_model
from spacy_domain_ner.base_models.word_tables import SHIPPED
from spacy_domain_ner.components.biluo_ner import FACTORY
from spacy_domain_ner.deployment import wheel as wheels
from spacy_domain_ner.deployment.package import _without_providers, check_name
from spacy_domain_ner.deployment.wheel import find_wheel
from spacy_domain_ner.models import model_digest

SCHEMA = """
entity_types:
  - name: INFRA
    definition: "A store | a queue,\\nrun by others"
  - name: SERVICE
"""
METRICS: dict[str, Any] = {
    "passages": 123,
    "gates": {"production": 0.85, "fallback": 0.8},
    "micro": {"precision": 0.9123, "recall": 0.8, "f1": 0.8525, "support": 77},
    "types": {
        "INFRA": {"precision": 0.75, "recall": 0.5, "f1": 0.6, "support": 70, "verdict": "fallback", "certainty": ""},
        "SERVICE": {"precision": None, "recall": 0.0, "f1": 0.0, "support": 7, "verdict": "unknown", "certainty": ""},
    },
}
COUNTS: dict[str, Any] = {
    "passages": 600,
    "without_entities": 31,
    "types": {
        "INFRA": {"mentions": 512, "forms": 88, "verdict": "enough"},
        "SERVICE": {"mentions": 19, "forms": 11, "verdict": "few"},
    },
}
ABOUT = {
    "title": 'The "billing"\nrecognizer',
    "description": "Finds names in our team's \"tickets\":\nstores — and 服务 'services' \\ {more} %s",
    "author": 'Zoë O\'Néill-"Ünal"',
    "email": "zoe@example.org",
    "url": "https://example.org/a?b=c&d=%20",
    "license": "Apache-2.0",
}


# A Python that can neither import this plugin nor see its entry points, but the packages in its first argument.
WITHOUT_PLUGIN = """
import importlib.metadata, sys
sys.modules["spacy_domain_ner"] = None
installed = importlib.metadata.distributions
importlib.metadata.distributions = lambda **key: (d for d in installed(**key) if d.name != "spacy-domain-ner")
"""
WITH_PACKAGES = """
import sys
sys.path.insert(0, sys.argv[1])
import spacy
def show(model):
    print([(ent.text, ent.label_, ent._.confidence is not None) for ent in spacy.load(model)("Kafka calls Redis").ents])
"""

Build = Callable[..., Path]


@pytest.fixture(scope="session")
def build(model: Path, told: Callable[..., dict[str, Path]]) -> Build:
    """Build the wheel of the model, or of a model, in a folder."""

    def build(output_dir: Path, model: Path = model, about: dict[str, str] = ABOUT, name: str = "billing_ner") -> Path:
        files = told(SCHEMA, metrics=METRICS, counts=COUNTS, about=about, reference=reference_of(model))
        return package_model(model, output_dir, name=name, version="0.2.0", **files)

    return build


def reference_of(model: Path) -> dict[str, object]:
    """What live text will be compared with, as far as a package looks at it."""
    digest = model_digest(model) if model.is_dir() else ""
    return {"kind": "reference", "model": {"name": "en_", "version": "0", "digest": digest}}


@pytest.fixture(scope="session")
def wheel(build: Build, tmp_path_factory: pytest.TempPathFactory) -> Path:
    return build(tmp_path_factory.mktemp("packages"))


def metadata(wheel: Path) -> email.message.Message:
    with zipfile.ZipFile(wheel) as archive:
        [name] = [name for name in archive.namelist() if name.endswith(".dist-info/METADATA")]
        return email.parser.Parser(policy=email.policy.default).parsestr(archive.read(name).decode("utf8"))


@pytest.mark.slow
def test_the_wheel_holds_the_model_and_no_more(wheel: Path) -> None:
    assert wheel.name == "en_billing_ner-0.2.0-py3-none-any.whl"
    data, info = "en_billing_ner/en_billing_ner-0.2.0", "en_billing_ner-0.2.0.dist-info"
    with zipfile.ZipFile(wheel) as archive:
        assert sorted(archive.namelist()) == sorted(
            [
                "en_billing_ner/__init__.py",
                "en_billing_ner/meta.json",
                f"{data}/README.md",
                f"{data}/config.cfg",
                f"{data}/entity_ruler/cfg",
                f"{data}/entity_ruler/patterns.jsonl",
                f"{data}/meta.json",
                f"{data}/reference.json",
                f"{data}/tokenizer",
                f"{data}/vocab/key2row",
                f"{data}/vocab/lookups.bin",
                f"{data}/vocab/strings.json",
                f"{data}/vocab/vectors",
                f"{data}/vocab/vectors.cfg",
                f"{info}/METADATA",
                f"{info}/RECORD",
                f"{info}/WHEEL",
                f"{info}/entry_points.txt",
                f"{info}/top_level.txt",
            ]
        )
    folder = wheel.parent.parent
    assert sorted(path.name for path in folder.iterdir()) == [
        "MANIFEST.in", "README.md", "dist", "en_billing_ner", "meta.json", "setup.py",
    ]  # fmt: skip
    assert [path.name for path in folder.parent.iterdir()] == [folder.name]


@pytest.mark.slow
def test_a_reference_of_another_model_does_not_travel(
    model: Path, told: Callable[..., dict[str, Path]], tmp_path: Path
) -> None:
    other = {**reference_of(model), "model": {"digest": "00000000"}}
    for reference, message in ((other, "is of another model"), ({"kind": "drift"}, "is not a reference")):
        files = told(SCHEMA, metrics=METRICS, counts=COUNTS, about=ABOUT, reference=reference)
        with pytest.raises(UserError, match=message):
            package_model(model, tmp_path, name="billing_ner", **files)


@pytest.mark.slow
def test_a_package_keeps_the_digest_of_its_model(model: Path, wheel: Path) -> None:
    assert model_digest(wheel.parent.parent / "en_billing_ner/en_billing_ner-0.2.0") == model_digest(model)


@pytest.mark.slow
def test_what_is_said_about_the_model_comes_through_whole(wheel: Path) -> None:
    said = metadata(wheel)
    one_line = "Finds names in our team's \"tickets\": stores — and 服务 'services' \\ {more} %s"
    assert (said["Name"], said["Version"]) == ("en_billing_ner", "0.2.0")
    assert said["Summary"] == one_line
    assert said["Author"] == ABOUT["author"]
    assert said["Author-email"] == "zoe@example.org"
    assert said["Home-page"] == ABOUT["url"]
    assert said["License"] == "Apache-2.0"
    required = said.get_all("Requires-Dist")
    assert [name.split("<")[0].split(">")[0] for name in required] == ["spacy"]
    with zipfile.ZipFile(wheel) as archive:
        meta = json.loads(archive.read("en_billing_ner/en_billing_ner-0.2.0/meta.json"))
    for key in ("author", "email", "url", "license"):
        assert meta[key] == ABOUT[key]
    assert meta["description"] == one_line
    assert (meta["lang"], meta["name"], meta["version"]) == ("en", "billing_ner", "0.2.0")
    assert meta["performance"] == {
        "ents_p": 0.9123, "ents_r": 0.8, "ents_f": 0.8525,
        "ents_per_type": {
            "INFRA": {"p": 0.75, "r": 0.5, "f": 0.6, "support": 70},
            "SERVICE": {"p": None, "r": 0.0, "f": 0.0, "support": 7},
        },
    }  # fmt: skip


@pytest.mark.slow
def test_the_model_card_says_how_good_the_model_is(wheel: Path) -> None:
    with zipfile.ZipFile(wheel) as archive:
        card = archive.read("en_billing_ner/en_billing_ner-0.2.0/README.md").decode("utf8")
    lines = card.splitlines()
    assert lines[0] == '# The "billing" recognizer'
    assert "| INFRA | A store \\| a queue, run by others |" in lines
    assert "| SERVICE | not described yet |" in lines
    assert "| INFRA | 75.0 % | 50.0 % | 60.0 % | 70 | fallback |" in lines
    assert "| SERVICE | – | 0.0 % | 0.0 % | 7 | unknown |" in lines
    assert (
        "| **all** | 91.2 % | 80.0 % | 85.2 % | 77 | |" in lines
        or "| **all** | 91.2 % | 80.0 % | 85.3 % | 77 | |" in lines
    )
    assert "| INFRA | 512 | 88 | enough |" in lines
    assert "600 annotated passages, 31 of them without any entity." in lines
    assert "123 held-out passages" in card
    assert 'licence: Apache-2.0, author: Zoë O\'Néill-"Ünal".' in card
    assert card.strip() in metadata(wheel).get_payload().replace("\r\n", "\n")


@pytest.mark.slow
def test_packaging_again_replaces_and_a_failing_build_leaves_what_was_there(
    build: Build, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    first = build(tmp_path, about={})
    (first.parent.parent / "left-over").write_text("of an earlier version")
    assert "License" not in metadata(first)
    second = build(tmp_path, about={"license": "MIT"})
    assert second == first
    assert metadata(second)["License"] == "MIT"
    assert not (second.parent.parent / "left-over").exists()

    failed = subprocess.CompletedProcess([], 1, stdout="one\ntwo\n", stderr="error: no setuptools\n")
    monkeypatch.setattr(wheels.subprocess, "run", lambda *_, **__: failed)
    with pytest.raises(UserError, match="could not be built:\none\ntwo\nerror: no setuptools"):
        build(tmp_path, about={"license": "Apache-2.0"})
    assert metadata(find_wheel(tmp_path / "en_billing_ner-0.2.0"))["License"] == "MIT"
    assert [path.name for path in tmp_path.iterdir()] == ["en_billing_ner-0.2.0"]


@pytest.mark.parametrize("name", ["billing_ner", "ner", "b2", "a_1"])
def test_a_name_that_is_an_identifier_is_taken(name: str) -> None:
    check_name(name, "0.1.0")


@pytest.mark.parametrize(
    "name",
    ["", " ", "billing-ner", "billing ner", "2b", "billing.ner", "a__b", "a_", "_a", "café", "../x", "a\n", "Billing"],
)
def test_a_name_that_can_not_be_a_package_s_is_refused(name: str) -> None:
    with pytest.raises(UserError, match="can't be a package's name"):
        check_name(name, "0.1.0")


@pytest.mark.parametrize(
    ("version", "hint"),
    [
        ("", "Use one like"),
        ("one", "Use one like"),
        ("1/2", "Use one like"),
        ("1.0-alpha", "Write it as 1.0a0"),
        ("v1", "Write it as 1."),
        ("01.2", "Write it as 1.2"),
        ("1.0 ", "Write it as 1.0"),
    ],
)
def test_a_version_that_would_make_another_is_refused(version: str, hint: str) -> None:
    with pytest.raises(UserError, match=hint):
        check_name("ner", version)


def test_a_folder_without_a_model_is_named(build: Build, tmp_path: Path) -> None:
    with pytest.raises(UserError, match="There is no trained model in"):
        build(tmp_path / "packages", model=tmp_path)
    assert not list(tmp_path.iterdir())


@pytest.mark.parametrize("lang", ["../../escaped", "/escaped", "..", "", None, 1, "C:x", "a\\b"])
def test_a_model_whose_language_would_name_a_folder_elsewhere_is_refused(
    build: Build, tmp_path: Path, lang: object
) -> None:
    (tmp_path / "model").mkdir()
    (tmp_path / "model/meta.json").write_text(json.dumps({"lang": lang}))
    with pytest.raises(UserError, match="as the model's language"):
        build(tmp_path / "a/b/packages", model=tmp_path / "model")
    assert [path.name for path in tmp_path.iterdir()] == ["model"]


@pytest.mark.parametrize("config", ["", "[nlp", "[nlp]\nlang = en"])
def test_a_model_whose_config_is_damaged_is_refused_and_leaves_nothing(
    build: Build, tmp_path: Path, config: str
) -> None:
    (tmp_path / "model").mkdir()
    (tmp_path / "model/meta.json").write_text('{"lang": "en"}')
    (tmp_path / "model/config.cfg").write_text(config)
    with pytest.raises(UserError, match=r"The model's config\.cfg can't be used"):
        build(tmp_path / "packages", model=tmp_path / "model")
    assert list((tmp_path / "packages").iterdir()) == []


def test_a_wheel_is_found_by_its_own_path_or_by_its_package_s_folder(tmp_path: Path) -> None:
    (tmp_path / "dist").mkdir()
    wheel = tmp_path / "dist/en_ner-0.1.0-py3-none-any.whl"
    for missing in (tmp_path, wheel):
        with pytest.raises(UserError, match="There is no wheel in"):
            find_wheel(missing)
    wheel.touch()
    assert find_wheel(tmp_path) == find_wheel(wheel) == wheel


@pytest.mark.parametrize(
    ("file", "content", "says"),
    [
        ("metrics", None, "There is no file .*metrics.json\nMake it first: weasel run evaluate"),
        ("metrics", "{", "Can't read .*metrics.json"),
        ("metrics", "[]", "metrics.json must hold a JSON object"),
        ("metrics", "{}", "metrics.json lacks micro, types, passages, gates\nMake it first: weasel run evaluate"),
        ("counts", '{"types": {}}', "counts.json lacks passages, without_entities"),
        ("about", '{"author": ["a"]}', "'author' in .*about.json must be text"),
    ],
)
def test_a_file_that_does_not_fit_is_named(
    model: Path, tmp_path: Path, told: Callable[..., dict[str, Path]], file: str, content: str | None, says: str
) -> None:
    files = told(SCHEMA, metrics=METRICS, counts=COUNTS, about=ABOUT)
    if content is None:
        files[file].unlink()
    else:
        files[file].write_text(content)
    with pytest.raises(UserError, match=says):
        package_model(model, tmp_path / "packages", name="ner", **files)
    assert not (tmp_path / "packages").exists()


@pytest.mark.slow
def test_the_command_packages_and_names_what_it_can_not_read(
    model: Path, tmp_path: Path, told: Callable[..., dict[str, Path]], domain_ner: Callable[..., Outcome]
) -> None:
    files = told(SCHEMA, metrics=METRICS, counts=COUNTS, about=ABOUT)
    options = [word for name, path in files.items() for word in (f"--{name}", path)]
    done = domain_ner("package", model, tmp_path / "packages", "--name", "Billing", *options)
    assert (done.code, "'Billing' can't be a package's name" in done.err) == (1, True)
    done = domain_ner("package", model, tmp_path / "packages", "--name", "ner", *options)
    assert (done.code, done.err) == (0, "")
    assert f"pip install {tmp_path}/packages/en_ner-0.1.0/dist/en_ner-0.1.0-py3-none-any.whl" in done.out


@pytest.fixture(scope="module")
def site(build: Build, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder with two installed packages of a model that carries its own code."""
    folder = tmp_path_factory.mktemp("site")
    table = folder / "words" / "own.safetensors"
    table.parent.mkdir()
    shutil.copy(SHIPPED / "minilm.safetensors", table)
    network = {
        "@architectures": "spacy_domain_ner.BiluoTagger.v1",
        "tok2vec": {
            "@architectures": "spacy.Tok2Vec.v2",
            "embed": {"@architectures": "spacy_domain_ner.WordPieceEmbed.v1", "width": 16, "words": str(table)},
            "encode": {
                "@architectures": "spacy.MaxoutWindowEncoder.v2", "width": 16, "depth": 1, "window_size": 1,
                "maxout_pieces": 2,
            },
        },
    }  # fmt: skip
    passages = [Passage("Kafka calls Redis", [Span(0, 5, "INFRA"), Span(12, 17, "INFRA")])]
    nlp = memorized(FACTORY, passages, config={"model": network})
    nlp.to_disk(folder / "model")
    for name in ("one_ner", "two_ner"):
        with zipfile.ZipFile(build(folder / "packages", model=folder / "model", name=name)) as archive:
            archive.extractall(folder)
    return folder


@pytest.mark.slow
def test_the_words_of_a_model_travel_with_their_licence_and_without_their_place(site: Path) -> None:
    [model] = site.glob("en_one_ner/en_one_ner-*")
    notice = (model / "LICENSES_SOURCES").read_text(encoding="utf8")
    assert "all-MiniLM-L6-v2" in notice
    assert "END OF TERMS AND CONDITIONS" in notice
    card = (model / "README.md").read_text(encoding="utf8")
    said = "sentence-transformers/all-MiniLM-L6-v2 (its table of word pieces; licence: Apache-2.0)"
    assert f"base model: {said}" in card
    assert (site / "en_one_ner" / "word_pieces.py").is_file()
    assert 'words = "own.safetensors"' in (model / "config.cfg").read_text(encoding="utf8")
    for file in model.rglob("*"):
        assert file.is_dir() or str(site).encode() not in file.read_bytes(), file


@pytest.mark.slow
@pytest.mark.parametrize("blocked", [WITHOUT_PLUGIN, ""], ids=["the packages alone", "beside the plugin"])
def test_what_was_made_from_a_package_and_saved_loads_in_a_new_process(
    site: Path, tmp_path: Path, blocked: str
) -> None:
    def run(*lines: str) -> list[str]:
        script = "\n".join([blocked, WITH_PACKAGES, *lines])
        command = [sys.executable, "-c", script, str(site)]
        done = subprocess.run(command, cwd=tmp_path, capture_output=True, text=True, check=False)
        assert done.returncode == 0, done.stderr
        return done.stdout.splitlines()

    run(
        "nlp = spacy.load('en_one_ner')",
        "nlp.add_pipe('entity_ruler', before='ner').add_patterns([{'label': 'TEAM', 'pattern': 'calls'}])",
        "nlp.to_disk('saved')",
        "sourced = spacy.blank('en')",
        "sourced.add_pipe('ner', source=spacy.load('en_two_ner'))",
        "sourced.to_disk('sourced')",
    )
    stores = "('Kafka', 'INFRA', True), ('Redis', 'INFRA', True)"
    with_rule = stores.replace("), (", "), ('calls', 'TEAM', False), (")
    shown = run(*(f"show({model!r})" for model in ("saved", "sourced", "en_one_ner", "en_two_ner")))
    assert shown == [f"[{with_rule}]", *[f"[{stores}]"] * 3]


def test_a_package_requires_no_other_package_that_carries_the_same_code(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    other = tmp_path / "site" / "en_other_ner-0.1.0.dist-info"
    other.mkdir(parents=True)
    (other / "METADATA").write_text("Metadata-Version: 2.1\nName: en_other_ner\nVersion: 0.1.0\n")
    (other / "entry_points.txt").write_text(f"[spacy_factories]\n{FACTORY} = en_other_ner.biluo_ner:create_biluo_ner\n")
    monkeypatch.syspath_prepend(other.parent)
    built = tmp_path / "built"
    built.mkdir()
    required = ["spacy>=3.8", "en-other-ner>=0.1.0,<0.2.0", "spacy-domain-ner>=0.1.0", "en_unlike_ner>=1"]
    (built / "meta.json").write_text(json.dumps({"requirements": required}))
    _without_providers(built)
    assert json.loads((built / "meta.json").read_text())["requirements"] == [required[0], required[3]]


@pytest.mark.parametrize(
    ("runtime", "message"),
    [
        ("onnx", "`runtime` is onnx, but this model has no transformer: it needs no PyTorch as it is"),
        ("onnx-int8", "`runtime` is onnx-int8, but this model has no transformer: it needs no PyTorch as it is"),
        ("int8", "`runtime` is 'int8', which is not known"),
        ("torhc", "`runtime` is 'torhc', which is not known"),
        ("", "`runtime` is '', which is not known"),
    ],
)
def test_a_runtime_that_does_not_fit_the_model_is_refused(
    model: Path, told: Callable[..., dict[str, Path]], tmp_path: Path, runtime: str, message: str
) -> None:
    files = told(SCHEMA, metrics=METRICS, counts=COUNTS, about=ABOUT)
    with pytest.raises(UserError, match=message):
        package_model(model, tmp_path / "packages", name="billing_ner", **files, runtime=runtime)
    assert not (tmp_path / "packages").exists()
