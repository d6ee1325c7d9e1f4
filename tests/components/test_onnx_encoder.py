"""A transformer in onnxruntime: the vectors of spacy-transformers, whatever stands beside a text."""

import random
from collections.abc import Callable
from functools import cache

import numpy
import pytest
import spacy
from helpers.tiny_transformers import BARE, KINDS, LONGEST

from spacy_domain_ner.components.onnx_encoder import FACTORY
from spacy_domain_ner.components.onnx_reader import GRAPH, TOKENIZER
from spacy_domain_ner.deployment.onnx_graph import build_graph
from spacy_domain_ner.deployment.onnx_int8 import LARGEST_WEIGHT, quantize_graph
from spacy_domain_ner.errors import UserError
from spacy_domain_ner.tokenization import create_customize_tokenizer

for package in ("onnx", "onnxruntime", "spacy_transformers"):
    pytest.importorskip(package, reason="the extras transformers and onnx are not installed")

TEXTS = [
    "Redis",
    "",
    "Kafka is down, and checkout-api with it.",
    " \n\t ",
    f"Redis lost /{'a/' * 700}x and checkout-api failed.",
    "GET /api/v2/orders/{id} failed " * 60,
    "Cafe\u0301 🚀 東京 ﬁ \u00a0 [SEP] <pad> </s> [PAD]",
    "a  b\r\n\r\nc\u200bd",
    "ﷺ" * 30,
    *(f"{'word ' * number}x9" for number in range(12)),
]
WINDOWS = {"@span_getters": "spacy_domain_ner.byte_windows.v1", "size": 500, "overlap": 120}


@pytest.fixture(scope="module")
def pipelines(tiny) -> Callable[[str], tuple[spacy.Language, spacy.Language]]:
    """Pipelines with a tiny transformer of a kind, in PyTorch and in onnxruntime."""

    @cache
    def pipelines(kind: str) -> tuple[spacy.Language, spacy.Language]:
        torch_nlp, onnx_nlp = (create_customize_tokenizer()(spacy.blank("en")) for _ in range(2))
        model = {"name": str(tiny(kind)), "get_spans": WINDOWS, "tokenizer_config": {"model_max_length": LONGEST}}
        torch_nlp.add_pipe("transformer", config={"model": model})
        torch_nlp.initialize()
        transformer = torch_nlp.get_pipe("transformer").model
        onnx_nlp.add_pipe(FACTORY).reader.load(
            build_graph(transformer.transformer, LONGEST),
            transformer.tokenizer.backend_tokenizer.to_str().encode(),
            longest=LONGEST,
        )
        return torch_nlp, onnx_nlp

    return pipelines


def vectors(doc) -> numpy.ndarray:
    """The mean of each token's word pieces."""
    data = doc._.trf_data
    if not len(data.align.lengths):
        return numpy.zeros((0, 32))
    flat, ends = data.model_output.last_hidden_state.reshape(-1, data.width), data.align.lengths.cumsum()
    rows = [flat[data.align.dataXd[end - count : end]] for end, count in zip(ends, data.align.lengths, strict=True)]
    return numpy.array([row.mean(axis=0) if len(row) else numpy.zeros(data.width) for row in rows])


@pytest.mark.parametrize("kind", [*KINDS, *BARE])
def test_tokens_have_the_vectors_that_pytorch_gives_them(pipelines, kind):
    torch_nlp, onnx_nlp = pipelines(kind)
    for text, doc in zip(TEXTS, onnx_nlp.pipe(TEXTS), strict=True):
        numpy.testing.assert_allclose(doc.tensor, vectors(torch_nlp(text)), atol=2e-5)


@pytest.fixture(scope="module")
def in_8_bits(pipelines) -> Callable[[str], spacy.Language]:
    """The pipelines in onnxruntime with products in 8 bits."""

    @cache
    def in_8_bits(kind: str) -> spacy.Language:
        _, nlp = pipelines(kind)
        files = nlp.get_pipe(FACTORY).reader.files
        quantized = create_customize_tokenizer()(spacy.blank("en"))
        quantized.add_pipe(FACTORY).reader.load(quantize_graph(files[GRAPH]), files[TOKENIZER], longest=LONGEST)
        return quantized

    return in_8_bits


@pytest.mark.parametrize("kind", KINDS)
def test_in_8_bits_tokens_have_nearly_the_same_vectors(pipelines, in_8_bits, kind):
    _, nlp = pipelines(kind)
    exact, rounded = (numpy.concatenate([doc.tensor for doc in one.pipe(TEXTS)]) for one in (nlp, in_8_bits(kind)))
    error = numpy.sqrt(numpy.square(exact - rounded).mean() / numpy.square(exact).mean())
    assert 0 < error < 0.05


