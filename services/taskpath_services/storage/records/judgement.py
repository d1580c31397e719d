"""What becomes of a write: decided from what is stored, without a database."""

from __future__ import annotations

from typing import Final

import msgspec

from taskpath_proto.events import InstanceChanged, InstanceDeleted
from taskpath_services.storage.records.contract import Outcome

ANY: Final = -1
"""The digest after a whole change: no other change of its revision is compared with it."""


class Head(msgspec.Struct, frozen=True):
    """What a store knows of an instance before a write.

    Attributes:
        revision: of its last change; None if there was none.
        epoch: of its last change.
        digest: of its last change, or :data:`ANY`.
        deleted: it was deleted, at that revision.
        gap: the revision of the last change before which another is missing, until a whole change comes.
        texts: whether values are kept beside its records.
    """

    revision: int | None = None
    epoch: int = 0
    digest: int = 0
    deleted: bool = False
    gap: int | None = None
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
    if is_stored(event, head):
        same = event.revision == head.revision and event.epoch == head.epoch
        if same and head.digest not in (digest, ANY):
            return Outcome.CONFLICT
        # Whoever was told of the gap may have died before it asked for the snapshot.
        return Outcome.GAP if event.revision == head.gap else Outcome.REPEATED
    return Outcome.APPLIED if event.whole or event.base_revision == (head.revision or 0) else Outcome.GAP


def is_stored(event: InstanceChanged, head: Head) -> bool:
    """Whether the revision of a change is stored already, so that it changes nothing. A whole change is made
    again: it may be there to correct what is stored under its revision."""
    if head.deleted or head.revision is None:
        return False
    return event.revision < head.revision or (event.revision == head.revision and not event.whole)


def changes(outcome: Outcome, event: InstanceChanged, head: Head) -> bool:
    """Whether a change that was judged so is to be written."""
    return outcome in (Outcome.APPLIED, Outcome.GAP) and not is_stored(event, head)


def after_change(event: InstanceChanged, digest: int, outcome: Outcome, head: Head) -> Head:
    """What is known of the instance once the change is written."""
    gap = None if head.deleted else head.gap
    if outcome is Outcome.GAP:
        gap = event.revision
    return Head(
        revision=event.revision,
        epoch=event.epoch,
        digest=ANY if event.whole else digest,
        gap=None if event.whole else gap,
        texts=head.texts,
    )


def judge_deletion(event: InstanceDeleted, epoch: int, head: Head) -> Outcome:
    """What becomes of a deletion."""
    if event.epoch < epoch:
        return Outcome.REFUSED
    if head.deleted or (head.revision is not None and event.revision < head.revision):
        return Outcome.REPEATED
    return Outcome.APPLIED


def after_deletion(event: InstanceDeleted) -> Head:
    """What is known of the instance once it is deleted."""
    return Head(revision=event.revision, epoch=event.epoch, deleted=True)
