import io
import struct
import zlib

import cv2
import numpy as np
import pytest
from PIL import Image, ImageOps, PngImagePlugin

from deblur_zoo.files import pictures


def random_pixels(*shape, seed=0, dtype=np.uint8):
    return np.random.default_rng(seed).integers(0, np.iinfo(dtype).max, shape, dtype=dtype, endpoint=True)


def saved(image, format, **options):
    buffer = io.BytesIO()
    image.save(buffer, format, **options)
    return buffer.getvalue()


@pytest.fixture
def file_of(tmp_path):
    def write(data, name="picture.png"):
        path = tmp_path / name
        path.write_bytes(data)
        return path

    return write


@pytest.mark.parametrize(
    "shape", [(1, 1), (5, 7), (5, 7, 1), (5, 7, 3), (5, 7, 4), (2, 5, 7, 1), (2, 5, 7, 3), (2, 5, 7, 4)]
)
def test_uint8_arrays_come_back_as_they_were(shape):
    pixels = random_pixels(*shape)
    picture = pictures.load(pixels)
    assert picture.rgb.dtype == np.float32 and picture.rgb.ndim == 4 and picture.rgb.shape[-1] == 3
    channels = pixels.reshape(*picture.rgb.shape[:3], -1)
    np.testing.assert_allclose(picture.rgb, np.broadcast_to(channels[..., :3] / 255, picture.rgb.shape), atol=1e-7)
    np.testing.assert_array_equal(picture.rebuild(picture.rgb), pixels)


def test_all_256_levels_of_grey_survive_the_way_through_rgb():
    pixels = np.arange(256, dtype=np.uint8).reshape(16, 16)
    np.testing.assert_array_equal(pictures.load(pixels).rebuild(pictures.load(pixels).rgb), pixels)


@pytest.mark.parametrize("dtype, top", [(np.uint16, 65535), (np.float16, 1), (np.float32, 1), (np.float64, 1)])
def test_other_kinds_of_number_mean_the_same_picture(dtype, top):
    values = np.array([[[0, 0.2, 1, 0.6]]]) * top
    picture = pictures.load(values.astype(dtype))
    np.testing.assert_allclose(picture.rgb, [[[[0, 0.2, 1]]]], atol=1e-3 if dtype == np.float16 else 1e-5)
    # 0.6 of 255 is 153.
    np.testing.assert_array_equal(picture.rebuild(picture.rgb), np.array([[[0, 51, 255, 153]]], np.uint8))


def test_bfloat16_is_taken():
    import ml_dtypes

    picture = pictures.load(np.array([[0.5, 1.0]], ml_dtypes.bfloat16))
    np.testing.assert_array_equal(picture.rgb[0, 0, :, 0], [0.5, 1.0])


def test_grey_result_is_rec_601_luma():
    picture = pictures.load(np.zeros((1, 2), np.uint8))
    result = picture.rebuild([[[[1, 0, 0], [0.2, 0.6, 1.0]]]])
    # 0.299 * 255 = 76.2; (0.2 * 0.299 + 0.6 * 0.587 + 0.114) * 255 = 134.1
    np.testing.assert_array_equal(result, [[76, 134]])
    colours = random_pixels(4, 4, 3)
    ours = pictures.load(np.zeros((4, 4), np.uint8)).rebuild(colours[None] / 255)
    np.testing.assert_allclose(ours, cv2.cvtColor(colours, cv2.COLOR_RGB2GRAY), atol=1)


def test_alpha_passes_through_and_values_are_clipped():
    picture = pictures.load(np.array([[[10, 20, 30, 77]]], np.uint8))
    np.testing.assert_array_equal(picture.rebuild([[[[-0.5, 0.5, 1.5]]]]), [[[0, 128, 255, 77]]])


def test_rebuild_refuses_nan_and_another_shape():
    picture = pictures.load(np.zeros((2, 2, 3), np.uint8))
    with pytest.raises(ValueError, match="NaN"):
        picture.rebuild(np.full((1, 2, 2, 3), np.nan))
    with pytest.raises(ValueError, match="shape"):
        picture.rebuild(np.zeros((1, 2, 3, 3)))


