"""The bugs that are planted to see the tests catch them still fit the code that they are planted in."""

import pytest

from script.mutations import MUTATIONS, Mutation
from tests.bed.engines import REPOSITORY


@pytest.mark.parametrize("planted", MUTATIONS, ids=lambda one: one.bug)
def test_a_bug_still_has_its_place(planted: Mutation) -> None:
    """Once, so that it is known which; a bug that is nowhere would be found only by the next whole run."""
    assert (REPOSITORY / planted.file).read_text().count(planted.old) == 1
    assert planted.new != planted.old
    assert all((REPOSITORY / test).exists() for test in planted.tests)
