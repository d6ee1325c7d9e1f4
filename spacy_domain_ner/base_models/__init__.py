"""Base models: the presets, and the training configs that they fill."""

from spacy_domain_ner.base_models.configure import Framework, configure
from spacy_domain_ner.base_models.presets import Preset, find_preset, load_presets

__all__ = ["Framework", "Preset", "configure", "find_preset", "load_presets"]
