"""More text than one machine: a model at work on Spark, and on what else has Arrow tables.

    from spacy_domain_ner.spark import extract_entities_df

    df.transform(extract_entities_df, model="en_software_ner", text="body")

A name is imported when it is first asked for: executors, which may have spaCy alone, import what they need of it.
"""

from importlib import import_module
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from spacy_domain_ner.spark.frames import entities_udf, extract_entities_df
    from spacy_domain_ner.spark.mapper import SCHEMA, SparkMapper, spark_mapper
    from spacy_domain_ner.spark.monitoring import measure_drift_df
    from spacy_domain_ner.spark.shipping import ship_model

_MODULES = {
    "SCHEMA": "mapper",
    "SparkMapper": "mapper",
    "entities_udf": "frames",
    "extract_entities_df": "frames",
    "measure_drift_df": "monitoring",
    "ship_model": "shipping",
    "spark_mapper": "mapper",
}

__all__ = [
    "SCHEMA",
    "SparkMapper",
    "entities_udf",
    "extract_entities_df",
    "measure_drift_df",
    "ship_model",
    "spark_mapper",
]


def __getattr__(name: str) -> Any:
    if name not in _MODULES:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    return getattr(import_module(f"{__name__}.{_MODULES[name]}"), name)
