"""Storage keeps instances, their tasks, logs and values. It is the only service that touches a database."""
