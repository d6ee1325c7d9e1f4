"""Pages and Markdown for people to read."""
