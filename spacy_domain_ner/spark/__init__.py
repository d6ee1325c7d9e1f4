"""More text than one machine: a model at work on Spark, and on what else has Arrow tables.

    from spacy_domain_ner.spark import extract_entities_df

    df.transform(extract_entities_df, model="en_software_ner", text="body")

To import this package does not load PySpark: a table of Arrow needs none.
"""

from spacy_domain_ner.spark.frames import entities_udf, extract_entities_df
from spacy_domain_ner.spark.mapper import SCHEMA, SparkMapper, spark_mapper
from spacy_domain_ner.spark.shipping import ship_model

__all__ = [
    "SCHEMA",
    "SparkMapper",
    "entities_udf",
    "extract_entities_df",
    "ship_model",
    "spark_mapper",
]
