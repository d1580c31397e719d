"""What becomes of a write: decided from what is stored, without a database."""

from __future__ import annotations

import msgspec

from taskpath_proto.events import InstanceChanged, InstanceDeleted
from taskpath_services.storage.records.contract import Outcome


class Head(msgspec.Struct, frozen=True):
    """What a store knows of an instance before a write.

    Attributes:
        revision: of its last change; None if there was none.
        epoch: of its last change.
        digest: of its last change.
        deleted: it was deleted, at that revision.
        texts: whether values are kept beside its records.
    """

    revision: int | None = None
    epoch: int = 0
    digest: int = 0
    deleted: bool = False
    texts: bool = False


def judge_change(event: InstanceChanged, digest: int, epoch: int, head: Head) -> Outcome:
    """What becomes of a change.

    Args:
        event: the change.
        digest: of its content.
        epoch: of its partition, as stored.
        head: of its instance, as stored.
    """
    if event.epoch < epoch:
        return Outcome.REFUSED
    if head.deleted:
        # A key may be used again for a new instance. An old creation that is redelivered is followed by its
        # deletion, which is redelivered with it.
        if event.base_revision == 0:
            return Outcome.APPLIED
        repeated = head.revision is not None and event.revision <= head.revision
        return Outcome.REPEATED if repeated else Outcome.REFUSED
    if head.revision is None:
        return Outcome.APPLIED if event.base_revision == 0 else Outcome.GAP
    if event.revision <= head.revision:
        same = event.revision == head.revision and event.epoch == head.epoch
        return Outcome.CONFLICT if same and digest != head.digest else Outcome.REPEATED
    return Outcome.APPLIED if event.base_revision == head.revision else Outcome.GAP


def judge_deletion(event: InstanceDeleted, epoch: int, head: Head) -> Outcome:
    """What becomes of a deletion."""
    if event.epoch < epoch:
        return Outcome.REFUSED
    if head.deleted or (head.revision is not None and event.revision < head.revision):
        return Outcome.REPEATED
    return Outcome.APPLIED