@pytest.mark.parametrize(
    "array, message",
    [
        (np.zeros((0, 5, 3), np.uint8), "empty"),
        (np.zeros((5, 5, 2), np.uint8), r"C = 1, 3 or 4; this array has shape \(5, 5, 2\)"),
        (np.zeros((5,), np.uint8), "shape"),
        (np.zeros((1, 1, 5, 5, 3), np.uint8), "shape"),
        (np.zeros((5, 5, 3), bool), "uint8, uint16 or float arrays, not bool"),
        (np.zeros((5, 5, 3), np.int64), "not int64"),
        (np.array(["a"]), "shape"),
        (np.array([[np.nan]]), "NaN or infinity"),
        (np.array([[np.inf]]), "NaN or infinity"),
        (np.array([[255.0]]), r"in \[0, 1\], this one in \[255, 255\]"),
        (np.array([[-0.01]]), r"in \[0, 1\]"),
    ],
)
def test_arrays_that_are_no_pictures(array, message):
    with pytest.raises(ValueError, match=message):
        pictures.load(array)


def test_a_rounding_error_outside_the_range_is_clipped():
    np.testing.assert_array_equal(pictures.load(np.array([[-1e-4, 1 + 1e-4]])).rgb[0, 0, :, 0], [0, 1])


@pytest.mark.parametrize("source", [None, 3, [np.zeros((2, 2))], b"\x89PNG"])
def test_other_objects_are_refused(source):
    with pytest.raises(TypeError, match="a path, a PIL image or an array"):
        pictures.load(source)


def test_rgb_and_rgba_files_equal_opencv(file_of):
    for channels in (3, 4):
        pixels = random_pixels(6, 9, channels)
        order = [2, 1, 0, 3][:channels]
        path = file_of(cv2.imencode(".png", pixels[..., order])[1].tobytes())
        np.testing.assert_array_equal(pictures.read(path), pixels)
        np.testing.assert_array_equal(pictures.decode(path.read_bytes()), pixels)
        np.testing.assert_array_equal(pictures.load(str(path)).rebuild(pictures.load(path).rgb), pixels)


def test_16_bit_grey_png_keeps_its_16_bits(file_of):
    pixels = random_pixels(6, 9, dtype=np.uint16)
    path = file_of(cv2.imencode(".png", pixels)[1].tobytes())
    np.testing.assert_allclose(pictures.load(path).rgb[0, :, :, 1], pixels / 65535, atol=1e-7)
    np.testing.assert_array_equal(pictures.read(path), np.rint(pixels / 257))


def test_16_bit_rgb_png_is_read_to_one_level_of_255(file_of):
    pixels = random_pixels(6, 9, 3, dtype=np.uint16)
    path = file_of(cv2.imencode(".png", pixels[..., ::-1])[1].tobytes())
    np.testing.assert_allclose(pictures.load(path).rgb[0], pixels / 65535, atol=1 / 255)


def test_grey_palette_and_one_bit_files(file_of):
    grey = file_of(saved(Image.fromarray(random_pixels(3, 4)), "PNG"), "grey.png")
    np.testing.assert_array_equal(pictures.read(grey), random_pixels(3, 4))

    one_bit = Image.fromarray(np.array([[0, 255, 255], [255, 0, 0]], np.uint8)).convert("1")
    np.testing.assert_array_equal(pictures.decode(saved(one_bit, "PNG")), [[0, 255, 255], [255, 0, 0]])

    palette = Image.new("P", (2, 1))
    palette.putpalette([10, 20, 30, 40, 50, 60])
    palette.putdata([1, 0])
    np.testing.assert_array_equal(pictures.decode(saved(palette, "PNG")), [[[40, 50, 60], [10, 20, 30]]])
    transparent = pictures.decode(saved(palette, "PNG", transparency=0))
    np.testing.assert_array_equal(transparent, [[[40, 50, 60, 255], [10, 20, 30, 0]]])


