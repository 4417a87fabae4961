"""The system's own rules, from man pages and the kernel's sources; pure."""
