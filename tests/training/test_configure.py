"""From a base model's name to the training config, with real model folders and without a network."""

import json
import os
import shutil
from pathlib import Path

import pytest
from helpers.tiny_transformers import BARE, KINDS
from spacy import util

from spacy_domain_ner.base_models.presets import small_values
from spacy_domain_ner.errors import UserError
from spacy_domain_ner.training.configure import configure


@pytest.fixture
def configs(template_configs, tmp_path) -> Path:
    """A copy of the template's configs that a test may change."""
    return shutil.copytree(template_configs, tmp_path / "configs")


# Their defaults are written into them, too.
SECTIONS = ("optimizer", "batcher", "score_weights")


def written(path: Path) -> dict:
    return util.load_config(path, interpolate=False)


def tokenizer_settings(config: dict) -> dict:
    return config["components"]["transformer"]["model"]["tokenizer_config"]


def test_cnn_is_filled_so_that_spacy_adds_nothing_and_needs_no_transformers(configs, tmp_path):
    preset = configure("cnn", configs, tmp_path / "out/config.cfg")
    assert preset.name == "cnn"
    found, own = written(tmp_path / "out/config.cfg"), written(configs / "cnn.cfg")
    assert found["components"]["ner"]["model"] == own["components"]["ner"]["model"]
    assert found["training"].items() >= {**own["training"], **{k: found["training"][k] for k in SECTIONS}}.items()
    # Every value is there: this is what `spacy debug data` checks.
    nlp = util.load_model_from_config(found, auto_fill=False, validate=True)
    assert nlp.config.to_str(interpolate=False) == found.to_str(interpolate=False)


@pytest.mark.parametrize("kind", [*KINDS, *BARE])
def test_a_folder_fills_in_what_is_null(tiny, configs, tmp_path, kind):
    preset = configure(str(tiny(kind)), configs, tmp_path / "config.cfg")
    config = written(tmp_path / "config.cfg")
    model = config["components"]["transformer"]["model"]
    assert model["name"] == preset.hub == str(tiny(kind))
    # It is 32 wide: the values of small transformers.
    assert config["training"]["optimizer"]["learn_rate"]["initial_rate"] == small_values()["learn_rate"]
    assert config["training"]["batcher"]["size"] == small_values()["batch_words"]
    assert model["tokenizer_config"]["use_fast"] is True


def test_only_a_cased_model_without_a_tokenizer_config_needs_to_be_told(tiny, configs, tmp_path):
    for kind in (*KINDS, *BARE):
        configure(str(tiny(kind)), configs, tmp_path / "config.cfg")
        told = tokenizer_settings(written(tmp_path / "config.cfg")).get("do_lower_case")
        assert told == (False if kind == "wordpiece-bare" else None), kind


def test_whether_a_model_is_cased_is_seen_from_its_vocabulary(tiny, configs, tmp_path):
    from transformers import AutoTokenizer

    for kind, told in (("wordpiece-cased", False), ("wordpiece-uncased", None)):
        folder = shutil.copytree(tiny(kind), tmp_path / kind)
        # transformers lower-cases then, whatever tokenizer.json says.
        (folder / "tokenizer_config.json").unlink()
        configure(str(folder), configs, tmp_path / "config.cfg")
        settings = tokenizer_settings(written(tmp_path / "config.cfg"))
        assert settings.get("do_lower_case") is told, kind
        pieces = AutoTokenizer.from_pretrained(folder, **settings).tokenize("CRIMS")
        assert "".join(pieces).replace("##", "") == ("CRIMS" if told is False else "crims")


def test_a_tokenizer_is_told_the_longest_input(tiny, configs, tmp_path):
    # One that does not know it lets a token of more word pieces through, and the transformer fails on that passage.
    for kind in (*KINDS, *BARE):
        configure(str(tiny(kind)), configs, tmp_path / "config.cfg")
        assert tokenizer_settings(written(tmp_path / "config.cfg"))["model_max_length"] == 512, kind


def test_positions_that_roberta_keeps_for_padding_are_not_counted(tiny, configs, tmp_path):
    folder = shutil.copytree(tiny("byte-bpe"), tmp_path / "model")
    settings = json.loads((folder / "tokenizer_config.json").read_text())
    del settings["model_max_length"]
    (folder / "tokenizer_config.json").write_text(json.dumps(settings))
    configure(str(folder), configs, tmp_path / "config.cfg")
    assert tokenizer_settings(written(tmp_path / "config.cfg"))["model_max_length"] == 512


