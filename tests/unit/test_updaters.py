"""Updaters: every command, every error, and the facts of the npm package.

``updaters_corpus.json`` holds what ``immutability-helper`` 3.1.1 does. It was made once, under Node.js 20:
176 cases written by hand and 60 random ones were run through the package, and each was kept with the result,
as JSON text would carry it, or with the fact that it failed. ``stricter`` marks the cases that JavaScript
lets pass by a coercion, or by losing the change, and that are errors here. With the package installed, this
says whether the facts still hold::

    const update = require("immutability-helper").default;
    for (const c of require("./updaters_corpus.json").cases) {
      let fact;
      try { fact = JSON.stringify(update(c.value, c.updater)); } catch { }
      if (fact !== JSON.stringify(c.result)) console.log("differs", JSON.stringify(c), fact);
    }
"""

from __future__ import annotations

import json
import pickle
from collections.abc import Callable
from contextlib import suppress
from functools import partial
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from taskpath.updaters import JSON, MAX_DEPTH, MAX_PADDING, UpdaterError, apply, check

CORPUS: list[dict[str, Any]] = json.loads(
    Path(__file__).with_name("updaters_corpus.json").read_text(encoding="utf-8")
)["cases"]


def text(value: JSON) -> str:
    """JSON text tells true from 1, and 1 from 1.0."""
    return json.dumps(value, sort_keys=True)


@pytest.mark.parametrize("case", CORPUS, ids=lambda case: f"{json.dumps(case['updater'])[:60]}")
def test_does_what_the_npm_package_does(case: dict[str, Any]) -> None:
    before = json.dumps(case)
    if "error" in case or "stricter" in case:
        with pytest.raises(UpdaterError):
            apply(case["value"], case["updater"])
    else:
        assert text(apply(case["value"], case["updater"])) == text(case["result"])
        check(case["updater"])
    assert json.dumps(case) == before


def at_path(path: JSON, updater: JSON) -> dict[str, JSON]:
    return {"$updatePath": {"path": path, "updater": updater}}


