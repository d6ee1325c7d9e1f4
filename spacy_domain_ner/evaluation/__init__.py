"""How good a model is, per type, and what to do next."""

from spacy_domain_ner.evaluation.analysis import Analysis, analyse, predict
from spacy_domain_ner.evaluation.mistakes import Mistake, to_records
from spacy_domain_ner.evaluation.scores import Evaluation, Gates, Score, predict_spans, score
from spacy_domain_ner.evaluation.verdict import Verdict, judge, to_metrics

__all__ = [
    "Analysis",
    "Evaluation",
    "Gates",
    "Mistake",
    "Score",
    "Verdict",
    "analyse",
    "judge",
    "predict",
    "predict_spans",
    "score",
    "to_metrics",
    "to_records",
]
