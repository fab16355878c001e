"""Section 2 and 4 of the checklist: what is installed, and what the machine lets a run do."""
