"""The index in MySQL or MariaDB."""
