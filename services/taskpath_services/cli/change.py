"""`taskpath cancel` and `delete`: one request each."""

from __future__ import annotations

from taskpath_proto.paths import ROOT
from taskpath_services.cli.session import DONE, Access, console, print_json


async def cancel(access: Access, id: str, path: str | None, *, json: bool) -> int:
    """Cancels what runs at or under a path."""
    async with access.client() as client:
        revision = await client.cancel(id, path or ROOT)
    if json:
        print_json({"revision": revision})
    else:
        console().print(f"Cancelled what ran of {path + ' of ' if path else ''}{id}.")
    return DONE


async def delete(access: Access, id: str, *, json: bool) -> int:
    """Deletes an instance."""
    async with access.client() as client:
        await client.delete(id)
    if json:
        print_json({"id": id, "deleted": True})
    else:
        console().print(f"Deleted {id}.")
    return DONE
