"""Where training pairs are rendered: on the host's processor, or where the Keras backend computes."""

PLACES = ("auto", "host", "device")


def choose_place(place, synthesis):
    """The place that a switch means.

    Args:
        place: "host" renders with OpenCV in threads; "device" with ``keras.ops``; "auto" takes the device where the
            backend has an accelerator, since faces and kernels then need not travel to it, and else the host: on a
            processor OpenCV is the quickest (``python -m benchmarks.pipeline``). JPEG and camera-like blur are made on
            the host alone.
        synthesis: the pairs' Synthesis.

    Returns:
        "host" or "device".

    Raises:
        ValueError: another word.
    """
    if place not in PLACES:
        raise ValueError(f"Training pairs are made at the place {', '.join(PLACES)}, not {place!r}.")
    if place != "auto":
        return place
    return "device" if not synthesis.needs_host and _has_accelerator() else "host"


def _has_accelerator():
    from keras.distribution import list_devices

    # Without a kind: JAX raises where it is asked for one that is not there.
    return any(not device.lower().startswith("cpu") for device in list_devices())
