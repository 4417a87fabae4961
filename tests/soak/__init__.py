"""Loops that break things on purpose: a sample of each in CI, all of it with ``make soak``."""