def test_grey_with_alpha_stays_grey(file_of):
    path = file_of(saved(Image.merge("LA", [Image.new("L", (1, 1), 100), Image.new("L", (1, 1), 7)]), "PNG"))
    np.testing.assert_array_equal(pictures.read(path), [[[100, 100, 100, 7]]])
    picture = pictures.load(path)
    np.testing.assert_array_equal(picture.rebuild([[[[1, 0, 0]]]]), [[[76, 76, 76, 7]]])


def test_cmyk_jpeg_as_adobe_writes_it(file_of):
    # Pillow writes Adobe's inverted CMYK. By hand: (255 - 10) * (255 - 40) / 255 = 206.6, and so on.
    data = saved(Image.new("CMYK", (8, 8), (10, 20, 30, 40)), "JPEG", quality=100)
    assert b"Adobe" in data
    np.testing.assert_allclose(pictures.decode(data)[0, 0], [206.6, 198.1, 189.7], atol=1.5)
    opencv = cv2.imdecode(np.frombuffer(data, np.uint8), cv2.IMREAD_COLOR)[..., ::-1]
    np.testing.assert_allclose(pictures.decode(data).astype(int), opencv, atol=2)


@pytest.mark.parametrize("orientation", range(1, 9))
def test_exif_rotation_equals_pillow(file_of, orientation):
    exif = Image.Exif()
    exif[0x0112] = orientation
    image = Image.fromarray(random_pixels(2, 3, 3))
    path = file_of(saved(image, "PNG", exif=exif))
    with Image.open(path) as opened:
        upright = np.asarray(ImageOps.exif_transpose(opened))
    np.testing.assert_array_equal(pictures.read(path), upright)
    with Image.open(path) as opened:
        assert pictures.load(opened).rebuild(upright[None] / 255).shape == upright.shape


def test_exif_orientation_6_by_hand():
    # 6: row 0 of the file is the right side of the picture.
    exif = Image.Exif()
    exif[0x0112] = 6
    data = saved(Image.fromarray(np.array([[1, 2, 3], [4, 5, 6]], np.uint8)), "PNG", exif=exif)
    np.testing.assert_array_equal(pictures.decode(data), [[4, 1], [5, 2], [6, 3]])


def test_damaged_exif_does_not_lose_the_picture():
    data = saved(Image.fromarray(random_pixels(8, 8, 3)), "JPEG", exif=b"Exif\0\0II*\0\xff\xff\xff\xff")
    assert pictures.decode(data).shape == (8, 8, 3)


def test_an_animation_gives_its_first_frame():
    frames = [Image.new("RGB", (4, 4), colour) for colour in ("red", "blue")]
    for format, options in {"GIF": {}, "PNG": {}, "WEBP": {"lossless": True}}.items():
        data = saved(frames[0], format, save_all=True, append_images=frames[1:], **options)
        np.testing.assert_array_equal(pictures.decode(data)[0, 0, :3], [255, 0, 0])


def test_other_pil_modes():
    for mode in ("YCbCr", "HSV"):
        image = Image.fromarray(random_pixels(5, 5, 3)).convert(mode)
        np.testing.assert_array_equal(pictures.load(image).rgb[0], np.asarray(image.convert("RGB"), np.float32) / 255)
    floats = pictures.load(Image.fromarray(np.array([[0.25]], np.float32)))
    np.testing.assert_array_equal(floats.rgb, np.full((1, 1, 1, 3), 0.25))
    # Pillow 10 reads 16-bit PNG as 32-bit integers.
    assert pictures.load(Image.fromarray(np.array([[65535]], np.int32))).rgb.max() == 1
    premultiplied = Image.fromarray(np.array([[[100, 50, 0, 128]]], np.uint8)).convert("RGBa")
    np.testing.assert_allclose(pictures.load(premultiplied).rgb[0, 0, 0] * 255, [100, 50, 0], atol=2)


