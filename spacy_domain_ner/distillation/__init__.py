"""A small model that learns from a larger one, on text that nobody has labelled."""
