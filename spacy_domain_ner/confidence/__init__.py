"""How sure a model is of its entities, and whether its confidence is justified."""

from spacy_domain_ner.confidence.calibration import (
    Bin,
    Calibration,
    Coverage,
    Judged,
    calibrate,
    calibrate_model,
    chance_calibration_error,
    expected_calibration_error,
    find_recognizer,
    find_thresholds,
    fit_line,
    judge_predictions,
    least_confidences,
    read_calibration,
    reliability,
    risk_coverage,
    surest,
)
from spacy_domain_ner.confidence.doubts import Doubt, Doubts, read_doubts
from spacy_domain_ner.confidence.prediction import Prediction, expected_entities, predict_with_probabilities

__all__ = [
    "Bin",
    "Calibration",
    "Coverage",
    "Doubt",
    "Doubts",
    "Judged",
    "Prediction",
    "calibrate",
    "calibrate_model",
    "chance_calibration_error",
    "expected_calibration_error",
    "expected_entities",
    "find_recognizer",
    "find_thresholds",
    "fit_line",
    "judge_predictions",
    "least_confidences",
    "predict_with_probabilities",
    "read_calibration",
    "read_doubts",
    "reliability",
    "risk_coverage",
    "surest",
]
