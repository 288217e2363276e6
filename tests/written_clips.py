"""Small video files with sound, times, turns and colours as a test wants them."""

from fractions import Fraction

import numpy as np


def write(path, planes, *, format="yuv420p", times=None, rate=25, base=None, codec="libx264", **properties):
    """Write a clip without loss.

    Args:
        path: of the file.
        planes: a list a frame of the planes of ``format``.
        times: of the frames in units of ``base``; one after the other unless given.
        base: seconds, a Fraction; 1 / ``rate`` unless given.
        codec: "libx264" or "ffv1".
        properties: rotation in degrees counterclockwise, aspect of a pixel, colorspace, color_range, color_primaries
            and color_trc by their numbers, sound in seconds, its codec sound_codec, metadata.
    """
    import av

    with av.open(str(path), "w") as container:
        options = {"qp": "0", "preset": "ultrafast"} if codec == "libx264" else {}
        stream = container.add_stream(codec, rate=rate, options=options)
        stream.height, stream.width = planes[0][0].shape
        stream.pix_fmt = format
        context = stream.codec_context
        base = base or Fraction(1, rate)
        context.time_base = base
        if "aspect" in properties:
            context.sample_aspect_ratio = properties["aspect"]
        for name in ("colorspace", "color_range", "color_primaries", "color_trc"):
            if name in properties:
                setattr(context, name, properties[name])
        if "rotation" in properties:
            stream.set_display_rotation(properties["rotation"])
        sound = None
        if "sound" in properties:
            sound = container.add_stream(properties.get("sound_codec", "aac"), rate=16000, layout="mono")
        container.metadata.update(properties.get("metadata", {}))
        for number, frame_planes in enumerate(planes):
            frame = av.VideoFrame(stream.width, stream.height, format)
            for plane, values in zip(frame.planes, frame_planes, strict=True):
                rows = np.frombuffer(plane, values.dtype).reshape(plane.height, -1)
                rows[:, : plane.width] = values
            frame.pts, frame.time_base = number if times is None else times[number], base
            if "color_range" in properties:
                frame.color_range = properties["color_range"]
            if "colorspace" in properties:
                frame.colorspace = properties["colorspace"]
            container.mux(stream.encode(frame))
        container.mux(stream.encode(None))
        if sound is not None:
            count = round(16000 * properties["sound"])
            tone = (8000 * np.sin(np.arange(count) * 0.17)).astype(np.int16)
            resampler = av.AudioResampler(format=sound.format, layout="mono", rate=16000)
            frame = av.AudioFrame.from_ndarray(tone[None], format="s16", layout="mono")
            frame.sample_rate, frame.pts = 16000, 0
            for part in resampler.resample(frame):
                container.mux(sound.encode(part))
            container.mux(sound.encode(None))
    return path


def from_rgb(pixels, luma=(0.2126, 0.0722), full=False, depth=8):
    """Planes of 4:4:4 of uint8 (H, W, 3) RGB by ITU-T H.273, equations (E-6) and following.

    Args:
        pixels: RGB.
        luma: weights of red and blue.
        full: full range.
        depth: bits.
    """
    red, green, blue = np.moveaxis(pixels.astype(np.float64) / 255, -1, 0)
    y = luma[0] * red + (1 - sum(luma)) * green + luma[1] * blue
    cb, cr = (blue - y) / (2 - 2 * luma[1]), (red - y) / (2 - 2 * luma[0])
    factor = 2 ** (depth - 8)
    if full:
        peak = 2**depth - 1
        values = [peak * y, peak * cb + 128 * factor, peak * cr + 128 * factor]
    else:
        values = [factor * (219 * y + 16), factor * (224 * cb + 128), factor * (224 * cr + 128)]
    return [np.clip(np.rint(v), 0, 2**depth - 1).astype(np.uint8 if depth == 8 else np.uint16) for v in values]


def subsampled(planes):
    """4:2:0 of 4:4:4, by the mean of four."""
    halves = [p.reshape(p.shape[0] // 2, 2, p.shape[1] // 2, 2).mean(axis=(1, 3)) for p in planes[1:]]
    return [planes[0], *[np.rint(half).astype(planes[0].dtype) for half in halves]]


def packets(path, kind):
    """[(seconds, bytes)] of the packets of the first stream of a kind, "audio" or "video"."""
    import av

    with av.open(str(path)) as container:
        stream = getattr(container.streams, kind)[0]
        found = [p for p in container.demux(stream) if p.dts is not None]
        return [(float(p.pts * p.time_base), bytes(p)) for p in sorted(found, key=lambda p: p.pts)]


def decoded(path):
    """[(time in seconds, frame)] of a video."""
    import av

    with av.open(str(path)) as container:
        return [(float(frame.pts * frame.time_base), frame) for frame in container.decode(container.streams.video[0])]
