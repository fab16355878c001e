"""Section 6: the model that came out."""
