"""About the gate itself."""
