"""What a host is: read-only facts, one remote command each."""
