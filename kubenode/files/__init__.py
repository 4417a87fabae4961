"""Other people's files, read and changed to the letter: whole, synced, under the host's lock."""
