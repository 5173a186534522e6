"""The resource commands: one table of nouns and verbs, and what makes commands of it."""
