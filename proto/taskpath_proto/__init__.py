"""The messages that the services of Taskpath exchange."""
