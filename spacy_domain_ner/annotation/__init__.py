"""Consistent labels: the guide, what the entity types lack, agreement between annotators, suspect annotations."""
