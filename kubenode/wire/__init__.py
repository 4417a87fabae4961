"""Asking a host: a script goes out in one bounded command, and a whole answer comes back."""
