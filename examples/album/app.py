"""The album: the smallest workflow that shows most of what a workflow can do.

    taskpath up examples/album/app.py
    taskpath run album --data '{"album": "Sea", "count": 200}'

Nothing here is a real photo: the tasks wait a moment instead of working, so that there is something to watch.
"""

from __future__ import annotations

import asyncio
import json
import time
import zlib
from typing import Any

from taskpath import App, Retry, Task, TaskContext

app = App()


async def list_photos(arg: dict[str, Any], ctx: TaskContext) -> list[dict[str, int]]:
    """The first task receives the data of the instance."""
    ctx.log("looking in", arg["album"])
    await asyncio.sleep(0.2)
    return [{"id": number} for number in range(arg["count"])]


class CameraIsBusy(Exception):
    """The photo cannot be read just now."""


def resize(photo: dict[str, int], ctx: TaskContext) -> dict[str, int]:
    """One item of the `foreach`. A plain function: it runs in a thread, and may block."""
    time.sleep(0.05)
    ctx.progress(0.5, "half way")
    if photo["id"] % 50 == 7 and ctx.attempt == 1:
        raise CameraIsBusy(f"photo {photo['id']} is in use; it will be free at the next attempt")
    time.sleep(0.05)
    return {"id": photo["id"], "bytes": 1000 + photo["id"]}


def make_zip(resized: list[dict[str, int]], ctx: TaskContext) -> dict[str, int]:
    """Receives the results of all items, in the order of the list."""
    ctx.log("packing", len(resized), "of", len(ctx.context["photos"]), "photos")
    return {"photos": len(resized), "size": len(zlib.compress(json.dumps(resized).encode()))}


async def publish(zipped: dict[str, int] | list[Any], ctx: TaskContext) -> dict[str, str]:
    """The own function of a group: its subtasks see its result as `archive`."""
    ctx.progress(0.5, "uploading")
    await asyncio.sleep(0.3)
    return {"url": f"https://photos.example/{ctx.instance_id}.zip"}


async def to_cdn(archive: dict[str, str], ctx: TaskContext) -> str:
    """Runs beside `send_mail`; its argument is the same as `ctx.context["archive"]`."""
    await asyncio.sleep(0.4)
    return archive["url"].replace("photos.", "cdn.")


async def send_mail(_archive: dict[str, str], ctx: TaskContext) -> str:
    """Runs beside `to_cdn`."""
    await asyncio.sleep(0.2)
    ctx.log("your album is at", ctx.context["archive"]["url"])
    return "sent"


@app.workflow("album", description="Resizes the photos of an album and publishes them")
def album(_data: dict[str, Any]) -> list[Task]:
    """The tree."""
    return [
        Task("list", list_photos, description="Find the photos", context_var="photos"),
        Task(
            "resize",
            resize,
            description="Resize each photo",
            foreach="photos",
            max_parallel=50,
            retry=Retry(attempts=3, backoff=0.5),
        ),
        Task(
            "zip",
            make_zip,
            description="Pack them",
            condition=lambda context: len(context["photos"]) > 0,
            timeout=60,
            on_complete=lambda res: f"{res['size']} bytes",
        ),
        Task(
            "publish",
            publish,
            description="Publish the archive",
            subtasks=[
                Task("cdn", to_cdn, description="To the CDN"),
                Task("mail", send_mail, description="Tell them"),
            ],
            dest="archive",
        ),
    ]
