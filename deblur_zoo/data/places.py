"""Where training pairs are rendered: on the host CPU or on the Keras backend's device."""

PLACES = ("auto", "host", "device")


def choose_place(place, synthesis):
    """Resolve a place.

    Args:
        place: "host" renders with OpenCV in threads, "device" with ``keras.ops``. "auto" uses the device if the backend
            has an accelerator, which avoids transferring faces and kernels, and otherwise the host, since OpenCV is the
            fastest on a CPU (``python -m benchmarks.pipeline``). JPEG and camera-like blur always use the host.
        synthesis: the pairs' Synthesis.

    Returns:
        "host" or "device".

    Raises:
        ValueError: an unknown place.
    """
    if place not in PLACES:
        raise ValueError(f"The place of training pairs must be one of {', '.join(PLACES)}, got {place!r}.")
    if place != "auto":
        return place
    return "device" if not synthesis.needs_host and _has_accelerator() else "host"


def _has_accelerator():
    from keras.distribution import list_devices

    # Do not ask for a kind: JAX raises if it is missing.
    return any(not device.lower().startswith("cpu") for device in list_devices())
