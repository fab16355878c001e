"""Section 2: does the run fit the machine."""
