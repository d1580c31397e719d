"""A private DynamoDB: moto's server. It keeps its tables in memory, so they go when it ends."""

from __future__ import annotations

import itertools
import os
import sys
import urllib.request
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Final

from tests.support.servers.keeper import Keeper
from tests.support.servers.program import Program

CREDENTIALS: Final = {
    "AWS_ACCESS_KEY_ID": "tests",
    "AWS_SECRET_ACCESS_KEY": "tests",
    "AWS_EC2_METADATA_DISABLED": "true",
}
"""The environment of whoever speaks to it: the server takes any, a client must have some."""


class DynamoDB(Program):
    """DynamoDB on a free port."""

    def __init__(self, keeper: Keeper) -> None:
        super().__init__(keeper, "dynamodb")
        self.port: Final = keeper.port()
        self._numbers = itertools.count(1)

    @property
    def endpoint(self) -> str:
        """Where clients send their requests."""
        return f"http://127.0.0.1:{self.port}"

    @property
    def url(self) -> str:
        """As in TASKPATH_RECORDS: the table ``taskpath``, which does not exist at first."""
        return self._url("taskpath")

    def new_table(self) -> str:
        """The URL of a table whose name nobody has used, and that does not exist."""
        return self._url(f"taskpath-{next(self._numbers)}")

    def command(self) -> Sequence[str]:
        return [sys.executable, str(Path(__file__).with_name("moto_server.py")), str(self.port)]

    def environ(self) -> Mapping[str, str]:
        return {**os.environ, **CREDENTIALS}

    def is_ready(self) -> bool:
        with urllib.request.urlopen(f"{self.endpoint}/moto-api/data.json", timeout=5.0) as answer:
            return bool(answer.status == 200)

    def _url(self, table: str) -> str:
        return f"dynamodb://{table}?region=eu-west-1&endpoint={self.endpoint}"
