"""Section 5: the run log."""
