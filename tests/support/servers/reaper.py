"""The second process of a keeper: kills what is on its list when the pipe to it closes.

A line is ``+pid`` or ``-pid``; the process leads a group. The folder goes last.
"""

from __future__ import annotations

import contextlib
import os
import shutil
import signal
import sys

signal.signal(signal.SIGINT, signal.SIG_IGN)
groups: set[int] = set()
for line in sys.stdin:
    (groups.add if line[0] == "+" else groups.discard)(int(line[1:]))
for group in groups:
    with contextlib.suppress(ProcessLookupError):
        os.killpg(group, signal.SIGKILL)
shutil.rmtree(sys.argv[1], ignore_errors=True)