EXAMPLES: list[tuple[JSON, JSON, JSON]] = [
    # one command
    ({"a": 1}, {"$set": [2]}, [2]),
    ({"a": 1}, {"a": {"$set": True}}, {"a": True}),
    ({"a": {"x": 1}, "b": 1}, {"$merge": {"a": {"y": 2}, "c": 3}}, {"a": {"y": 2}, "b": 1, "c": 3}),
    ([1, 2], {"$merge": {"0": 9, "3": 8}}, [9, 2, None, 8]),
    ({"a": 1, "b": 2, "3": 4}, {"$unset": ["a", "z", 3]}, {"b": 2}),
    ([1, 2, 3], {"$unset": [0, "2", 7]}, [None, 2, None]),
    ({"a": True, "b": 0}, {"$toggle": ["a", "b", "c"]}, {"a": False, "b": True, "c": True}),
    ([True, None], {"$toggle": [0, 1.0]}, [False, True]),
    ([1], {"$push": [2, [3]]}, [1, 2, [3]]),
    ([1], {"$unshift": [2, 3]}, [2, 3, 1]),
    ([1, 2, 3, 4], {"$splice": [[1, 2, "x"]]}, [1, "x", 4]),
    ([1, 2, 3, 4], {"$splice": [[-2]]}, [1, 2]),
    ([1, 2, 3, 4], {"$splice": [[1.0, 1.0], [0, 0, 0]]}, [0, 1, 3, 4]),
    ([1, 2], {"$splice": [[-9, -9, 0], [9, 9, 3], []]}, [0, 1, 2, 3]),
    # keys and indices
    ({"a": [{"b": 1}]}, {"a": {"0": {"b": {"$set": 2}, "c": {"$set": 3}}}}, {"a": [{"b": 2, "c": 3}]}),
    ([1], {"3": {"$set": 4}}, [1, None, None, 4]),
    ([1], {"2": {}}, [1, None, None]),
    ({}, {"a": {}}, {}),
    ([{"a": 1}, 2], [{"a": {"$set": 3}}], [{"a": 3}, 2]),
    ({}, {"a.b": {"$set": 1}, "": {"$set": 2}}, {"a.b": 1, "": 2}),
    # in the order written, also where JavaScript would take integer keys first
    ([1], {"$push": [2], "$unshift": [0]}, [0, 1, 2]),
    ([1, 2], {"$unshift": [0], "$splice": [[0, 2]]}, [2]),
    ({"a": 1}, {"$unset": ["a"], "$merge": {"a": 2}}, {"a": 2}),
    ({"a": 1}, {"$merge": {"a": 2}, "$unset": ["a"]}, {}),
    ([1, 2, 3], {"$splice": [[0, 1]], "0": {"$set": 9}}, [9, 3]),
    ([1, 2, 3], {"0": {"$set": 9}, "$splice": [[0, 1]]}, [2, 3]),
    # a key reads what stood there first, and is put into the result so far
    ({"a": {"x": 1}}, {"$merge": {"a": {"y": 2}}, "a": {"z": {"$set": 3}}}, {"a": {"x": 1, "z": 3}}),
    ({"a": 1}, {"$unset": ["a"], "a": {}}, {"a": 1}),
    ({}, {"$merge": {"a": 1}, "a": {}}, {}),
    # $updatePath
    ({"a": {"b": 1}}, at_path("#.a.b", {"$set": 2}), {"a": {"b": 2}}),
    ({"a": {"b": 1}}, at_path("a.b", {"$set": 2}), {"a": {"b": 2}}),
    ({"a": {"b": [1]}}, {"a": at_path("#.b", {"$push": [2]})}, {"a": {"b": [1, 2]}}),
    ({"a": [{"b": 1}]}, at_path("a.0.c", {"$set": 2}), {"a": [{"b": 1, "c": 2}]}),
    ({"a": [1]}, at_path("a.2", {"$set": 3}), {"a": [1, None, 3]}),
    ([1], {**at_path("#", {"$push": [2]}), "$unshift": [0]}, [0, 1, 2]),
    ([1], {"$push": [2], **at_path("", {"$unshift": [0]})}, [0, 1, 2]),
    ([1], {"$push": [2], **at_path("#", {"$set": [3]}), "$unshift": [0]}, [0, 3]),
    ({"$a": {}}, at_path("$a.#b", {"$set": 1}), {"$a": {"#b": 1}}),
    ({}, {"$merge": {"a": {}}, **at_path("a.b", {"$set": 1})}, {"a": {"b": 1}}),
    # what is put in is data, whatever it looks like
    (
        {},
        {"a": {"$set": {"$push": [1]}}, "$merge": {"b": {"$apply": 1}}},
        {"a": {"$push": [1]}, "b": {"$apply": 1}},
    ),
]


@pytest.mark.parametrize(("value", "updater", "expected"), EXAMPLES)
def test_makes(value: JSON, updater: JSON, expected: JSON) -> None:
    before = json.dumps([value, updater])
    check(updater)
    assert text(apply(value, updater)) == text(expected)
    assert json.dumps([value, updater]) == before


SET: JSON = {"$set": 1}

FORM_OF_SPLICE = "$splice at # takes an array of arrays [start, deleteCount, item …]"
FORM_OF_PATH = "$updatePath at # takes a path of steps joined by dots, as in #.photos.0.name"
FORM_OF_INDEX = "must be an index of the array there: 0, 1, 2 and so on"