@pytest.mark.parametrize(
    "image",
    [
        Image.new("F", (2, 2), 300.0),
        Image.new("F", (2, 2), float("nan")),
        Image.new("I", (2, 2), -5),
        Image.new("RGB", (0, 4)),
    ],
)
def test_pil_images_that_are_refused(image):
    with pytest.raises(ValueError, match="The PIL image"):
        pictures.load(image)


def noise_file(format):
    return saved(Image.fromarray(random_pixels(40, 40, 3)), format)


@pytest.mark.parametrize("format", ["PNG", "JPEG", "WEBP", "GIF", "BMP", "TIFF", "PPM"])
@pytest.mark.parametrize("kept", [0.9, 0.5, 0.02])
def test_truncated_files_are_refused(file_of, format, kept):
    data = noise_file(format)
    path = file_of(data[: int(len(data) * kept)])
    with pytest.raises(ValueError, match=r"picture\.png (is damaged|is not a picture|has )"):
        pictures.read(path)
    pictures.decode(data)


def test_every_altered_byte_of_a_png_header_gives_a_picture_or_a_sentence():
    data = noise_file("PNG")
    for position in range(60):
        damaged = bytearray(data)
        damaged[position] ^= 0xFF
        try:
            pictures.decode(bytes(damaged))
        except ValueError as error:
            assert str(error).startswith("The data ")


def test_non_images_missing_files_and_folders(tmp_path, file_of):
    for data in (b"", b"hello", b"%!PS-Adobe-3.0 EPSF-3.0\n%%BoundingBox: 0 0 5 5\n"):
        with pytest.raises(ValueError, match="notes.png is not a picture"):
            pictures.load(file_of(data, "notes.png"))
    with pytest.raises(FileNotFoundError, match="There is no file .*absent.png"):
        pictures.load(tmp_path / "absent.png")
    with pytest.raises(IsADirectoryError, match="is a folder"):
        pictures.load(tmp_path)


def test_decompression_bombs_are_refused_unread(file_of):
    def chunk(kind, data):
        return struct.pack(">I", len(data)) + kind + data + struct.pack(">I", zlib.crc32(kind + data))

    for side in (9_000, 30_000):
        header = struct.pack(">IIBBBBB", side, side, 8, 2, 0, 0, 0)
        data = b"\x89PNG\r\n\x1a\n" + chunk(b"IHDR", header) + chunk(b"IDAT", b"") + chunk(b"IEND", b"")
        with pytest.raises(ValueError, match="64,000,000"):
            pictures.read(file_of(data))
    text = PngImagePlugin.PngInfo()
    text.add_text("comment", "a" * 70_000_000, zip=True)
    with pytest.raises(ValueError):
        pictures.decode(saved(Image.new("L", (1, 1)), "PNG", pnginfo=text))
    small = file_of(saved(Image.new("L", (5, 5)), "PNG"))
    with pytest.raises(ValueError, match="5x5 pixels, more than the 24"):
        pictures.load(small, maximum_pixels=24)
    assert pictures.load(small, maximum_pixels=25).rgb.shape == (1, 5, 5, 3)


@pytest.mark.parametrize("shape, mode", [((5, 7), "L"), ((5, 7, 1), "L"), ((5, 7, 3), "RGB"), ((5, 7, 4), "RGBA")])
@pytest.mark.parametrize("format", ["png", "webp", "tiff"])
def test_lossless_formats_give_back_what_was_written(tmp_path, shape, mode, format):
    pixels = random_pixels(*shape)
    pictures.write(tmp_path / f"a.{format}", pixels)
    with Image.open(tmp_path / f"a.{format}") as image:
        read = np.asarray(image.convert(mode))
    np.testing.assert_array_equal(read, pixels.reshape(read.shape))
    assert [path.name for path in tmp_path.iterdir()] == [f"a.{format}"]


