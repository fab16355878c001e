"""Manual review: a person looks at a random sample of the training data, and the record says what they thought of it."""
