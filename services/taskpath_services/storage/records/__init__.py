"""The record store: a contract, and its implementations."""
