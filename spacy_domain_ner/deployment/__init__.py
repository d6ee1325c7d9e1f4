"""Packaging a trained model, and trying the package."""
