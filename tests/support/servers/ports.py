"""Ports that stay ours while their server is down.

A server that is killed and started again comes back on its port. Nobody must take it meanwhile: neither an
outgoing connection, so it lies below the kernel's ephemeral range, nor another run of the tests, so each port
is claimed by binding an abstract Unix socket of its name, which the kernel gives up with the process.
"""

from __future__ import annotations

import random
import socket
from typing import Final

LOWEST: Final = 17_000
HIGHEST: Final = 32_000


class Port:
    """A free loopback port, claimed until :meth:`release` or the end of this process."""

    def __init__(self) -> None:
        for number in random.sample(range(LOWEST, HIGHEST), HIGHEST - LOWEST):
            claim = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM)
            try:
                claim.bind(f"\0taskpath-port-{number}")
            except OSError:
                claim.close()
                continue
            if _is_free(number):
                self.number = number
                self._claim = claim
                return
            claim.close()
        raise RuntimeError(f"every port from {LOWEST} to {HIGHEST} is taken")

    def release(self) -> None:
        """Lets others have it."""
        self._claim.close()


def _is_free(number: int) -> bool:
    with socket.socket(socket.AF_INET, socket.SOCK_STREAM) as probe:
        probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        try:
            probe.bind(("127.0.0.1", number))
        except OSError:
            return False
    return True
