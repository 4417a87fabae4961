"""CRI-O: what its files say; pure."""
