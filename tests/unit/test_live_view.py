"""The terminal's view of an instance: from packets, as the gateway sends them, to text."""

from __future__ import annotations

import io
from typing import Any

import msgspec
import pytest
from rich.console import Console

from taskpath.client import Change, Instance
from taskpath_services.cli.live import words
from taskpath_services.cli.live.bars import Picture
from taskpath_services.cli.live.lines import Lines
from taskpath_services.cli.live.rows import LONG, rows
from taskpath_services.cli.live.tree import Tree

NOW = 1_700_000_000_000
FAILED = {"code": "EXECUTION_FAILED", "message": "no", "type": "ValueError"}


def packet(**fields: Any) -> Change:
    change: Change = msgspec.convert({"id": "i1", "revision": 1, "baseRevision": 0, **fields}, type=Change)
    return change


def node(path: str, *children: dict[str, Any], **more: Any) -> dict[str, Any]:
    name = path.rpartition(".")[2]
    return {"path": path, "name": name, "description": f"The {name}", "children": list(children), **more}


def state(status: str, **more: Any) -> dict[str, Any]:
    return {
        "status": status, "stale": False, "executionTime": NOW - 2_000, "duration": None, "attempt": 1, **more
    }  # fmt: skip


DESCRIPTION = packet(
    type="workflowDescription",
    tasks=[
        node("#.find"),
        node("#.resize", foreach=True, count=4),
        node("#.publish", node("#.publish.cdn"), node("#.publish.mail")),
    ],
)


def test_a_description_in_parts_is_put_together() -> None:
    tree = Tree("i1")
    tree.apply(packet(type="workflowDescription", tasks=[node("#.old")], more=True), NOW)
    first = [node("#.a"), node("#.group", node("#.group.x"))]
    tree.apply(packet(type="workflowDescription", tasks=first, more=True), NOW)
    second = [node("#.group", node("#.group.y")), node("#.b")]
    tree.apply(packet(type="workflowDescription", tasks=second, continues=True), NOW)
    assert tree.children("#") == ["#.a", "#.group", "#.b"]
    assert tree.children("#.group") == ["#.group.x", "#.group.y"]


def described(**statuses: dict[str, Any]) -> Tree:
    tree = Tree("i1")
    tree.apply(DESCRIPTION, NOW)
    tree.apply(packet(type="setTasksStatuses", statuses={f"#.{k}": v for k, v in statuses.items()}), NOW)
    return tree


def text_of(tree: Tree, *, width: int = 120, hint: str = "", terminal: bool = True) -> str:
    console = Console(
        file=io.StringIO(), width=width, height=30, force_terminal=terminal, color_system=None,
        highlight=False, legacy_windows=False,
    )  # fmt: skip
    console.print(Picture(tree, "album", NOW, 12_300, hint))
    out = console.file
    assert isinstance(out, io.StringIO)
    return out.getvalue()


def test_a_task_shows_its_progress_message_and_time() -> None:
    tree = described(find=state("running", progress={"fraction": 0.42, "message": "folder 3"}))
    [line] = [line for line in text_of(tree).splitlines() if "find" in line]
    assert "42%" in line
    assert "folder 3" in line
    assert "2.0 s" in line


@pytest.mark.parametrize(
    ("usual", "text"),
    [(62_000, "about 60 s left"), (3_000, "about 1 s left"), (1_000, None), (None, None)],
)
def test_a_task_says_how_long_it_will_take_if_that_is_worth_saying(
    usual: int | None, text: str | None
) -> None:
    shown = text_of(described(find=state("running", expectedDuration=usual)))
    assert (text in shown) if text else ("left" not in shown)


def test_a_task_that_has_taken_longer_than_usual_says_what_is_usual() -> None:
    late = state(
        "running",
        executionTime=NOW - 9_000,
        expectedDuration=4_000,
        progress={"fraction": 0.1, "message": "slow"},
    )
    assert "usually 4 s, slow" in text_of(described(find=late))
    assert "usually" not in text_of(described(find=state("ok", duration=9_000, expectedDuration=4_000)))


def test_a_foreach_counts_the_items_that_were_sent_and_those_that_were_not() -> None:
    tree = described(**{
        "resize": state("running"),
        "resize[0]": state("ok", duration=5),
        "resize[1]": state("failed", error=FAILED),
    })  # fmt: skip
    text = text_of(tree)
    assert "1 of 4" in text, "what is done, as the head of it all counts"
    assert "1 failed" in text
    assert "ValueError: no" in text


def test_a_collapsed_foreach_is_shown_by_its_rollup() -> None:
    counts = {
        "total": 5000,
        "inactive": 900,
        "queued": 50,
        "running": 50,
        "ok": 4000,
        "failed": 0,
        "skipped": 0,
    }
    tree = described(resize=state("running", rollup={**counts, "cancelled": 0, "stale": 0}))
    text = text_of(tree)
    assert "4,000 of 5,000" in text
    assert "50 running" in text


def test_a_group_adds_up_what_is_below_it() -> None:
    tree = described(**{"publish": state("running"), "publish.cdn": state("ok", duration=400)})
    [line] = [line for line in text_of(tree).splitlines() if "publish" in line]
    assert "1 of 2" in line


