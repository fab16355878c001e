"""Section 1: are they enough, different from each other, and apart from the validation set."""
