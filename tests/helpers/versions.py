"""Versions of a passage, as the readers of the formats give them."""

from spacy_domain_ner.exchange.formats.version import RawSpan, Status, Version
from spacy_domain_ner.schema import EntitySchema, EntityType

TEXT = "Redis Cluster is down since Kafka restarted"
A, B, C = RawSpan(0, 5, "INFRA"), RawSpan(28, 33, "INFRA"), RawSpan(0, 13, "SERVICE")
SCHEMA = EntitySchema(entity_types=[EntityType(name="INFRA")])


def version(*spans, by="", status=Status.COMPLETE, truth=False, made="", text=TEXT):
    """One annotator's version of a passage."""
    return Version(text, list(spans), annotator=by, status=status, ground_truth=truth, made=made)
