"""The kinds of task: all that differs between them, a file each."""