@pytest.mark.parametrize("framework", ["spacy", "huggingface"])
def test_what_the_user_has_set_stays(tiny, configs, tmp_path, framework):
    changes = {
        "transformer.cfg": [
            ("initial_rate = null", "initial_rate = 0.00007"),
            ("size = null", "size = 123"),
            ("model.tokenizer_config]", "model.tokenizer_config]\na = 1"),
        ],
        "huggingface.cfg": [
            ("learning_rate = null", "learning_rate = 0.00007"),
            ("[huggingface.tokenizer]", "[huggingface.tokenizer]\na = 1"),
        ],
    }
    for name, replacements in changes.items():
        text = (configs / name).read_text(encoding="utf8")
        for old, new in replacements:
            assert old in text
            text = text.replace(old, new)
        (configs / name).write_text(text, encoding="utf8")
    configure(str(tiny("wordpiece-cased")), configs, tmp_path / "config.cfg", framework=framework)
    config = written(tmp_path / "config.cfg")
    if framework == "spacy":
        assert config["training"]["optimizer"]["learn_rate"]["initial_rate"] == 0.00007
        assert config["training"]["batcher"]["size"] == 123
        assert tokenizer_settings(config)["a"] == 1
    else:
        assert config["huggingface"]["training"]["learning_rate"] == 0.00007
        assert config["huggingface"]["tokenizer"] == {"a": 1}
        assert config["huggingface"]["name"] == str(tiny("wordpiece-cased"))


def test_the_huggingface_config_is_filled(tiny, configs, tmp_path):
    configure(str(tiny("wordpiece-bare")), configs, tmp_path / "config.cfg", framework="huggingface")
    section = written(tmp_path / "config.cfg")["huggingface"]
    assert section["name"] == str(tiny("wordpiece-bare"))
    assert section["tokenizer"] == {"use_fast": True, "do_lower_case": False, "model_max_length": 512}
    assert section["training"]["learning_rate"] == small_values()["learn_rate"]


def test_a_config_of_ones_own_is_taken_by_its_name(configs, tmp_path):
    shutil.copy(configs / "cnn.cfg", configs / "mine.cfg")
    assert configure("mine", configs, tmp_path / "config.cfg") is None
    assert (
        written(tmp_path / "config.cfg")["components"]["ner"]["model"]
        == written(configs / "mine.cfg")["components"]["ner"]["model"]
    )


def test_a_config_that_would_not_change_is_left_alone(tiny, configs, tmp_path):
    output = tmp_path / "config.cfg"
    configure(str(tiny("wordpiece-cased")), configs, output)
    os.utime(output, (1, 1))
    configure(str(tiny("wordpiece-cased")), configs, output)
    assert output.stat().st_mtime == 1
    configure(str(tiny("wordpiece-uncased")), configs, output)
    assert output.stat().st_mtime > 1


def refused(base_model: object, configs: Path, output: Path, **settings: str) -> UserError:
    with pytest.raises(UserError) as raised:
        configure(str(base_model), configs, output, **settings)
    assert raised.value.hint
    assert "\n" not in raised.value.what
    assert not output.exists()
    return raised.value


def test_a_transformer_that_reads_less_than_a_window_is_refused_with_the_size_to_set(tiny, configs, tmp_path):
    folder = shutil.copytree(tiny("wordpiece-cased"), tmp_path / "model")
    settings = json.loads((folder / "tokenizer_config.json").read_text())
    (folder / "tokenizer_config.json").write_text(json.dumps({**settings, "model_max_length": 128}))
    assert "Set size to 126" in refused(folder, configs, tmp_path / "config.cfg").hint
    text = (configs / "transformer.cfg").read_text(encoding="utf8")
    (configs / "transformer.cfg").write_text(text.replace("size = 500\noverlap = 120", "size = 126\noverlap = 30"))
    configure(str(folder), configs, tmp_path / "config.cfg")
    # transformers' own windows are as long as the tokenizer allows.
    configure(str(folder), configs, tmp_path / "config.cfg", framework="huggingface")


@pytest.mark.parametrize("framework", ["spacy", "huggingface"])
def test_a_hub_name_that_can_not_be_reached_is_refused_with_what_to_do(tiny, configs, tmp_path, framework):
    error = refused("acme/no-such-model", configs, tmp_path / "config.cfg", framework=framework)
    assert "acme/no-such-model" in error.what
    assert "save_pretrained" in error.hint


