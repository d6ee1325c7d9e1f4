"""What configs name is found where nothing has imported the plugin, as in `spacy train`."""

import subprocess
import sys

import pytest

NAMES = [
    ("callbacks", "spacy_domain_ner.customize_tokenizer.v1"),
    ("callbacks", "spacy_domain_ner.customize_tokenizer.v2"),
    ("callbacks", "spacy_domain_ner.freeze_embeddings.v1"),
    ("augmenters", "spacy_domain_ner.unseen_names.v1"),
    # The registry is thinc's own, and so is the name of its group.
    ("optimizers", "spacy_domain_ner.two_rates.v1"),
    ("architectures", "spacy_domain_ner.BiluoTagger.v1"),
    ("architectures", "spacy_domain_ner.MaxoutWindowEncoder.v1"),
    ("architectures", "spacy_domain_ner.MemoizedEmbed.v1"),
    ("architectures", "spacy_domain_ner.PieceBatchedTransformer.v1"),
    ("architectures", "spacy_domain_ner.WordPieceEmbed.v1"),
    ("misc", "spacy_domain_ner.words.v1"),
    ("span_getters", "spacy_domain_ner.byte_windows.v1"),
]


@pytest.mark.parametrize(("registry", "name"), NAMES)
def test_a_registered_function_is_found_by_its_entry_point(tmp_path, registry, name, request):
    # All others are found where PyTorch is not installed: to make a package, spaCy loads every one of them.
    if registry == "span_getters":
        pytest.importorskip("spacy_transformers", reason="the transformers extra is not installed")
        request.getfixturevalue("pytorch")
    lines = ["from spacy import registry", f"assert callable(registry.get({registry!r}, {name!r}))"]
    if registry == "span_getters":
        lines.insert(0, "import spacy_transformers.util")
    run(lines, tmp_path)


@pytest.mark.parametrize("name", ["spacy_domain_ner_huggingface_onnx", "spacy_domain_ner_biluo_v1"])
def test_a_component_is_found_by_its_entry_point(tmp_path, name):
    run(["import spacy", f"spacy.blank('en').add_pipe({name!r})"], tmp_path)


def run(lines, folder):
    code = ["import sys", *lines, "assert any(name.startswith('spacy_domain_ner') for name in sys.modules)"]
    done = subprocess.run(
        [sys.executable, "-c", "\n".join(code)], cwd=folder, capture_output=True, text=True, check=False
    )
    assert done.returncode == 0, done.stderr
