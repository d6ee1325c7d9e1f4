"""All that goes to other tools and comes from them: tasks, interfaces, formats, imports, a Label Studio server."""
