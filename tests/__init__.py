"""The tests, and the helpers that they import from each other: ``from tests import rendered_clips``."""