def test_a_group_took_as_long_as_everything_below_it() -> None:
    at = NOW - 2_000
    tree = described(**{
        "publish": state("ok", executionTime=at, duration=3),
        "publish.cdn": state("ok", executionTime=at + 10, duration=400),
        "publish.mail": state("ok", executionTime=at + 10, duration=900),
        "resize": state("running", executionTime=at),
    })  # fmt: skip
    assert tree.time("#.publish", NOW) == 910
    assert tree.time("#.publish.cdn", NOW) == 400
    # The items of a collapsed foreach are not sent: what is left is when it was seen to end.
    assert tree.time("#.resize", NOW) == 2_000
    over = {"#.resize": state("ok", executionTime=at, duration=1)}
    tree.apply(packet(type="setTasksStatuses", statuses=over), NOW + 500)
    assert tree.time("#.resize", NOW + 9_000) == 2_500


def test_a_group_moves_when_a_part_of_it_is_over() -> None:
    tree = described(**{"resize": state("queued"), "resize[0]": state("ok", duration=1)})
    assert tree.moves("#.resize")
    assert tree.time("#.resize", NOW) == 2_000
    assert not described(resize=state("queued", executionTime=None)).moves("#.resize")


def test_a_group_without_a_function_starts_with_the_first_below_it() -> None:
    tree = described(**{
        "publish": state("running", executionTime=None),
        "publish.cdn": state("ok", executionTime=NOW - 700, duration=100),
        "publish.mail": state("running", executionTime=NOW - 500),
    })  # fmt: skip
    assert tree.time("#.publish", NOW) == 700


def test_a_retry_says_which_and_when() -> None:
    waits = state("queued", attempt=1, retry={"try": 2, "attempts": 5, "nextAt": NOW + 3_000},
                  error={"code": "EXECUTION_FAILED", "message": "busy", "type": "OSError"})  # fmt: skip
    text = text_of(described(find=waits), width=160)
    assert "attempt 2 of 5 in 3.0 s: OSError: busy" in text
    again = state("running", attempt=2, retry={"try": 2, "attempts": 5})
    assert "attempt 2 of 5" in text_of(described(find=again))


def test_items_get_a_line_only_while_they_run_for_long() -> None:
    tree = described(**{
        "resize": state("running"),
        "resize[0]": state("running", executionTime=NOW - LONG - 1, progress={"fraction": 0.1}),
        "resize[1]": state("running", executionTime=NOW - 10),
    })  # fmt: skip
    names = [row.name for row in rows(tree, NOW)]
    assert "[0]" in names
    assert "[1]" not in names


def test_items_that_a_shorter_list_no_longer_has_are_gone() -> None:
    tree = described(**{"resize": state("ok"), "resize[2]": state("ok"), "resize[2].thumb": state("ok")})
    tree.apply(packet(type="setTasksStatuses", statuses={}, removed=["#.resize[2]"]), NOW)
    assert tree.items["#.resize"] == {}
    assert tree.state("#.resize[2].thumb").attempt == 0


def test_a_resync_forgets_what_was_known() -> None:
    tree = described(find=state("failed"))
    tree.apply(packet(type="resync", reason="behind"), NOW)
    assert tree.state("#.find").status.value == "inactive"


def nested() -> Tree:
    """Three rows, each with a foreach of cells; one cell has failed."""
    tree = Tree("i1")
    cells = node("#.row[*].cell", foreach=True)
    tree.apply(packet(type="workflowDescription", tasks=[node("#.row", cells, foreach=True, count=3)]), NOW)
    at = NOW - 5_000
    statuses = {"#.row": state("ok", executionTime=at, duration=1)}
    for row in range(3):
        statuses[f"#.row[{row}]"] = state("ok", executionTime=at, duration=200)
        statuses[f"#.row[{row}].cell"] = state("ok", executionTime=at + 200, duration=2)
        statuses[f"#.row[{row}].cell[0]"] = state("ok", executionTime=at + 202, duration=1_000 + row)
    statuses["#.row[1].cell[1]"] = state("failed", executionTime=at + 202, duration=1, error=FAILED)
    tree.apply(packet(type="setTasksStatuses", statuses=statuses), NOW)
    return tree


def test_a_foreach_below_items_of_another_has_its_count_and_time() -> None:
    tree = nested()
    assert tree.children("#.row[2]") == ["#.row[2].cell"]
    rollup = tree.rollup("#.row[1].cell")
    assert rollup is not None
    assert (rollup.total, rollup.failed) == (2, 1)
    assert tree.time("#.row[2].cell", NOW) == 1_004
    # A foreach took until the last of what is below its items was over.
    assert tree.time("#.row", NOW) == 1_204
    assert [path for path, _ in tree.failures()] == ["#.row[1].cell[1]"]


