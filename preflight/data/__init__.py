"""From the user's files to prepared data: read, normalise, render, label, prepare, profile."""
