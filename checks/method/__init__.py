"""Section 3: does the method suit the model and the task."""
