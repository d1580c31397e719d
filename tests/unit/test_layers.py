"""Contexts from layers, and values that nobody may change."""

from __future__ import annotations

import copy
import json
import pickle
from typing import Any

import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st

from taskpath import TaskpathError
from taskpath.encoding import NotJSON, encode
from taskpath.frozen import freeze, thaw
from taskpath.layers import build, source_of, values_of
from taskpath_proto.errors import ErrorCode
from taskpath_proto.values import Inline, Value
from taskpath_proto.work import Layer

json_values = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats(allow_nan=False, allow_infinity=False) | st.text(),
    lambda inner: st.lists(inner, max_size=4) | st.dictionaries(st.text(), inner, max_size=4),
    max_leaves=20,
)


def inline(value: Any) -> Inline:
    return Inline(json.dumps(value))


def read(value: Value) -> Any:
    assert isinstance(value, Inline)
    return freeze(json.loads(value.json))


class TestLayers:
    def test_variables_then_keys_then_updaters(self) -> None:
        layer = Layer(
            "#.a",
            variables=(("v", inline(1)), ("k", inline("variable"))),
            keys=("k", "absent"),
            result=inline({"k": "key", "other": 1}),
            updaters=inline([{"k": {"$set": "updater"}}, {"n": {"$set": 2}}]),
        )
        base = inline({"b": 0, "v": 0})
        assert build(base, [layer], read) == {"b": 0, "v": 1, "k": "updater", "n": 2}
        assert list(values_of(base, [layer])) == [
            base,
            inline(1),
            inline("variable"),
            layer.result,
            layer.updaters,
        ]

    def test_later_layers_go_over_earlier_ones_and_touch_nothing(self) -> None:
        base: dict[str, Any] = {"list": [1]}
        values: dict[Value, Any] = {
            inline("base"): base,
            inline("u"): [{"list": {"$push": [2]}}],
            inline("x"): 5,
        }
        layers = [
            Layer("#.a", updaters=inline("u")),
            Layer("#.b", variables=(("list2", inline("x")),)),
            Layer("#.c", updaters=inline("u")),
        ]
        assert build(inline("base"), layers, values.__getitem__) == {"list": [1, 2, 2], "list2": 5}
        assert base == {"list": [1]}

    @pytest.mark.parametrize("result", [None, [1], "text", {"other": 1}])
    def test_keys_of_a_result_without_them_leave_nothing(self, result: Any) -> None:
        layer = Layer("#.a", keys=("k",), result=inline(result))
        assert build(inline({"k": 0}), [layer], read) == {"k": 0}

    @pytest.mark.parametrize("updater", [{"n": {"$push": [1]}}, {"$set": 7}])
    def test_an_updater_that_does_not_fit_names_its_task(self, updater: Any) -> None:
        with pytest.raises(TaskpathError, match=r"#\.a left") as caught:
            build(inline({"n": 1}), [Layer("#.a", updaters=inline([updater]))], read)
        assert caught.value.code is ErrorCode.EXECUTION_FAILED
        assert caught.value.info.path == "#.a"

    def test_where_a_variable_comes_from(self) -> None:
        bound = Layer("#.a", variables=(("v", inline(1)),))
        assert source_of("v", [bound]) == inline(1)
        assert source_of("w", [bound]) is None
        assert source_of("v", [bound, Layer("#.b", updaters=inline([]))]) is None
        assert source_of("v", [bound, Layer("#.b", keys=("v",), result=inline({}))]) is None
        assert source_of("v", [Layer("#.b", updaters=inline([])), bound]) == inline(1)


class TestFrozen:
    @given(json_values)
    def test_a_frozen_value_is_equal_and_writes_the_same_json(self, value: Any) -> None:
        frozen = freeze(value)
        assert frozen == value
        assert thaw(frozen) == value
        assert copy.deepcopy(frozen) == value
        assert json.dumps(frozen) == json.dumps(value)
        assert encode(frozen) == encode(value)
        assert freeze(frozen) is frozen or not isinstance(frozen, (dict, list))

    def test_nothing_changes_it(self) -> None:
        frozen = freeze({"list": [1, [2]], "dict": {"a": 1}})
        attempts: list[Any] = [
            lambda: frozen.__setitem__("x", 1),
            lambda: frozen.update(x=1),
            lambda: frozen.pop("list"),
            lambda: frozen.clear(),
            lambda: frozen.setdefault("x", 1),
            lambda: frozen["list"].append(1),
            lambda: frozen["list"][1].append(1),
            lambda: frozen["list"].sort(),
            lambda: frozen["list"].__iadd__([1]),
            lambda: frozen["list"].__delitem__(0),
            lambda: frozen["dict"].popitem(),
            lambda: frozen["dict"].__ior__({}),
        ]
        for attempt in attempts:
            with pytest.raises(TypeError, match="read-only"):
                attempt()
        assert frozen == {"list": [1, [2]], "dict": {"a": 1}}

    def test_copies_are_plain(self) -> None:
        frozen = freeze({"list": [1, [2]]})
        for plain in (copy.deepcopy(frozen), pickle.loads(pickle.dumps(frozen))):
            assert type(plain) is dict
            plain["list"][1].append(3)
        copy.copy(frozen)["x"] = 1
        frozen.copy()["x"] = 1
        assert frozen == {"list": [1, [2]]}


class TestEncoding:
    @given(json_values)
    def test_json_values_come_back(self, value: Any) -> None:
        try:
            text = encode(value)
        except NotJSON:
            assert "\\ud" in json.dumps(value)
        else:
            assert json.loads(text) == value
            assert msgspec.json.decode(text) == value

    @given(json_values, st.sampled_from([float("nan"), float("-inf"), b"x", bytearray(), {1}, object(), int]))
    def test_a_bad_part_is_found_anywhere(self, value: Any, bad: Any) -> None:
        for whole in (bad, [value, bad], {"a": value, "b": {"c": [bad]}}, (value, (bad,))):
            with pytest.raises(NotJSON):
                encode(whole)

    def test_what_contains_itself(self) -> None:
        endless: list[Any] = []
        endless.append(endless)
        with pytest.raises(NotJSON, match="contains itself"):
            encode(endless)
