"""Packages and the programs that install them."""
