"""From the entity types to consistent labels: the guide, the labelling tools, what goes to them and comes back."""
