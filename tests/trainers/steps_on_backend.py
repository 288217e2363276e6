"""All steps of test_backends.py on the backend that KERAS_BACKEND names: ``steps_on_backend.py FOLDER``.

In a process of its own, since Keras' backend is fixed when it is imported, and one for all steps, since that takes
seconds. Reads ``plain.npz`` and ``adversarial.npz``, and writes BACKEND_CASE.npz for each case.
"""

import sys
from pathlib import Path

import adversarial_on_backend
import keras
import plain_on_backend


def main(folder):
    folder, backend = Path(folder), keras.backend.backend()
    plain_on_backend.main(folder / "plain.npz", folder / f"{backend}_plain.npz")
    for kind in ("wasserstein", "sigmoid"):
        adversarial_on_backend.main(kind, folder / "adversarial.npz", folder / f"{backend}_{kind}.npz")


if __name__ == "__main__":
    main(*sys.argv[1:])
