"""The scheduler: owns the tree of every instance, the order, retries, timers and cancellation.

The way of a message: ``owner`` takes a batch from the partition's mailbox -> ``partition`` hands each to
what deals with it (``creation``, ``execute``, ``attempts``, ``cancel``) -> ``walk`` goes on in the tree
(``entering`` begins with tasks, ``ending`` joins groups) -> ``windows`` lets orders out -> ``changes`` sums
up what changed -> ``owner`` lets the effects out, in the order that loses nothing, and acknowledges. All but
``owner`` and ``service`` is pure: no I/O, no clock.
"""
