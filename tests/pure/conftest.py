"""What a test does to the process ends with it."""

import logging
from collections.abc import Iterator

import pytest
import structlog


@pytest.fixture(autouse=True)
def _logging_as_it_was() -> Iterator[None]:
    """A handler that stayed would print what libraries say during other tests."""
    root = logging.getLogger()
    before, raising = list(root.handlers), logging.raiseExceptions
    yield
    if root.handlers != before or logging.raiseExceptions is not raising:
        root.handlers[:] = before
        logging.raiseExceptions = raising
        structlog.reset_defaults()