MALFORMED: list[tuple[JSON, str]] = [
    (5, "The updater at # must be an object of commands and keys, not a number"),
    (None, "The updater at # must be an object of commands and keys, not null"),
    ({"a": {"b": "x"}}, "The updater at #.a.b must be an object of commands and keys, not text"),
    ({"a": [SET, True]}, "The updater at #.a.1 must be an object of commands and keys, not a boolean"),
    ({"$set": 1, "$merge": {}}, "$set at # must stand alone, but $merge stands beside it"),
    ({"a": {"b": {}, "$set": 1}}, "$set at #.a must stand alone, but b stands beside it"),
    (
        {"a": {"$apply": "f"}},
        "$apply at #.a is no command; the commands are "
        "$set, $merge, $unset, $toggle, $push, $unshift, $splice, $updatePath",
    ),
    ({"a": {"$merge": 5}}, "$merge at #.a takes an object, not a number"),
    ({"$push": {}}, "$push at # takes an array of items, not an object"),
    ({"$unshift": "ab"}, "$unshift at # takes an array of items, not text"),
    ({"$unset": "a"}, "$unset at # takes an array of keys, not text"),
    ({"$unset": ["a", None]}, "$unset at # takes keys that are text or whole numbers, not null"),
    ({"$toggle": {"a": True}}, "$toggle at # takes an array of keys, not an object"),
    ({"$toggle": [True]}, "$toggle at # takes keys that are text or whole numbers, not a boolean"),
    ({"$toggle": [1.5]}, "$toggle at # takes keys that are text or whole numbers, not a number"),
    ({"$toggle": [2**53]}, "$toggle at # takes keys that are text or whole numbers, not a number"),
    ({"$splice": 1}, f"{FORM_OF_SPLICE}, not a number"),
    ({"$splice": [[0], 1]}, f"{FORM_OF_SPLICE}, but its entry 1 is a number"),
    ({"$updatePath": "a"}, "$updatePath at # takes an object of path and updater, not text"),
    ({"$updatePath": {}}, "$updatePath at # takes an object of path and updater, but finds no key in it"),
    (
        {"a": {"$updatePath": {"path": "b", "update": SET}}},
        "$updatePath at #.a takes an object of path and updater, but finds path, update in it",
    ),
    (at_path(["a"], SET), "$updatePath at # takes a path that is text, not an array"),
    (at_path("a.0", {"b": 5}), "The updater at #.a.0.b must be an object of commands and keys, not a number"),
]


def refusal(call: Callable[[], object]) -> str:
    """The message without its full stop; the path of the error is the one that it names."""
    with pytest.raises(UpdaterError) as caught:
        call()
    message, path = str(caught.value), caught.value.path
    assert f" at {path} " in message
    assert message.endswith(".")
    return message[:-1]


@pytest.mark.parametrize(("updater", "message"), MALFORMED)
def test_refuses_a_malformed_updater_at_once(updater: JSON, message: str) -> None:
    assert refusal(lambda: check(updater)) == message
    assert refusal(lambda: apply({}, updater)) == message


@pytest.mark.parametrize(
    "entry",
    [[None], ["0"], [True, 1], [0.5], [0, None, "x"], [0, "1"], [float("inf")], [float("nan")]],
)
def test_refuses_splice_without_whole_numbers(entry: list[JSON]) -> None:
    expected = f"{FORM_OF_SPLICE}, but entry 1 does not begin with whole numbers"
    assert refusal(lambda: check({"$splice": [[0, 1], entry]})) == expected


@pytest.mark.parametrize(
    "path", [".", ".a", "a.", "a..b", "#.", "#a", "##", "#..a", "a[0]", "a[].b", "a.[-1]", "#[0]"]
)
def test_refuses_what_is_no_path(path: str) -> None:
    assert refusal(lambda: check(at_path(path, SET))) == f"{FORM_OF_PATH}, not {path}"


MISFITS: list[tuple[JSON, JSON, str]] = [
    ({"a": 1}, {"a": {"$push": []}}, "$push at #.a needs an array, but finds a number"),
    ({}, {"a": {"$unshift": [1]}}, "$unshift at #.a needs an array, but finds nothing"),
    ({}, {"$splice": []}, "$splice at # needs an array, but finds an object"),
    (None, {"$merge": {}}, "$merge at # needs an object or an array, but finds null"),
    ({"a": 1}, {"$merge": [1]}, "$merge of an array at # needs an array, but finds an object"),
    ("x", {"$unset": ["a"]}, "$unset at # needs an object or an array, but finds text"),
    ([True], {"0": {"$toggle": ["a"]}}, "$toggle at #.0 needs an object or an array, but finds a boolean"),
    ({}, {"a": {"b": SET}}, "The key b at #.a needs an object or an array, but finds nothing"),
    ("abc", {"0": SET}, "The key 0 at # needs an object or an array, but finds text"),
    ({"a": {}}, {"a": [SET]}, "An array as updater at #.a needs an array, but finds an object"),
    ([1], {"$unset": [-1]}, f"The key -1 at # {FORM_OF_INDEX}"),
    ({}, at_path("a.b", SET), "The key b at #.a needs an object or an array, but finds nothing"),
    ({"a": [1]}, at_path("a.1.b", SET), "The key b at #.a.1 needs an object or an array, but finds nothing"),
    (
        {"a": {"b": 0}},
        {"a": at_path("b.c", SET)},
        "The key c at #.a.b needs an object or an array, but finds a number",
    ),
    ({"a": [1]}, at_path("a.b", SET), f"The key b at #.a {FORM_OF_INDEX}"),
    ({"a": {}}, at_path("a.b", {"$push": [1]}), "$push at #.a.b needs an array, but finds nothing"),
    ([1], {**at_path("#", SET), "0": SET}, "The key 0 at # needs an object or an array, but finds a number"),
]


