"""Section 1: are the examples readable, rendered and labelled as they should be."""
