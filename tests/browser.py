"""Chromium for tests of pages."""

import shutil

# The path of the program, None where there is none.
CHROMIUM = next(filter(None, map(shutil.which, ("chromium", "chromium-browser", "google-chrome"))), None)
