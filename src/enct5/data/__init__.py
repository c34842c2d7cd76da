"""Tables from files and the hub."""