def test_in_8_bits_no_sum_of_two_products_overflows_16_bits_and_embeddings_stay(pipelines, in_8_bits):
    import onnx

    graphs = [
        onnx.load_model_from_string(nlp.get_pipe(FACTORY).reader.files[GRAPH]).graph
        for nlp in (pipelines("sentencepiece")[1], in_8_bits("sentencepiece"))
    ]
    before, after = (
        {tensor.name: onnx.numpy_helper.to_array(tensor) for tensor in graph.initializer} for graph in graphs
    )
    whole = [array for array in after.values() if array.dtype == "int8"]
    # Query, key, value, output, and the two of the inner layer.
    assert len(whole) == 2 * 6
    assert max(abs(array.astype(int)).max() for array in whole) == LARGEST_WEIGHT
    assert 2 * 255 * LARGEST_WEIGHT < 2**15
    gathered = [node.input[0] for node in graphs[1].node if node.op_type == "Gather" and node.input[0] in before]
    assert gathered
    for name in gathered:
        numpy.testing.assert_array_equal(after[name], before[name])


def test_a_vector_of_zeros_stays_one_in_8_bits():
    import onnx
    from onnxruntime import InferenceSession

    helper, types = onnx.helper, onnx.TensorProto
    graph = helper.make_graph(
        [helper.make_node("MatMul", ["vectors", "weight"], ["output"])],
        "product",
        [helper.make_tensor_value_info("vectors", types.FLOAT, ["pieces", 3])],
        [helper.make_tensor_value_info("output", types.FLOAT, ["pieces", 2])],
        [onnx.numpy_helper.from_array(numpy.array([[1, 0], [2, 0], [-4, 0]], "f"), "weight")],
    )
    opsets = [helper.make_opsetid("", 20), helper.make_opsetid("com.microsoft", 1)]
    content = quantize_graph(helper.make_model(graph, opset_imports=opsets, ir_version=10).SerializeToString())
    [found] = InferenceSession(content).run(None, {"vectors": numpy.array([[0, 0, 0], [0.5, 0, 0], [-3, 2, 1]], "f")})
    numpy.testing.assert_allclose(found, [[0, 0], [0.5, 0], [-3, 0]], atol=0.1)
    assert (found[0] == 0).all()


@pytest.mark.parametrize("threads", ["1", "3"])
@pytest.mark.parametrize("bits", [32, 8])
@pytest.mark.parametrize("kind", KINDS)
def test_a_text_has_the_very_same_vectors_alone_and_beside_any_others(
    pipelines, in_8_bits, monkeypatch, kind, bits, threads
):
    nlp = in_8_bits(kind) if bits == 8 else pipelines(kind)[1]
    alone = {text: nlp(text).tensor for text in TEXTS}
    monkeypatch.setenv("OMP_NUM_THREADS", threads)
    for seed, size in ((0, 3), (1, 7), (2, 100)):
        shuffled = random.Random(seed).sample(TEXTS * 2, 2 * len(TEXTS))
        for doc in nlp.pipe(shuffled, batch_size=size):
            numpy.testing.assert_array_equal(doc.tensor, alone[doc.text])


def test_a_component_is_the_same_from_disk_and_from_bytes(pipelines, tmp_path):
    _, nlp = pipelines("byte-bpe")
    component, text = nlp.get_pipe(FACTORY), TEXTS[2]
    expected = nlp(text).tensor
    nlp.to_disk(tmp_path)
    numpy.testing.assert_array_equal(spacy.load(tmp_path)(text).tensor, expected)
    again, empty = (spacy.blank("en").add_pipe(FACTORY) for _ in range(2))
    again.from_bytes(component.to_bytes())
    numpy.testing.assert_array_equal(again(nlp.make_doc(text)).tensor, expected)
    assert empty.from_bytes(empty.to_bytes()).reader.files == {}


def test_without_a_transformer_it_says_so(pipelines):
    nlp = spacy.blank("en")
    nlp.add_pipe(FACTORY)
    with pytest.raises(ValueError, match="has no transformer yet"):
        nlp("Redis")


REFUSED = {
    "its activation is silu": {"hidden_act": "silu"},
    "its positions are relative_key": {"position_embedding_type": "relative_key"},
    "it is a decoder": {"is_decoder": True},
    "it has a convolution": {"conv_kernel_size": 3},
}


@pytest.mark.parametrize("reason", REFUSED)
def test_what_the_graph_would_compute_in_another_way_is_refused(tiny, reason):
    from transformers import AutoModel

    model = AutoModel.from_pretrained(tiny("wordpiece-cased"))
    model.config.update(REFUSED[reason])
    with pytest.raises(UserError, match=reason):
        build_graph(model, LONGEST)


def test_another_architecture_is_refused():
    from transformers import ElectraConfig, ElectraModel

    size = {"hidden_size": 8, "num_hidden_layers": 1, "num_attention_heads": 1, "intermediate_size": 8}
    with pytest.raises(UserError, match="its architecture is electra"):
        build_graph(ElectraModel(ElectraConfig(vocab_size=9, embedding_size=8, **size)), LONGEST)
