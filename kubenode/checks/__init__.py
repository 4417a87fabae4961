"""The catalogue of checks."""
