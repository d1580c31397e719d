"""The index of instances: a contract, and its implementations."""
