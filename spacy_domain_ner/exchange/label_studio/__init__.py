"""A Label Studio server: its connection, and projects, tasks and annotations over HTTP."""
