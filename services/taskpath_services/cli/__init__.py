"""The command `taskpath`."""
