"""A Hugging Face token classifier in onnxruntime: what PyTorch makes of its weights, whatever stands beside a text."""

import random
from collections.abc import Callable
from functools import cache

import numpy
import pytest
import spacy
import srsly
from helpers.tiny_transformers import KINDS
from spacy.language import Language

from spacy_domain_ner.components.huggingface_ner import CALIBRATION, FACTORY, ONNX_FACTORY
from spacy_domain_ner.components.onnx_reader import ABOUT, GRAPH, TOKENIZER
from spacy_domain_ner.deployment.onnx_graph import build_graph
from spacy_domain_ner.tokenization import create_customize_tokenizer

for package in ("onnx", "onnxruntime", "transformers"):
    pytest.importorskip(package, reason="the extras transformers and onnx are not installed")

TEXTS = [
    "Redis",
    "",
    "Kafka is down, and checkout-api with it.",
    " \n\t ",
    "GET /api/v2/orders/{id} failed " * 20,
    "Cafe\u0301 🚀 東京 ﬁ \u00a0 [SEP] <pad> </s> [PAD]",
    "a  b\r\n\r\nc\u200bd ()",
    f"x{'y' * 300}z",
    *(f"{'word ' * number}x9" for number in range(8)),
]
TAGS = ["B-TEAM", "O", "I-SERVICE", "I-TEAM", "B-SERVICE"]
# Most texts above have several.
WINDOWS = {"max_length": 24, "overlap": 8}
CALIBRATED = {"slope": 0.75, "intercept": 0.25, "expected": {"": 1.1, "TEAM": 0.8}}


@pytest.fixture(scope="module")
def pipelines(tiny, tmp_path_factory) -> Callable[[str], tuple[Language, Language]]:
    """Pipelines with a token classifier of random weights of a kind, in PyTorch and in onnxruntime."""

    @cache
    def pipelines(kind: str) -> tuple[Language, Language]:
        import torch
        from transformers import AutoModelForTokenClassification, AutoTokenizer

        torch.manual_seed(0)
        labels = {"id2label": dict(enumerate(TAGS)), "label2id": {tag: number for number, tag in enumerate(TAGS)}}
        model = AutoModelForTokenClassification.from_pretrained(tiny(kind), **labels)
        with torch.no_grad():
            # Such a head is never sure of anything.
            model.classifier.weight.mul_(40)
            model.classifier.bias.normal_()
        folder = tmp_path_factory.mktemp(kind)
        model.save_pretrained(folder)
        AutoTokenizer.from_pretrained(tiny(kind)).save_pretrained(folder)
        torch_nlp, onnx_nlp = (create_customize_tokenizer()(spacy.blank("en")) for _ in range(2))
        trained = torch_nlp.add_pipe(FACTORY, config=WINDOWS).load(folder)
        onnx_nlp.add_pipe(ONNX_FACTORY, config=WINDOWS).load(
            build_graph(trained.model, WINDOWS["max_length"]),
            trained.tokenizer.backend_tokenizer.to_str().encode(),
            longest=WINDOWS["max_length"],
            tags=trained.tags,
        )
        for nlp in (torch_nlp, onnx_nlp):
            nlp.components[0][1].calibration = CALIBRATED
        return torch_nlp, onnx_nlp

    return pipelines


def found(doc) -> dict[tuple[int, int, str], float]:
    return {(ent.start, ent.end, ent.label_): ent._.confidence for ent in doc.ents}


@pytest.mark.parametrize("kind", KINDS)
def test_entities_and_all_probabilities_are_those_of_pytorch(pipelines, kind):
    torch_nlp, onnx_nlp = pipelines(kind)
    sides = [[found(doc) for doc in nlp.pipe(TEXTS)] for nlp in (torch_nlp, onnx_nlp)]
    assert sum(map(len, sides[0])) > 20
    for text, expected, entities in zip(TEXTS, *sides, strict=True):
        assert entities == pytest.approx(expected, abs=1e-4), text
    (_, trained), (_, component) = torch_nlp.components[0], onnx_nlp.components[0]
    assert component.labels == trained.labels == ("SERVICE", "TEAM")
    docs = [torch_nlp.make_doc(text) for text in TEXTS]
    for method in ("tag_probabilities", "uncertainty"):
        for expected, rows in zip(getattr(trained, method)(docs), getattr(component, method)(docs), strict=True):
            numpy.testing.assert_allclose(rows, expected, atol=1e-4)
    for expected, counts in zip(trained.expected(docs), component.expected(docs), strict=True):
        assert counts == pytest.approx(expected, abs=1e-3)


@pytest.mark.parametrize("threads", ["1", "3"])
@pytest.mark.parametrize("kind", KINDS)
def test_a_text_has_the_very_same_entities_alone_and_beside_any_others(pipelines, monkeypatch, kind, threads):
    _, nlp = pipelines(kind)
    alone = {text: found(nlp(text)) for text in TEXTS}
    monkeypatch.setenv("OMP_NUM_THREADS", threads)
    for seed, size in ((0, 3), (1, 100)):
        shuffled = random.Random(seed).sample(TEXTS * 2, 2 * len(TEXTS))
        for doc in nlp.pipe(shuffled, batch_size=size):
            assert found(doc) == alone[doc.text]


def test_a_component_is_the_same_from_disk_and_from_bytes(pipelines, tmp_path):
    _, nlp = pipelines("byte-bpe")
    expected = found(nlp(TEXTS[4]))
    assert expected
    nlp.to_disk(tmp_path)
    assert {path.name for path in (tmp_path / ONNX_FACTORY).iterdir()} == {GRAPH, TOKENIZER, ABOUT, CALIBRATION}
    again = spacy.load(tmp_path)
    assert found(again(TEXTS[4])) == expected
    assert again.get_pipe(ONNX_FACTORY).calibration == CALIBRATED
    from_bytes = type(nlp).from_config(nlp.config).from_bytes(nlp.to_bytes())
    assert found(from_bytes(TEXTS[4])) == expected


def test_without_a_model_it_says_so_and_is_saved_as_nothing(tmp_path):
    nlp = spacy.blank("en")
    component = nlp.add_pipe(ONNX_FACTORY)
    component.to_disk(tmp_path)
    assert component.from_disk(tmp_path).labels == ()
    assert not [*tmp_path.iterdir()]
    with pytest.raises(ValueError, match="has no model yet"):
        nlp("Redis")


@pytest.mark.parametrize("tags", [TAGS[:4], [*TAGS, "B-X"], None])
def test_tags_that_are_not_the_models_are_told_in_one_line(pipelines, tmp_path, tags):
    _, nlp = pipelines("byte-bpe")
    nlp.get_pipe(ONNX_FACTORY).to_disk(tmp_path)
    about = srsly.read_json(tmp_path / ABOUT)
    srsly.write_json(tmp_path / ABOUT, {**about, "tags": tags})
    with pytest.raises(ValueError, match="are not those of its model") as raised:
        spacy.blank("en").add_pipe(ONNX_FACTORY).from_disk(tmp_path)
    assert "\n" not in str(raised.value)
