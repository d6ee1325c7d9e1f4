"""How good a model is, per type, and what to do next. Import from the modules: `assessment` is the entrance."""
