"""The tests of Taskpath, and what they share under `tests.support`."""
