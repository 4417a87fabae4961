"""What is raised where nobody can tell what a host's files or flags say."""

from __future__ import annotations


class CannotTell(Exception):
    """A file or a flag that decides something cannot be understood: ``FILE: reason``."""
