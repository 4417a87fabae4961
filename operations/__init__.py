"""What a host should be: idempotent operations, one fact each."""
