"""Train, measure and package a spaCy entity recognizer for the names of your own domain.

Each verb of the command line is a function here, and so is what a Python user holds in hand. A name is imported when it
is first asked for (PEP 562): `import spacy_domain_ner` loads neither spaCy nor PyTorch.
"""

from importlib import import_module
from typing import TYPE_CHECKING, Any

from spacy_domain_ner.version import __version__

if TYPE_CHECKING:
    from spacy_domain_ner.annotation.agreement import measure_agreement
    from spacy_domain_ner.annotation.guide import write_guide
    from spacy_domain_ner.annotation.selection import select_passages
    from spacy_domain_ner.base_models.presets import read_presets
    from spacy_domain_ner.bootstrapping.bootstrap import bootstrap
    from spacy_domain_ner.confidence.prediction import expected_entities
    from spacy_domain_ner.corpus.checks import check
    from spacy_domain_ner.corpus.jsonl import read_passages, write_passages
    from spacy_domain_ner.corpus.passage import Passage, Relation, Span
    from spacy_domain_ner.corpus.spacy_docs import convert
    from spacy_domain_ner.corpus.split import split
    from spacy_domain_ner.deployment.package import package_model
    from spacy_domain_ner.deployment.try_package import try_package
    from spacy_domain_ner.distillation.distill import Distilled, distill
    from spacy_domain_ner.errors import UserError
    from spacy_domain_ner.evaluation.assessment import Assessment, assess
    from spacy_domain_ner.evaluation.gates import Gates
    from spacy_domain_ner.evaluation.successor import compare_successor
    from spacy_domain_ner.exchange.exporting import export_annotations
    from spacy_domain_ner.exchange.importing import import_annotations
    from spacy_domain_ner.exchange.interfaces import write_interface
    from spacy_domain_ner.exchange.label_studio.transfer import pull_annotations, push_tasks
    from spacy_domain_ner.exchange.policies import Policies
    from spacy_domain_ner.exchange.tasks import export_tasks
    from spacy_domain_ner.experiments.learning_curve import measure_learning_curve
    from spacy_domain_ner.experiments.suspects import find_suspects
    from spacy_domain_ner.extraction.extractor import Entity, Extractor, extract_entities
    from spacy_domain_ner.extraction.hybrid import HybridExtractor
    from spacy_domain_ner.extraction.runs import extract_files
    from spacy_domain_ner.llm.break_even import Costs
    from spacy_domain_ner.llm.costs import estimate_llm_cost
    from spacy_domain_ner.llm.evaluation import compare_with_llm
    from spacy_domain_ner.monitoring.drift import measure_drift
    from spacy_domain_ner.monitoring.estimate import estimate_quality
    from spacy_domain_ner.monitoring.quality import LiveQuality
    from spacy_domain_ner.monitoring.sampling import Sample, sample_for_review
    from spacy_domain_ner.projects.scaffold import new_project
    from spacy_domain_ner.projects.update import update_project
    from spacy_domain_ner.relation_types import RelationTypes, read_relation_types
    from spacy_domain_ner.relations.baseline import learn_baseline
    from spacy_domain_ner.relations.finding import find_relations
    from spacy_domain_ner.relations.scores import score_relations
    from spacy_domain_ner.reports.break_even import write_break_even
    from spacy_domain_ner.reports.comparison import compare
    from spacy_domain_ner.reports.evaluation import evaluate
    from spacy_domain_ner.reports.monitoring import monitor_status
    from spacy_domain_ner.schema import EntitySchema, read_schema
    from spacy_domain_ner.serving.app import create_app
    from spacy_domain_ner.serving.label_studio.bulk import PredictedTasks, predict_tasks
    from spacy_domain_ner.serving.listening import serve
    from spacy_domain_ner.serving.settings import Settings
    from spacy_domain_ner.spark.job import spark_extract
    from spacy_domain_ner.training import train
    from spacy_domain_ner.training.configure import configure
    from spacy_domain_ner.training.recipe import Recipe

