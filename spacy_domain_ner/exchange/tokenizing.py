"""The tokenizer of an export, which needs tokens although there may be no trained model yet."""

from pathlib import Path
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from spacy.language import Language

# The config whose tokenizer a project trains with.
CONFIG = Path("training/config.cfg")


def tokenizing_pipeline(config: str | Path | None = None) -> "Language":
    """Make a pipeline that has only a tokenizer.

    Args:
        config: The training config that names the tokenizer. None takes training/config.cfg where it is, else spaCy's
            English rules with those for names.

    Raises:
        UserError: The config can't be read.
    """
    from spacy_domain_ner.corpus.spacy_docs import load_tokenizing_pipeline

    if config is not None or CONFIG.is_file():
        return load_tokenizing_pipeline(config or CONFIG)
    import spacy

    from spacy_domain_ner.tokenization import create_customize_tokenizer

    return create_customize_tokenizer()(spacy.blank("en"))
