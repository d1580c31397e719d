"""`taskpath reindex`: makes the list of instances from the records again, while both are in use."""

from __future__ import annotations

from rich.console import Console

from taskpath.runtime.settings import Settings
from taskpath_services.cli.operating import open_stores
from taskpath_services.cli.session import DONE, console, print_json
from taskpath_services.storage.index.reconcile import Walked, reconcile


async def reindex(settings: Settings, *, everything: bool, json: bool) -> int:
    """Brings the index in line with the records; returns the exit code.

    Args:
        settings: which stores.
        everything: whether every row is written anew.
        json: whether to print one document.

    Raises:
        SettingsError: a store cannot be used.
        StoreUnavailable: a store is away; what was done so far stays done.
    """
    async with open_stores(settings) as (records, index):
        # Where a program reads, or nobody, only the result is said.
        with Console(stderr=True, highlight=False).status("Comparing …") as status:

            def told(walked: Walked) -> None:
                status.update(f"{walked.instances:,} instances compared, {walked.wrong:,} put right …")

            walked = await reconcile(records, index, told, everything=everything)
    if json:
        print_json(
            {
                "instances": walked.instances,
                "missing": walked.missing,
                "different": walked.different,
                "extra": walked.extra,
            }
        )
    else:
        anew = " Every row was written anew." if everything else ""
        console().print(sentence(walked) + anew, soft_wrap=True)
    return DONE


def sentence(walked: Walked) -> str:
    """What a reconciliation has found and done."""
    if not walked.wrong:
        return f"{walked.instances:,} instances: the index was right."
    return (
        f"{walked.instances:,} instances: {walked.missing:,} were missing in the index, {walked.different:,} "
        f"differed, {walked.extra:,} were too many; all put right."
    )