@pytest.mark.slow
@pytest.mark.usefixtures("pytorch")
def test_the_command_refuses_a_model_that_is_not_here_without_a_network(tiny, configs, run):
    # With a connection that is refused it says the same, once the hub's client has tried six times.
    done = run("domain-ner", "configure", "acme/no-such-model", configs, "--output", "config.cfg")
    assert done.returncode == 1
    assert "The base model acme/no-such-model can't be used" in done.stderr
    assert "Check the name and the connection" in done.stderr
    assert "Traceback" not in done.stderr
    assert not (configs.parent / "config.cfg").exists()


def test_a_folder_that_holds_no_model_is_refused(tiny, configs, tmp_path):
    (tmp_path / "empty").mkdir()
    assert "save_pretrained" in refused(tmp_path / "empty", configs, tmp_path / "config.cfg").hint


@pytest.mark.parametrize("missing", ["config.json", "model.safetensors", "vocab.txt"])
def test_a_folder_that_lacks_a_part_is_refused(tiny, configs, tmp_path, missing):
    folder = shutil.copytree(tiny("wordpiece-bare"), tmp_path / "model")
    (folder / missing).unlink()
    assert str(folder) in refused(folder, configs, tmp_path / "config.cfg").what


@pytest.mark.parametrize("damaged", ["config.json", "model.safetensors", "spm.model"])
def test_a_folder_with_a_damaged_part_is_refused(tiny, configs, tmp_path, damaged):
    folder = shutil.copytree(tiny("sentencepiece-bare"), tmp_path / "model")
    (folder / damaged).write_bytes((folder / damaged).read_bytes()[:50])
    refused(folder, configs, tmp_path / "config.cfg")


def with_code(folder: Path, trace: Path, auto_map: dict[str, str], **changes: str) -> Path:
    """Give a model's folder code of its own that leaves a trace where it is executed."""
    for name in ("configuration_evil", "modeling_evil", "tokenization_evil"):
        (folder / f"{name}.py").write_text(f"open({str(trace)!r}, 'w').write('executed')\n")
    config = json.loads((folder / "config.json").read_text())
    (folder / "config.json").write_text(json.dumps({**config, "auto_map": auto_map, **changes}))
    return folder


CODE = {
    "AutoConfig": "configuration_evil.EvilConfig",
    "AutoModel": "modeling_evil.EvilModel",
    "AutoModelForTokenClassification": "modeling_evil.EvilModel",
    "AutoTokenizer": "tokenization_evil.EvilTokenizer",
}


def test_code_that_comes_with_a_model_is_refused_and_not_executed(tiny, configs, tmp_path):
    folder = shutil.copytree(tiny("wordpiece-cased"), tmp_path / "model")
    with_code(folder, tmp_path / "trace", CODE, model_type="evil")
    error = refused(folder, configs, tmp_path / "config.cfg")
    assert "never executed" in error.hint
    assert not (tmp_path / "trace").exists()


def test_code_beside_a_model_that_transformers_knows_is_passed_over(tiny, configs, tmp_path):
    folder = shutil.copytree(tiny("wordpiece-cased"), tmp_path / "model")
    with_code(folder, tmp_path / "trace", CODE)
    configure(str(folder), configs, tmp_path / "config.cfg")
    assert not (tmp_path / "trace").exists()


def test_code_of_a_tokenizer_is_refused_and_not_executed(tiny, configs, tmp_path):
    folder = shutil.copytree(tiny("wordpiece-cased"), tmp_path / "model")
    with_code(folder, tmp_path / "trace", {})
    settings = {
        "tokenizer_class": "EvilTokenizer",
        "auto_map": {"AutoTokenizer": ["tokenization_evil.EvilTokenizer", None]},
    }
    (folder / "tokenizer_config.json").write_text(json.dumps(settings))
    assert "never executed" in refused(folder, configs, tmp_path / "config.cfg").hint
    assert not (tmp_path / "trace").exists()


class Evil:
    def __init__(self, trace: Path) -> None:
        self.trace = trace

    def __reduce__(self):
        return (Path.touch, (self.trace,))


def test_code_in_pickled_weights_is_not_executed(tiny, configs, tmp_path):
    import torch

    folder = shutil.copytree(tiny("wordpiece-cased"), tmp_path / "model")
    (folder / "model.safetensors").unlink()
    torch.save({"embeddings": Evil(tmp_path / "trace")}, folder / "pytorch_model.bin")
    refused(folder, configs, tmp_path / "config.cfg")
    assert not (tmp_path / "trace").exists()


