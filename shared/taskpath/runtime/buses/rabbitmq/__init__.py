"""The bus over RabbitMQ (3.10 and later): mailboxes are quorum queues, and messages travel in parcels.

It has two connections, one to publish and one to consume: a broker that is short of memory stops reading from
whoever publishes, and acknowledgements, which free memory, must not wait behind that. Each connects again by
itself.

It is written on aiormq, the AMQP client under aio-pika. What aio-pika adds (channels and consumers that
restore themselves, objects around each message) is what an actor that starts over must not have, and takes a
quarter to a half of the CPU of a message (docs/decisions/0011).
"""

from taskpath.runtime.buses.rabbitmq.bus import RabbitBus

__all__ = ["RabbitBus"]
