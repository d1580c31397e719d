"""moto's server, with what its transactions lack.

They copy the whole table first, and put the copy back if a condition fails: what others wrote meanwhile would
be lost, and the copy of thousands of items takes a second. Here requests are answered one by one, and the
copy shares what no request changes in place.

    python moto_server.py PORT
"""

from __future__ import annotations

import copy
import sys
import threading
from collections.abc import Callable, Iterable
from typing import Any

from moto.dynamodb.models.dynamo_type import Item, LimitedSizeDict
from moto.dynamodb.models.table import Table
from moto.moto_server.werkzeug_app import (
    DomainDispatcherApplication,
    MotoRequestHandler,
    create_backend_app,
)
from werkzeug.serving import run_simple


def copied(table: Table, memo: dict[int, Any]) -> Table:
    """The table with items of its own, whose attributes are replaced, never changed."""
    result: Table = object.__new__(type(table))
    result.__dict__.update(table.__dict__)
    result.items = copy.copy(table.items)
    for key, items in table.items.items():
        result.items[key] = {name: copied_item(item) for name, item in items.items()}
    return result


def copied_item(item: Item) -> Item:
    """The item with attributes of its own."""
    result: Item = object.__new__(Item)
    result.__dict__.update(item.__dict__)
    result.attrs = LimitedSizeDict.__new__(LimitedSizeDict)
    dict.update(result.attrs, item.attrs)
    return result


class OneByOne:
    """A WSGI application that answers one request after the other."""

    def __init__(self, application: Callable[..., Iterable[bytes]]) -> None:
        self._application = application
        self._turn = threading.Lock()

    def __call__(self, environ: Any, start_response: Any) -> Iterable[bytes]:
        with self._turn:
            return list(self._application(environ, start_response))


def main() -> None:
    """Serves until it is killed."""
    setattr(Table, "__deepcopy__", copied)  # noqa: B010 - the class does not declare it
    application = OneByOne(DomainDispatcherApplication(create_backend_app))
    run_simple("127.0.0.1", int(sys.argv[1]), application, threaded=True, request_handler=MotoRequestHandler)


if __name__ == "__main__":
    main()