def test_jpeg_is_written_at_high_quality_with_full_chroma(tmp_path):
    # A smooth picture with a sharp colour edge: subsampled chroma would smear red into blue.
    pixels = np.zeros((16, 16, 3), np.uint8)
    pixels[:, :7, 0] = pixels[:, 7:, 2] = 200
    pictures.write(tmp_path / "a.JPG", pixels)
    decoded = cv2.imread(str(tmp_path / "a.JPG"))[..., ::-1].astype(int)
    assert np.abs(decoded - pixels).max() < 12


@pytest.mark.parametrize(
    "name, pixels, message",
    [
        ("a.txt", np.zeros((2, 2), np.uint8), "must end in one of .png"),
        ("a", np.zeros((2, 2), np.uint8), "must end in one of"),
        ("a.png", np.zeros((2, 2), np.float32), "from uint8 pixels"),
        ("a.png", np.zeros((2, 2, 2), np.uint8), "from uint8 pixels"),
        ("a.png", np.zeros((1, 2, 2, 3), np.uint8), "from uint8 pixels"),
        ("a.png", np.zeros((0, 2), np.uint8), "from uint8 pixels"),
        ("a.jpg", np.zeros((2, 2, 4), np.uint8), "JPEG has no alpha"),
        ("a.webp", np.zeros((1, 20_000), np.uint8), "20000x1 pixels cannot be written as WEBP"),
    ],
)
def test_what_cannot_be_written_leaves_the_old_file(tmp_path, name, pixels, message):
    (tmp_path / name).write_text("old")
    with pytest.raises(ValueError, match=message):
        pictures.write(tmp_path / name, pixels)
    assert {path.name: path.read_text() for path in tmp_path.iterdir()} == {name: "old"}


def test_write_into_a_missing_folder(tmp_path):
    with pytest.raises(FileNotFoundError, match="no folder .*absent"):
        pictures.write(tmp_path / "absent" / "a.png", np.zeros((2, 2), np.uint8))


def test_encode_refuses_another_format():
    with pytest.raises(ValueError, match="not as 'gif'"):
        pictures.encode(np.zeros((2, 2), np.uint8), "gif")


def test_list_pictures(tmp_path):
    for name in ("b.png", "a.JPEG", "sub/deep/c.webp", "sub/notes.txt", ".hidden.png", ".cache/d.png", "e.tif"):
        (tmp_path / name).parent.mkdir(parents=True, exist_ok=True)
        (tmp_path / name).touch()
    (tmp_path / "folder.png").mkdir()
    found = [path.relative_to(tmp_path).as_posix() for path in pictures.list_pictures(tmp_path)]
    assert found == ["a.JPEG", "b.png", "e.tif", "sub/deep/c.webp"]
    with pytest.raises(FileNotFoundError, match="no folder"):
        pictures.list_pictures(tmp_path / "absent")
    with pytest.raises(NotADirectoryError, match="is a file"):
        pictures.list_pictures(tmp_path / "b.png")


def test_passes_follow_one_another():
    images = np.full((1, 4, 4, 3), 0.5, np.float32)
    np.testing.assert_allclose(pictures.in_passes(lambda batch: batch * 0.8, 3)(images), 0.256, atol=1e-6)


def test_a_picture_that_a_pass_changes_too_much_is_left_alone():
    """Changes by root mean squares of 0.24, 0.26 and 0, judged one by one and pass by pass."""
    images = np.full((3, 4, 4, 3), 0.5, np.float32)
    changes = np.array([0.24, -0.26, 0], np.float32)[:, None, None, None]
    np.testing.assert_allclose(
        pictures.in_passes(lambda batch: batch + changes, 2)(images)[:, 0, 0, 0], [0.98, 0.5, 0.5]
    )


@pytest.mark.parametrize("passes", [0, True, 1.5])
def test_other_passes_are_rejected(passes):
    with pytest.raises(ValueError, match="passes must be a whole number of at least 1"):
        pictures.in_passes(lambda batch: batch, passes)
