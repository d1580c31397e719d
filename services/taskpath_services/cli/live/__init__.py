"""How a terminal shows an instance while it moves."""
