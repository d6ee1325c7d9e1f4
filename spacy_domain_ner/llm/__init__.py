"""Asking a large language model: the client, the prompt from the guide, what becomes of the answers."""