@pytest.mark.parametrize(("value", "updater", "message"), MISFITS)
def test_refuses_an_updater_that_does_not_fit(value: JSON, updater: JSON, message: str) -> None:
    check(updater)
    assert refusal(lambda: apply(value, updater)) == message


@pytest.mark.parametrize("key", ["a", "-1", "01", "1.0", "", "length", "٣", "9" * 17])
def test_an_array_has_indices_only(key: str) -> None:
    updaters: list[JSON] = [{key: SET}, {"$merge": {key: 1}}, {"$toggle": [key]}, {"$unset": [key]}]
    for updater in updaters:
        assert refusal(partial(apply, [1, 2], updater)) == f"The key {key} at # {FORM_OF_INDEX}"


@pytest.mark.parametrize(
    "updater",
    [
        {},
        {"$unset": ["z"], "$toggle": [], "$merge": {"a": 1}},
        {"a": {"$set": 1}, "list": {"$push": [], "$unshift": [], "$splice": [[]], "$unset": [5]}},
        {"list": {"1": {"$set": None}, "$unset": [1]}, "none": {}},
        {"$updatePath": {"path": "list.0.b", "updater": {"$set": "x"}}},
    ],
)
def test_gives_the_same_object_if_nothing_changes(updater: JSON) -> None:
    value: JSON = {"a": 1, "list": [{"b": "x"}, None]}
    assert apply(value, updater) is value


def test_shares_what_did_not_change() -> None:
    value: dict[str, JSON] = {"a": {"b": 1}, "c": {"d": 2}}
    result = apply(value, {"c": {"d": {"$set": 3}}})
    assert isinstance(result, dict)
    assert result["a"] is value["a"]


def test_the_error_survives_a_process_pool() -> None:
    with pytest.raises(UpdaterError) as caught:
        apply({}, {"a": {"$push": [1]}})
    copy = pickle.loads(pickle.dumps(caught.value))
    assert (type(copy), str(copy), copy.path) == (UpdaterError, str(caught.value), "#.a")


def test_messages_stay_short() -> None:
    with pytest.raises(UpdaterError) as caught:
        apply({}, {"k" * 100_000: {"$push": [1]}})
    assert len(str(caught.value)) < 300


def nested(depth: int, *, by_path: bool) -> JSON:
    updater: JSON = {}
    for _ in range(depth):
        updater = at_path("a", updater) if by_path else {"a": updater}
    return updater


@pytest.mark.parametrize("by_path", [False, True])
def test_nesting_is_bounded(by_path: bool) -> None:
    value: JSON = {}
    for _ in range(MAX_DEPTH):
        value = {"a": value}
    assert apply(value, nested(MAX_DEPTH, by_path=by_path)) is value
    with pytest.raises(UpdaterError, match="nested too deep"):
        check(nested(MAX_DEPTH + 1, by_path=by_path))
    with pytest.raises(UpdaterError, match="nested too deep"):
        apply(value, nested(100_000, by_path=by_path))


def test_padding_is_bounded() -> None:
    result = apply([], {str(MAX_PADDING): SET})
    assert isinstance(result, list)
    assert len(result) == MAX_PADDING + 1
    half = MAX_PADDING // 2 + 1
    with pytest.raises(UpdaterError, match="pads too far") as caught:
        apply([[], []], {"0": {str(half): SET}, "1": {"$merge": {str(half): 1}}})
    assert caught.value.path == f"#.1.{half}"
    updaters: list[JSON] = [{"$toggle": [2**53 - 1]}, at_path("9" * 15, SET), [{}, {"9" * 15: {}}]]
    for updater in updaters:
        with pytest.raises(UpdaterError, match="pads too far"):
            apply([0, []], updater)


def test_many_keys_take_one_copy() -> None:
    """Quadratic, this would take minutes."""
    keys = [f"k{number}" for number in range(50_000)]
    value: JSON = dict.fromkeys(keys, 0)
    assert apply(value, dict.fromkeys(keys, SET)) == dict.fromkeys(keys, 1)


