"""REST, one room for each kind of thing."""
