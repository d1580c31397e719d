"""How long tasks took: what is learnt from the events of instances, and kept in the index."""