# Properties.

SCALARS = st.none() | st.booleans() | st.integers(-5, 5) | st.floats(-2, 2) | st.text("ab$.#0", max_size=3)
KEYS = st.sampled_from(["a", "b", "c", "0", "1", "2", "$a", ""])
VALUES: st.SearchStrategy[JSON] = st.recursive(
    SCALARS,
    lambda inner: st.lists(inner, max_size=4) | st.dictionaries(KEYS, inner, max_size=4),
    max_leaves=12,
)
LISTS = st.lists(VALUES, max_size=6)
INDICES = st.integers(-8, 8)
PATHS = st.lists(KEYS, max_size=3).map(".".join) | st.lists(KEYS, max_size=3).map(
    lambda steps: ".".join(["#", *steps])
)


def commands(inner: st.SearchStrategy[JSON]) -> st.SearchStrategy[JSON]:
    keys = st.lists(KEYS | st.integers(0, 5), max_size=3)
    cut = st.tuples(INDICES, INDICES, VALUES).map(list) | st.tuples(INDICES).map(list)
    known: dict[str, st.SearchStrategy[Any]] = {
        "$merge": st.dictionaries(KEYS, VALUES, max_size=3) | LISTS,
        "$unset": keys,
        "$toggle": keys,
        "$push": LISTS,
        "$unshift": LISTS,
        "$splice": st.lists(cut, max_size=3),
        "$updatePath": st.fixed_dictionaries({"path": PATHS, "updater": inner}),
        "a": inner,
        "b": inner,
        "0": inner,
        "1": inner,
    }
    some = st.lists(st.sampled_from(sorted(known)), unique=True, max_size=3).flatmap(
        lambda names: st.fixed_dictionaries({name: known[name] for name in names})
    )
    return some | st.lists(inner, max_size=2)


UPDATERS: st.SearchStrategy[JSON] = st.recursive(
    st.builds(lambda value: {"$set": value}, VALUES), commands, max_leaves=6
)


@given(VALUES, UPDATERS | VALUES)
def test_never_mutates_and_raises_nothing_else(value: JSON, updater: JSON) -> None:
    before = json.dumps([value, updater])
    with suppress(UpdaterError):
        result = apply(value, updater)
        check(updater)
        assert json.loads(json.dumps(result)) == result
    assert json.dumps([value, updater]) == before


@given(st.lists(st.sampled_from("abc"), min_size=1, max_size=4), VALUES, VALUES)
def test_what_is_set_is_read(steps: list[str], old: JSON, new: JSON) -> None:
    value, updater = old, {"$set": new}
    for step in reversed(steps):
        value, updater = {step: value, "other": old}, {step: updater}
    by_key, by_path = apply(value, updater), apply(value, at_path(".".join(steps), {"$set": new}))
    assert text(by_key) == text(by_path)
    read: Any = by_key
    for step in steps:
        assert text(read["other"]) == text(old)
        read = read[step]
    assert text(read) == text(new)


@given(LISTS, LISTS)
def test_push_and_unshift_are_concatenation(array: list[JSON], items: list[JSON]) -> None:
    assert apply(array, {"$push": items}) == array + items
    assert apply(array, {"$unshift": items}) == items + array


@given(LISTS, INDICES, INDICES, LISTS)
def test_splice_keeps_what_is_around(array: list[JSON], start: int, count: int, items: list[JSON]) -> None:
    before = array[:start] if start != 0 else []
    removed = array[len(before) :][: max(count, 0)]
    after = array[len(before) + len(removed) :]
    assert apply(array, {"$splice": [[start, count, *items]]}) == before + items + after
    assert apply(array, {"$splice": [[start]]}) == before


@given(VALUES, st.lists(st.sampled_from(["a", "b", "0", "1"]), max_size=3), UPDATERS)
def test_a_path_is_nested_keys(value: JSON, steps: list[str], updater: JSON) -> None:
    by_keys = updater
    for step in reversed(steps):
        by_keys = {step: by_keys}
    assert outcome(value, at_path(".".join(["#", *steps]), updater)) == outcome(value, by_keys)


def outcome(value: JSON, updater: JSON) -> str:
    try:
        return text(apply(value, updater))
    except UpdaterError as error:
        return f"{error} ({error.path})"
