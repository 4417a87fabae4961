"""How prepare sets up each runtime: a module a runtime, and the row that it fills."""
