"""The executor: calls generators, runs tasks, reports. It decides nothing about their order."""
