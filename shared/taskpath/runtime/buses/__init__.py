"""The implementations of the bus contract."""