# The module of each public name.
_MODULES = {
    # What one holds in hand
    "EntitySchema": "schema",
    "Passage": "corpus.passage",
    "Relation": "corpus.passage",
    "RelationTypes": "relation_types",
    "Span": "corpus.passage",
    "UserError": "errors",
    "read_passages": "corpus.jsonl",
    "read_relation_types": "relation_types",
    "read_schema": "schema",
    "write_passages": "corpus.jsonl",
    # A project
    "new_project": "projects.scaffold",
    "update_project": "projects.update",
    # Labels
    "Policies": "exchange.policies",
    "import_annotations": "exchange.importing",
    "export_annotations": "exchange.exporting",
    "export_tasks": "exchange.tasks",
    "push_tasks": "exchange.label_studio.transfer",
    "pull_annotations": "exchange.label_studio.transfer",
    "measure_agreement": "annotation.agreement",
    "bootstrap": "bootstrapping.bootstrap",
    "select_passages": "annotation.selection",
    "write_guide": "annotation.guide",
    "write_interface": "exchange.interfaces",
    # A model
    "check": "corpus.checks",
    "convert": "corpus.spacy_docs",
    "split": "corpus.split",
    "Assessment": "evaluation.assessment",
    "Gates": "evaluation.gates",
    "assess": "evaluation.assessment",
    "evaluate": "reports.evaluation",
    # Models
    "Recipe": "training.recipe",
    "compare": "reports.comparison",
    "configure": "training.configure",
    "Distilled": "distillation.distill",
    "distill": "distillation.distill",
    "find_suspects": "experiments.suspects",
    "measure_learning_curve": "experiments.learning_curve",
    "read_presets": "base_models.presets",
    "train": "training",
    # A trained model at work
    "package_model": "deployment.package",
    "try_package": "deployment.try_package",
    "Entity": "extraction.extractor",
    "Extractor": "extraction.extractor",
    "extract_entities": "extraction.extractor",
    "extract_files": "extraction.runs",
    "spark_extract": "spark.job",
    "expected_entities": "confidence.prediction",
    "Settings": "serving.settings",
    "PredictedTasks": "serving.label_studio.bulk",
    "create_app": "serving.app",
    "predict_tasks": "serving.label_studio.bulk",
    "serve": "serving.listening",
    # Where it is weak
    "HybridExtractor": "extraction.hybrid",
    "compare_with_llm": "llm.evaluation",
    "Costs": "llm.break_even",
    "estimate_llm_cost": "llm.costs",
    "write_break_even": "reports.break_even",
    # What holds between entities
    "find_relations": "relations.finding",
    "learn_baseline": "relations.baseline",
    "score_relations": "relations.scores",
    # Is it still good?
    "LiveQuality": "monitoring.quality",
    "Sample": "monitoring.sampling",
    "estimate_quality": "monitoring.estimate",
    "sample_for_review": "monitoring.sampling",
    "measure_drift": "monitoring.drift",
    "monitor_status": "reports.monitoring",
    "compare_successor": "evaluation.successor",
}

__all__ = [
    "Assessment",
    "Costs",
    "Distilled",
    "Entity",
    "EntitySchema",
    "Extractor",
    "Gates",
    "HybridExtractor",
    "LiveQuality",
    "Passage",
    "Policies",
    "PredictedTasks",
    "Recipe",
    "Relation",
    "RelationTypes",
    "Sample",
    "Settings",
    "Span",
    "UserError",
    "__version__",
    "assess",
    "bootstrap",
    "check",
    "compare",
    "compare_successor",
    "compare_with_llm",
    "configure",
    "convert",
    "create_app",
    "distill",
    "estimate_llm_cost",
    "estimate_quality",
    "evaluate",
    "expected_entities",
    "export_annotations",
    "export_tasks",
    "extract_entities",
    "extract_files",
    "find_relations",
    "find_suspects",
    "import_annotations",
    "learn_baseline",
    "measure_agreement",
    "measure_drift",
    "measure_learning_curve",
    "monitor_status",
    "new_project",
    "package_model",
    "predict_tasks",
    "pull_annotations",
    "push_tasks",
    "read_passages",
    "read_presets",
    "read_relation_types",
    "read_schema",
    "sample_for_review",
    "score_relations",
    "select_passages",
    "serve",
    "spark_extract",
    "split",
    "train",
    "try_package",
    "update_project",
    "write_break_even",
    "write_guide",
    "write_interface",
    "write_passages",
]


def __getattr__(name: str) -> Any:
    if name not in _MODULES:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    value = getattr(import_module(f"{__name__}.{_MODULES[name]}"), name)
    globals()[name] = value
    return value


def __dir__() -> list[str]:
    return __all__
