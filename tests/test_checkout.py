"""What a run of the tests leaves behind."""

from test_notebooks import git

BEFORE = git("status", "--porcelain")


def test_run_leaves_the_checkout_as_it_was():
    """A run would leave files behind, or change one that git keeps; conftest.py puts this test last."""
    assert git("status", "--porcelain") == BEFORE
