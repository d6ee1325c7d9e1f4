"""A trained model at work: entities in texts, records, files and streams."""
