"""Changes: one unit of work each, a `Result` back."""
