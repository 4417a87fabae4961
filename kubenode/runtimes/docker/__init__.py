"""Docker Engine: what its files and flags say; pure."""
