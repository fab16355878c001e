"""Manual review: a person looks at a random sample of the training data, and a record says what they thought."""
