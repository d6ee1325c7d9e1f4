"""Relations between the entities of a passage: finding them by an LLM or a baseline, and scoring what was found."""
