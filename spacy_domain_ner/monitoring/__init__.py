"""Is a model that is at work still good: what it has read, samples of it for people to review, and what they tell."""
