"""How good a model is, per type, and what to do next."""

from spacy_domain_ner.evaluation.scores import Evaluation, Score, Verdict, judge, predict_spans, score, to_metrics

__all__ = ["Evaluation", "Score", "Verdict", "judge", "predict_spans", "score", "to_metrics"]
