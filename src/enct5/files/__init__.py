"""Files: what is written appears whole or not at all, by one writer at a time."""
