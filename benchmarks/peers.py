"""Other systems beside ours: a folder of scripts, each of which runs the same workloads on one of them.

A script prints lines of JSON: ``name`` W1 (many chains, ``tasks_s``), W1 step (``ms_per_step``), W2 (fan-out
of ``n``, ``tasks_s``) or W3 (one task, ``ms`` by percentile). It finds the servers by AMQP_URL and REDIS_URL,
and how often to repeat in its module ``harness``.
"""

from __future__ import annotations

import json
import os
import subprocess
import sys
import tempfile
from collections import defaultdict
from pathlib import Path
from typing import Any, Final

from tests.support.servers import RabbitMQ, Redis

SIZES: Final = (200, 2_000, 10_000)
LIMIT_SECONDS: Final = 150.0

SCRIPTS: Final = {
    "taskiq": ("p1_taskiq", ("2",), (200, 2_000, 10_000)),
    "Celery": ("p2_celery", ("prefork", "2"), (200, 2_000)),
}
"""By name: the script, its arguments, and the fan-outs that it ends within a minute."""

# One turn of everything; we repeat, so that the turns of all systems are interleaved.
_ONE_TURN: Final = """
import asyncio, functools, importlib, sys
import harness
whole = harness.standard
async def standard(*arguments, **options):
    if options.get("poll_s") == 0.2:
        return
    await whole(*arguments, **{**options, "reps": 1, "fans": tuple(map(int, sys.argv[2].split(",")))})
harness.standard = standard
script = importlib.import_module(sys.argv[1])
words = [int(word) if word.isdigit() else word for word in sys.argv[3:]]
if len(words) == 1:
    words.append(0.001)
asyncio.run(script.main(*words))
"""


class Peer:
    """One other system.

    Args:
        name: of it.
        folder: of the scripts.
        python: that has its libraries.
        broker: the broker that it uses.
        results: where it keeps results.

    Attributes:
        figures: by what was measured, one for each turn.
    """

    def __init__(self, name: str, folder: Path, python: Path, broker: RabbitMQ, results: Redis) -> None:
        self.name = name
        self.figures: dict[str, list[float]] = defaultdict(list)
        self._folder = folder
        self._python = python
        self._script, self._words, self._sizes = SCRIPTS[name]
        self._environ = {
            "AMQP_URL": broker.new_vhost(),
            "REDIS_URL": results.url.rpartition("/")[0],
            "BENCH_QKIND": "quorum",
            "PATH": f"{python.parent}:{os.environ['PATH']}",
            "PYTHONDONTWRITEBYTECODE": "1",
        }

    def run(self) -> None:
        """One turn; what fails or takes too long leaves no figure."""
        with tempfile.TemporaryDirectory(prefix="taskpath-peer-") as folder:
            results = Path(folder) / "results"
            results.touch()
            sizes = ",".join(map(str, self._sizes))
            environ = {
                **os.environ,
                **self._environ,
                "BENCH_LOGS": folder,
                "BENCH_RESULTS": str(results),
                "BENCH_FANS": sizes,
            }
            process = subprocess.Popen(
                [self._python, "-c", _ONE_TURN, self._script, sizes, *self._words],
                env=environ,
                cwd=self._folder,
                stdout=subprocess.DEVNULL,
                stderr=subprocess.PIPE,
                text=True,
            )
            try:
                _, said = process.communicate(timeout=LIMIT_SECONDS)
                if process.returncode != 0:
                    print(f"{self.name} has failed: {said[-2000:]}", file=sys.stderr)
            except subprocess.TimeoutExpired:
                process.terminate()
                process.wait()
                print(f"{self.name} takes too long", file=sys.stderr)
            for line in results.read_text().splitlines():
                self._note(json.loads(line))

    def _note(self, line: dict[str, Any]) -> None:
        match line["name"]:
            case "W1":
                self.figures["chains, tasks/s"].append(line["tasks_s"]["med"])
            case "W1 step":
                self.figures["step, ms"].append(line["ms_per_step"]["med"])
            case "W2":
                self.figures[f"fan-out {line['n']:,}, tasks/s"].append(line["tasks_s"]["med"])
            case "W3":
                self.figures["p50, ms"].append(line["ms"]["p50"])
            case _:
                print(f"{self.name}: {line}", file=sys.stderr)


def find(folder: Path, python: Path | None, broker: RabbitMQ, results: Redis) -> list[Peer]:
    """The systems whose scripts are in a folder."""
    with_libraries = python if python is not None else Path(sys.executable)
    return [
        Peer(name, folder.resolve(), with_libraries, broker, results)
        for name, (script, _, _) in SCRIPTS.items()
        if (folder / f"{script}.py").exists()
    ]
