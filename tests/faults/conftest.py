"""The system that is hurt: two of each service over servers of its own."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Final

import pytest

from tests.faults.journal import Journal
from tests.faults.lines import Lines
from tests.faults.system import SETTINGS, System
from tests.support.cluster import ROLES, Cluster, settings_over
from tests.support.servers import Keeper, MariaDB, RabbitMQ, Redis

APP: Final = Path(__file__).with_name("load_app.py")


@pytest.fixture(scope="session")
def journal() -> Iterator[Journal]:
    """What bodies tell."""
    journal = Journal()
    yield journal
    journal.close()


@pytest.fixture(scope="session")
def system(keeper: Keeper, journal: Journal) -> Iterator[System]:
    """Two of each service, the first of each on a line that can be cut."""
    broker, records, index = RabbitMQ(keeper), Redis(keeper, appendfsync="always"), MariaDB(keeper)
    servers = (broker, records, index)
    for server in servers:
        server.launch()
    for server in servers:
        server.wait_ready()
    settings = {
        **settings_over(broker, records, index),
        **SETTINGS,
        "TEST_JOURNAL": journal.address,
    }
    all_lines = Lines()
    lines = {role: all_lines.to(settings["TASKPATH_BROKER"]) for role in ROLES}
    # So that a silent line is noticed within 6 s, whoever is at its end.
    firsts = {role: {"TASKPATH_BROKER": line.url + "?heartbeat=3"} for role, line in lines.items()}
    cluster = Cluster(keeper, APP, settings, firsts=firsts)
    cluster.start()
    yield System(cluster, broker, records, index, lines, journal)
    cluster.kill()
    all_lines.close()
    for server in servers:
        server.kill()
