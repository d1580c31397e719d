"""The OpenAPI document of a running system, and whether an answer is as it says."""

from __future__ import annotations

import re
from collections.abc import Iterator
from functools import lru_cache
from typing import Any

import aiohttp
import msgspec
from jsonschema import Draft202012Validator


class Description:
    """What a system says of its API.

    Args:
        document: OpenAPI 3.1.
    """

    def __init__(self, document: dict[str, Any]) -> None:
        self.document = document
        self._validators: dict[str, Draft202012Validator] = {}
        self._paths = [
            (re.compile(re.sub(r"\\{\w+\\}", "[^/]+", re.escape(path))), path) for path in document["paths"]
        ]

    @classmethod
    def of(cls, text: bytes) -> Description:
        """The description in an answer; the same text is taken apart once."""
        return _parse(text)

    def operation(self, method: str, path: str) -> Any:
        """What it says of a call; None if it knows no such call."""
        for pattern, template in self._paths:
            if pattern.fullmatch(path) and method.lower() in self.document["paths"][template]:
                return self.document["paths"][template][method.lower()]
        return None

    def check(self, method: str, path: str, response: aiohttp.ClientResponse, text: bytes) -> None:
        """Holds an answer against it: status, content type, and every field."""
        operation = self.operation(method, path)
        if operation is None:
            assert response.status in (400, 403, 404, 405, 413), f"{method} {path} is not described"
            return
        described = operation["responses"].get(str(response.status))
        assert described is not None, f"{method} {path} is not said to answer with {response.status}"
        content = described.get("content")
        if content is None:
            assert text == b""
            return
        assert response.content_type in content
        if response.content_type == "application/json":
            self.fits(msgspec.json.decode(text), content["application/json"]["schema"])

    def fits(self, value: Any, schema: Any) -> None:
        """Asserts that a value is as a schema says, with no field that it does not know."""
        key = repr(schema)
        if key not in self._validators:
            self._validators[key] = Draft202012Validator(
                {**schema, "components": {"schemas": self._closed()}},
            )
        errors = [error.message for error in self._validators[key].iter_errors(value)]
        assert not errors, errors

    def _closed(self) -> dict[str, Any]:
        """The components, none of which may have a field that is not described."""
        return {
            name: {"additionalProperties": False, **component} if "properties" in component else component
            for name, component in self.document["components"]["schemas"].items()
        }

    def references(self) -> Iterator[str]:
        """Every reference in the document."""
        yield from re.findall(r'"\$ref":"([^"]+)"', msgspec.json.encode(self.document).decode())


@lru_cache(maxsize=4)
def _parse(text: bytes) -> Description:
    return Description(msgspec.json.decode(text))
