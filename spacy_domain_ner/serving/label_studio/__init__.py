"""Label Studio's ML backend: predictions for its tasks, and training when it asks for it."""
