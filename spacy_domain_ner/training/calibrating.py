"""The last step of training: the confidence of the best model is calibrated on the early-stopping set."""

from collections.abc import Sequence
from pathlib import Path

import spacy

from spacy_domain_ner.confidence import calibrate, find_recognizer
from spacy_domain_ner.corpus.passage import Passage


def calibrate_model(model: Path, passages: Sequence[Passage]) -> None:
    """Calibrate a saved model, where its recognizer can be, and save that.

    model: The model's folder.
    passages: The early-stopping set. The model was chosen by it, but did not learn from it.
    """
    nlp = spacy.load(model)
    if calibrate(nlp, passages) is not None:
        recognizer = find_recognizer(nlp)
        recognizer.to_disk(model / recognizer.name)
