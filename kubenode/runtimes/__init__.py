"""Container runtimes: what their files say, what these must say, and how they are changed."""
