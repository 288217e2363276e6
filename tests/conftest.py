"""What every test shares."""

import os

# Before any test imports TensorFlow: its start-up messages hide the report of a failure.
os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "2")
