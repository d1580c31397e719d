"""What holds for every test."""

import os
import shutil
from collections.abc import Iterator

import pytest
import structlog
from hypothesis import settings

pytest.register_assert_rewrite("tests.support")

pytest_plugins = ["tests.support.servers.fixtures"]

# The settings of whoever runs the tests are not those of the tests.
for name in [name for name in os.environ if name.startswith("TASKPATH_")]:
    if name != "TASKPATH_TEST_SYSTEM":
        del os.environ[name]

# Playwright runs on the Node.js that the tests need anyway; its own copy wants libraries that a small
# Debian does not have.
if node := shutil.which("node"):
    os.environ.setdefault("PLAYWRIGHT_NODEJS_PATH", node)

# How long an example takes depends on the machine; pytest's timeout catches what hangs.
settings.register_profile("taskpath", parent=settings(), deadline=None)
settings.load_profile("taskpath")


@pytest.fixture(autouse=True)
def _own_log() -> Iterator[None]:
    """A command that runs within a test sends the log to an output that ends with the test."""
    yield
    structlog.reset_defaults()
