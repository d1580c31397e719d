"""The four services of Taskpath and its command line."""