def test_lines_are_of_what_is_below_items_only_where_that_is_asked_for_or_went_wrong() -> None:
    def said(*, items: bool) -> list[str]:
        tree = nested()
        statuses = {path: msgspec.to_builtins(one) for path, one in tree._states.items()}
        return list(Lines(tree, items=items).of(packet(type="setTasksStatuses", statuses=statuses), NOW))

    assert said(items=False) == ["#.row ok 1.2 s", "#.row[1].cell[1] failed: ValueError: no"]
    assert "#.row[2].cell ok 1.0 s" in said(items=True)
    assert "#.row[2].cell[0] ok 1.0 s" in said(items=True)


def test_a_failure_is_said_once_whether_the_error_or_the_status_comes_first() -> None:
    tree = described()
    lines = Lines(tree)
    error = packet(type="executionError", taskPath="#.find", error=FAILED)
    status = packet(type="setTasksStatuses", statuses={"#.find": state("failed", error=FAILED)})
    said = list(lines.of(error, NOW))
    tree.apply(status, NOW)
    said += lines.of(status, NOW)
    said += lines.of(error, NOW)
    assert said == ["#.find failed: ValueError: no"]


@pytest.mark.parametrize("width", [40, 60, 80])
def test_of_the_first_line_only_the_title_is_cut(width: int) -> None:
    tree = described()
    tree.id = "6b8f98b193b839d522ab53b3a5fc971e"
    console = Console(
        file=io.StringIO(), width=width, force_terminal=True, color_system=None, highlight=False
    )
    console.print(Picture(tree, "mix · a name that is rather long for people", NOW, 12_300))
    assert isinstance(console.file, io.StringIO)
    first, second, *_ = console.file.getvalue().splitlines()
    assert first.startswith("mix")
    assert "inactive" in first
    assert "12.3 s" in first
    assert tree.id in (first if width == 80 else second)


@pytest.mark.parametrize("width", [20, 40, 72, 110, 200])
def test_no_line_is_wider_than_the_terminal(width: int) -> None:
    long = {"code": "EXECUTION_FAILED", "message": "x" * 500, "type": "ValueError"}
    tree = described(find=state("failed", error=long), resize=state("running"))
    assert max(map(len, text_of(tree, width=width).splitlines())) <= width


def test_what_does_not_fit_is_folded_where_nothing_moves_and_then_cut() -> None:
    tree = Tree("i1")
    groups = [node(f"#.g{n}", node(f"#.g{n}.a"), node(f"#.g{n}.b")) for n in range(10)]
    tree.apply(packet(type="workflowDescription", tasks=groups), NOW)
    moving = {"#.g4": state("running"), "#.g4.a": state("running")}
    tree.apply(packet(type="setTasksStatuses", statuses=moving), NOW)
    folded = rows(tree, NOW, 12)
    assert len(folded) == 12
    assert [row.name for row in folded[4:7]] == ["g4", "a", "b"]
    cut = rows(tree, NOW, 5)
    assert len(cut) == 5
    assert cut[-1].name == "… and 8 more"


def test_lines_say_each_thing_once() -> None:
    tree = described()
    lines = Lines(tree)
    said: list[str] = []

    def happens(change: Change) -> None:
        tree.apply(change, NOW)
        said.extend(lines.of(change, NOW))

    happens(packet(type="setTasksStatuses", statuses={"#.find": state("running")}))
    happens(
        packet(type="setTasksStatuses", statuses={"#.find": state("running", progress={"fraction": 0.5})})
    )
    happens(packet(type="setTasksStatuses", statuses={"#.find": state("ok", duration=1_500)}))
    items = {f"#.resize[{n}]": state("ok", duration=1) for n in range(2)}
    happens(packet(type="setTasksStatuses", statuses={**items, "#.resize": state("running")}))
    progress = {"total": 7, "done": 3, "failed": 0, "running": 1, "fraction": 0.4}
    for status in ("working", "working", "done"):
        happens(packet(type="setWorkflowStatus", status=status, progress=progress))
    assert said == [
        "#.find running",
        "#.find ok 1.5 s",
        "#.resize running",
        "#.resize 2 of 4",
        "# working",
        "# done",
    ]


def test_an_instance_that_was_read_looks_like_one_that_was_watched() -> None:
    document = {
        "id": "i1", "status": "done",
        "progress": {"total": 1, "done": 1, "failed": 0, "running": 0, "fraction": 1.0},
        "tasks": [node("#.find")], "statuses": {"#.find": state("ok", duration=20)},
    }  # fmt: skip
    text = text_of(Tree.of(msgspec.convert(document, type=Instance)))
    assert "done  1 of 1 tasks" in text
    assert "20 ms" in text


def test_names_of_authors_are_not_markup() -> None:
    tree = described(find=state("running", progress={"fraction": 0.1, "message": "[red]half[/red] [/]"}))
    assert "[red]half[/red] [/]" in text_of(tree)


@pytest.mark.parametrize(
    ("ms", "text"),
    [
        (0, "0 ms"),
        (999, "999 ms"),
        (1_500, "1.5 s"),
        (99_940, "99.9 s"),
        (125_000, "2 min 05 s"),
        (3_723_000, "1 h 02 min"),
    ],
)
def test_durations(ms: int, text: str) -> None:
    assert words.duration(ms) == text
