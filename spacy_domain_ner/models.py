"""Loading a trained model."""

from pathlib import Path

import spacy
from spacy.language import Language

from spacy_domain_ner.errors import UserError, reason


def load_model(model: str | Path) -> Language:
    """Load a trained model by its folder or its package's name.

    RAISES: UserError where it can't be loaded.
    """
    try:
        return spacy.load(model)
    except Exception as error:  # each file of a model has a reader with errors of its own
        raise UserError(
            f"The model {str(model)!r} can't be loaded: {reason(error)}",
            "Name a trained model's folder (training/model-best) or an installed package (en_software_ner).",
        ) from error
