"""Files as they come: where they are, what they hold, and reading them piece by piece, whatever their size."""
