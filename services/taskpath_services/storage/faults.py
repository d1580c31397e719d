"""What can go wrong with a store."""

from __future__ import annotations


class StoreUnavailable(Exception):
    """The store cannot be used right now (locked, full, closed, away); the same may succeed later."""
