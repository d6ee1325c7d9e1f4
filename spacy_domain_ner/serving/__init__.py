"""A trained model behind HTTP: one model thread per process, and requests that share its batches."""
