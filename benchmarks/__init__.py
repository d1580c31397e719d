"""What Taskpath costs, measured beside what limits it."""
