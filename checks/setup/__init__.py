"""Section 4: training arguments and environment."""
