"""How any service runs: lifecycle, bus, calls, clock, settings. Authors of workflows need nothing of this."""
