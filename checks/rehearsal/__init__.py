"""Section 4 of the checklist, tried out: what a few real training steps show."""
