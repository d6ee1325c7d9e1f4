"""What a packaged model needs at run time beyond spaCy: each module stands alone and travels in the wheel."""

from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

# The name by which configs refer to each module, and the packages that it needs. byte_windows and piece_batches need
# spacy-transformers, which spaCy's packaging requires by itself.
MODULES = {
    "spacy_domain_ner.MaxoutWindowEncoder.v1": ("window_encoder", ()),
    "spacy_domain_ner.MemoizedEmbed.v1": ("memoized_embed", ()),
    "spacy_domain_ner.WordPieceEmbed.v1": ("word_pieces", ()),
    "spacy_domain_ner.PieceBatchedTransformer.v1": ("piece_batches", ()),
    "spacy_domain_ner.byte_windows.v1": ("byte_windows", ()),
    "spacy_domain_ner_biluo_v1": ("biluo_ner", ()),
    "spacy_domain_ner.OnnxReader.v1": ("onnx_reader", ("onnxruntime>=1.20", "tokenizers>=0.15", "numpy")),
    "spacy_domain_ner_onnx_encoder": ("onnx_encoder", ()),
    "spacy_domain_ner_huggingface": ("huggingface_ner", ("torch>=2.2", "transformers>=4.40,<5")),
    "spacy_domain_ner_huggingface_onnx": ("huggingface_ner", ()),
}


def travelling_modules(config: Mapping[str, Any]) -> Iterator[tuple[Path, tuple[str, ...]]]:
    """Find the modules that a pipeline's components refer to.

    Args:
        config: A pipeline's config.

    Yields:
        The file of a module, and its requirements.
    """
    named = set(_values(config.get("components", {})))
    for name, (module, requirements) in MODULES.items():
        if name in named:
            yield Path(__file__).with_name(f"{module}.py"), requirements


def _values(section: Any) -> Iterator[str]:
    if isinstance(section, Mapping):
        for value in section.values():
            yield from _values(value)
    elif isinstance(section, str):
        yield section