def test_a_tokenizer_that_can_not_trace_its_pieces_is_refused(tiny, configs, tmp_path):
    folder = shutil.copytree(tiny("wordpiece-bare"), tmp_path / "model")
    # A tokenizer that transformers has in its slow form only.
    settings = {"tokenizer_class": "BertJapaneseTokenizer", "word_tokenizer_type": "basic"}
    (folder / "tokenizer_config.json").write_text(json.dumps(settings))
    assert "no fast tokenizer" in refused(folder, configs, tmp_path / "config.cfg").what


def test_the_framework_huggingface_needs_a_transformer(configs, tmp_path):
    error = refused("cnn", configs, tmp_path / "config.cfg", framework="huggingface")
    assert "cnn is not a transformer" in error.what
    assert "minilm" in error.hint


@pytest.mark.parametrize("name", ["transformer", "huggingface"])
def test_a_config_that_presets_fill_is_no_base_model(configs, tmp_path, name):
    assert "is neither a preset" in refused(name, configs, tmp_path / "config.cfg").what


def test_a_framework_that_is_not_known_is_refused(configs, tmp_path):
    assert "spacy, huggingface" in refused("cnn", configs, tmp_path / "config.cfg", framework="flair").hint


@pytest.mark.parametrize("name", ["cnn", "mine"])
def test_a_config_that_can_not_be_read_is_named(configs, tmp_path, name):
    (configs / f"{name}.cfg").write_text("[nlp\nlang")
    assert f"{name}.cfg" in refused(name, configs, tmp_path / "config.cfg").what


def test_a_folder_without_the_config_says_which_is_missing(tiny, configs, tmp_path):
    (configs / "transformer.cfg").unlink()
    assert "transformer.cfg" in refused(tiny("wordpiece-cased"), configs, tmp_path / "config.cfg").what


def test_what_cnn_knows_about_words_is_in_its_config(tiny, configs, tmp_path):
    def network(words):
        preset = configure("cnn", configs, tmp_path / "config.cfg", words=words)
        model = written(tmp_path / "config.cfg")["components"]["ner"]["model"]
        return model["tok2vec"]["embed"]["embed"]["*"]["parts"]["*"]["pieces"], preset.licence

    pieces, licence = network("minilm")
    assert pieces["words"] == "minilm"
    assert licence.endswith("; words: sentence-transformers/all-MiniLM-L6-v2, Apache-2.0")
    pieces, licence = network(str(tiny("wordpiece-cased")))
    assert pieces["words"].startswith(str(tmp_path / "words" / "wordpiece-cased-"))
    assert "words: wordpiece-cased, not stated" in licence
    pieces, licence = network("none")
    assert (pieces["@architectures"], pieces["attrs"]) == ("spacy.MultiHashEmbed.v2", ["NORM"])
    assert "words:" not in licence


def test_an_encoder_whose_vocabulary_is_not_wordpiece_is_refused_before_training(tiny, configs, tmp_path):
    with pytest.raises(UserError, match="of the kind BPE, and a packaged model"):
        configure("cnn", configs, tmp_path / "config.cfg", words=str(tiny("byte-bpe")))
    assert not (tmp_path / "config.cfg").exists()


def test_a_cnn_config_of_an_earlier_template_cannot_be_given_words(configs, tmp_path):
    earlier = written(configs / "cnn.cfg")
    del earlier["components"]["ner"]["model"]["tok2vec"]["embed"]["embed"]["*"]["parts"]["*"]["pieces"]
    earlier.to_disk(configs / "cnn.cfg")
    for words in (None, "none"):
        configure("cnn", configs, tmp_path / "config.cfg", words=words)
    with pytest.raises(UserError, match="no layer of word pieces"):
        configure("cnn", configs, tmp_path / "config.cfg", words="minilm")


def test_words_do_not_concern_a_transformer_or_a_config_without_them(tiny, configs, tmp_path):
    configure(str(tiny("wordpiece-cased")), configs, tmp_path / "config.cfg", words="minilm")
    own = written(configs / "cnn.cfg")
    del own["components"]["ner"]["model"]["tok2vec"]["embed"]["embed"]["*"]["parts"]["*"]["pieces"]
    own.to_disk(configs / "mine.cfg")
    assert configure("mine", configs, tmp_path / "config.cfg", words="minilm") is None
