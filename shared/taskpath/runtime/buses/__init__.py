"""The implementations of the bus contract."""

from __future__ import annotations

from taskpath.runtime.bus import Bus
from taskpath.runtime.buses.memory import MemoryBus
from taskpath.runtime.settings import Settings, SettingsError


def bus_of(settings: Settings, *, name: str = "taskpath", heartbeat: int | None = None) -> Bus:
    """The bus that the settings name.

    Args:
        settings: its address, and how many partitions there are.
        name: of the service, for the broker's list of connections.
        heartbeat: in seconds; how soon it is noticed that a peer is silent. None for the bus's own.

    Raises:
        SettingsError: the address cannot be read, or what it needs is not installed.
    """
    if settings.broker.startswith("memory://"):
        return MemoryBus()
    try:
        # Authors who never leave their machine need no broker's client.
        from taskpath.runtime.buses.rabbitmq import RabbitBus
    except ModuleNotFoundError as error:
        if error.name != "aiormq":
            raise
        raise SettingsError(
            "TASKPATH_BROKER is a broker's address, for which aiormq is needed; install it, or "
            "taskpath with the service's extra, such as taskpath[gateway]."
        ) from None
    if heartbeat is None:
        return RabbitBus(settings.broker, name=name, partitions=settings.partitions)
    return RabbitBus(settings.broker, name=name, partitions=settings.partitions, heartbeat=heartbeat)
