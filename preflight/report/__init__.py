"""Reports of a run: terminal, JSON, HTML and JUnit properties."""
