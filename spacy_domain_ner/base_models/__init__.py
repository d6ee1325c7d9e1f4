"""Base models: the presets, looking up a transformer, and filling in the training configs."""
