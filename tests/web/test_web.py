"""The web app in headless Chromium, built and served from a folder as a user would."""

import functools
import http.server
import io
import shutil
import subprocess
import sys
import threading
from pathlib import Path

import numpy as np
import pytest
from PIL import Image, ImageCms

from tests.browser import CHROMIUM
from tests.web import chromium

ROOT = Path(__file__).parents[2]
EXAMPLE = ROOT / "examples" / "astronaut_face_blurred.png"
PHOTO = ROOT / "examples" / "astronaut_blurred.jpg"
PRESET = "one_step_lite"
pytestmark = [
    pytest.mark.slow,
    pytest.mark.skipif(CHROMIUM is None, reason="Chromium is not installed"),
    pytest.mark.skipif(shutil.which("npm") is None, reason="npm is not installed"),
]


@pytest.fixture(scope="module")
def app(tmp_path_factory):
    """The built app, in a folder inside the one that is served."""
    pytest.importorskip("ai_edge_litert", reason="the TFLite interpreter is not installed")
    installed = subprocess.run(["npm", "ci"], cwd=ROOT / "examples" / "web", capture_output=True, text=True)
    if installed.returncode:
        pytest.skip(f"npm ci failed, perhaps without a network: {installed.stderr.strip().splitlines()[-1:]}")
    out = tmp_path_factory.mktemp("served") / "below" / "app"
    command = [sys.executable, "-m", "examples.web.build", "--preset", PRESET, "--out", str(out)]
    built = subprocess.run(command, cwd=ROOT, capture_output=True, text=True)
    assert built.returncode == 0, built.stderr
    return out


class Server:
    """A static web server for the folder two above the app."""

    def __init__(self, app, headers=()):
        class Handler(http.server.SimpleHTTPRequestHandler):
            def end_headers(self):
                for name, value in headers:
                    self.send_header(name, value)
                super().end_headers()

            def log_message(self, *_):
                pass

        handler = functools.partial(Handler, directory=str(app.parents[1]))
        self._server = http.server.ThreadingHTTPServer(("127.0.0.1", 0), handler)
        self.address = f"http://127.0.0.1:{self._server.server_port}/below/app/"
        threading.Thread(target=self._server.serve_forever, daemon=True).start()

    def stop(self):
        self._server.shutdown()
        self._server.server_close()


@pytest.fixture(scope="module")
def network():
    """The preset in Python, as a function of float32 (128, 128, 3) in [0, 1] to the same."""
    import deblur_zoo

    model = deblur_zoo.load(PRESET)
    return lambda face: model.run(face[None].astype(np.float32))[0]


@pytest.fixture
def server(app):
    started = Server(app)
    yield started
    started.stop()


@pytest.fixture
def page(server):
    with chromium.Chromium() as browser:
        browser.open(server.address)
        wait_until_ready(browser)
        yield browser


def wait_until_ready(browser):
    browser.wait_for("/Ready|^$/.test(document.getElementById('status').textContent)")
    assert alert(browser) is None


def alert(browser):
    return browser.evaluate("(a => a.hidden ? null : a.textContent)(document.getElementById('alert'))")


def choose(browser, path):
    browser.evaluate("document.getElementById('result').hidden = true")
    browser.choose_files("#file", path)
    browser.wait_for("!document.getElementById('work').hidden || !document.getElementById('alert').hidden")
    # Chosen files are forgotten once they are read.
    browser.wait_for("document.getElementById('file').value === ''")


def restore(browser):
    browser.click("#restore")
    browser.wait_for("!document.getElementById('result').hidden || !document.getElementById('alert').hidden")
    assert alert(browser) is None


def saved(browser, selector, folder):
    path = browser.download(selector, folder)
    with Image.open(path) as picture:
        pixels = np.asarray(picture.convert("RGB")).astype(int)
    # The next one has the same name.
    path.unlink()
    return pixels


def to_bytes(values):
    return np.rint(255 * np.clip(values, 0, 1)).astype(int)


def test_an_aligned_face_is_restored_as_in_python_and_offline_too(page, server, network, tmp_path):
    blurred = np.asarray(Image.open(EXAMPLE).convert("RGB"))
    expected = to_bytes(network(blurred.astype(np.float32) / 255))
    assert np.abs(expected - blurred).mean() > 3
    choose(page, EXAMPLE)
    restore(page)
    assert np.abs(saved(page, "#save-face", tmp_path) - expected).max() <= 1
    assert "Restored in" in page.evaluate("document.getElementById('time').textContent")

    server.stop()
    page.open(server.address)
    wait_until_ready(page)
    choose(page, EXAMPLE)
    restore(page)
    assert np.abs(saved(page, "#save-face", tmp_path) - expected).max() <= 1
    assert page.problems == []


def test_the_restored_face_is_blended_into_the_photo_as_in_python(page, network, tmp_path):
    from deblur_zoo.faces.alignment import canonical_points, similarity_transform
    from deblur_zoo.faces.warp import warp
    from deblur_zoo.restoration.blending import add_correction
    from examples.make_example import POINTS

    def in_python(pixels, matrix):
        crop = np.clip(warp(pixels.astype(np.float32) / 255, matrix, 128), 0, 1)
        restored = network(crop)
        blended = pixels.copy()
        add_correction(blended, pixels, restored - crop, matrix)
        return to_bytes(restored), blended.astype(int)

    photo = np.asarray(Image.open(PHOTO).convert("RGB"))
    face, blended = in_python(photo, similarity_transform(POINTS, canonical_points()))
    page.click("#example")
    page.wait_for("!document.getElementById('work').hidden")
    restore(page)
    found = saved(page, "#save-face", tmp_path)
    # Resampling rounds positions, and the JPEG decoder is another.
    assert np.abs(found - face).max() <= 2 and np.abs(found - face).mean() < 0.1
    # Written as a JPEG again.
    assert np.abs(saved(page, "#save-picture", tmp_path) - blended).mean() < 1.5

    # The middle square of 180 x 180 pixels of a picture that is saved without loss.
    part = photo[20:200, 120:330]
    Image.fromarray(part).save(tmp_path / "part.png")
    scale = 128 / 180
    shift = np.array([64 - scale * 105, 64 - scale * 90]) + 0.5 * scale - 0.5
    face, blended = in_python(part, np.array([[scale, 0, shift[0]], [0, scale, shift[1]]]))
    assert np.abs(blended - part).mean() > 3
    choose(page, tmp_path / "part.png")
    restore(page)
    assert np.abs(saved(page, "#save-face", tmp_path) - face).max() <= 1
    # OpenCV's integers round a few positions to the other 1/32 of a pixel.
    difference = np.abs(saved(page, "#save-picture", tmp_path) - blended)
    assert difference.max() <= 2 and difference.mean() < 0.02


def test_orientation_and_colours(page, network, tmp_path, colour_profiles):
    """A photo lying on its side, in Adobe RGB: upright sRGB reaches the network."""
    face = Image.open(EXAMPLE).convert("RGB")
    wide = Image.new("RGB", (168, 128), "grey")
    wide.paste(face, (20, 0))
    profile = colour_profiles.rgb_profile(colour_profiles.ADOBE_RGB, 2.2)
    path = tmp_path / "wide.jpg"
    exif = Image.Exif()
    exif[0x0112] = 6  # Turn it clockwise to see it.
    stored = wide.transpose(Image.Transpose.ROTATE_90)
    stored.save(path, quality=100, subsampling=0, exif=exif, icc_profile=profile)
    with Image.open(path) as opened:
        source = ImageCms.ImageCmsProfile(io.BytesIO(profile))
        srgb = ImageCms.profileToProfile(opened.convert("RGB"), source, ImageCms.createProfile("sRGB"))
    upright = np.asarray(srgb.transpose(Image.Transpose.ROTATE_270))[:, 20:148]
    expected = to_bytes(network(upright.astype(np.float32) / 255))
    choose(page, path)
    restore(page)
    found = saved(page, "#save-face", tmp_path)
    difference = np.abs(found - expected)
    # The browser rounds colours elsewhere than LittleCMS. Unconverted, levels are off by more than 4 in the mean.
    assert difference.mean() < 0.3 and difference.max() <= 4
    assert np.abs(found - to_bytes(network(np.asarray(face, np.float32) / 255))).mean() > 4


def test_gestures_and_keys_move_the_face(page):
    choose(page, PHOTO)
    page.evaluate("document.getElementById('stage').scrollIntoView()")
    box = page.evaluate("(b => [b.x, b.y, b.width])(document.getElementById('stage').getBoundingClientRect())")
    x, y = box[0] + box[2] / 2, box[1] + box[2] / 2

    def sliders():
        return [float(page.evaluate(f"document.getElementById('{name}').value")) for name in ("zoom", "turn")]

    start = sliders()
    assert start == [pytest.approx(np.log2(128 / 512)), 0]
    page.send("Input.dispatchMouseEvent", type="mouseWheel", x=x, y=y, deltaX=0, deltaY=-250)
    page.wait_for(f"document.getElementById('zoom').value > {start[0] + 0.5}")
    for key in (",", ",", "+"):
        page.evaluate(f"document.getElementById('stage').dispatchEvent(new KeyboardEvent('keydown', {{key: '{key}'}}))")
    assert sliders()[1] == -4
    page.send("Emulation.setTouchEmulationEnabled", enabled=True, maxTouchPoints=2)
    zoom = sliders()[0]
    for kind, reach in (("touchStart", 30), ("touchMove", 45), ("touchMove", 60), ("touchEnd", None)):
        points = [] if reach is None else [{"x": x - reach, "y": y, "id": 0}, {"x": x + reach, "y": y, "id": 1}]
        page.send("Input.dispatchTouchEvent", type=kind, touchPoints=points)
    page.wait_for(f"Math.abs(document.getElementById('zoom').value - {zoom} - 1) < 0.05")
    page.click("#fit")
    assert sliders() == start


def test_a_dropped_picture_the_slider_and_a_second_face(page, tmp_path):
    page.evaluate("""(async () => {
        const dropped = new DataTransfer();
        const bytes = await (await fetch('astronaut_blurred.jpg')).blob();
        dropped.items.add(new File([bytes], 'dropped.jpg', { type: 'image/jpeg' }));
        dispatchEvent(new DragEvent('drop', { dataTransfer: dropped, cancelable: true }));
    })()""")
    page.wait_for("!document.getElementById('work').hidden")
    restore(page)
    page.evaluate("(s => { s.value = 25; s.dispatchEvent(new Event('input')); })(document.getElementById('split'))")
    shown = page.evaluate("getComputedStyle(document.getElementById('before')).clipPath")
    assert shown in ("inset(0px 75% 0px 0px)", "inset(0px calc(75%) 0px 0px)", "inset(0px calc(100% - 25%) 0px 0px)")
    once = saved(page, "#save-picture", tmp_path)
    page.click("#another")
    page.wait_for("document.getElementById('result').hidden")
    page.evaluate("(z => { z.value = 0; z.dispatchEvent(new Event('input')); })(document.getElementById('zoom'))")
    restore(page)
    twice = saved(page, "#save-picture", tmp_path)
    # At scale 1 the second crop is the middle 128 x 128 pixels: only there the first result changed, but for JPEG.
    changed = np.abs(twice - once).mean(axis=-1)
    assert changed[192:320, 192:320].mean() > 3 * changed[:150].mean()


@pytest.mark.parametrize(("width", "height", "phone"), [(390, 844, True), (1280, 800, False)])
def test_everything_fits_phones_and_desktops(page, width, height, phone):
    page.resize(width, height, phone)
    choose(page, EXAMPLE)
    restore(page)
    assert page.evaluate("document.documentElement.scrollWidth") == width
    shown = "[...document.querySelectorAll('button, .button')].filter(b => b.offsetParent && !b.matches('.link'))"
    sizes = page.evaluate(f"{shown}.map(b => b.getBoundingClientRect()).map(b => [b.left, b.right, b.height])")
    assert len(sizes) == (7 if phone else 6)
    assert all(left >= 0 and right <= width and tall >= 44 for left, right, tall in sizes)
    # Everything that is operated has a name.
    unnamed = "e => !(e.labels?.length || e.ariaLabel || e.textContent.trim())"
    assert page.evaluate(f"[...document.querySelectorAll('input, button, #stage')].filter({unnamed}).length") == 0


def test_what_is_not_a_picture_is_said_in_a_sentence(page, tmp_path):
    text = tmp_path / "notes.txt"
    text.write_text("no picture")
    tiny = tmp_path / "tiny.png"
    Image.new("RGB", (200, 3)).save(tiny)
    huge = tmp_path / "huge.png"
    Image.new("1", (9000, 6000)).save(huge)
    for path, words in (
        (text, "notes.txt is not a picture that this browser can read"),
        (tiny, "tiny.png has 200 x 3 pixels: choose a picture of at least 16 x 16"),
        (huge, "huge.png has 54 megapixels, too many"),
    ):
        choose(page, path)
        assert words in alert(page)
    assert page.evaluate("document.getElementById('work').hidden")


def test_without_webassembly(server):
    with chromium.Chromium() as browser:
        browser.send("Page.addScriptToEvaluateOnNewDocument", source="delete globalThis.WebAssembly")
        browser.open(server.address)
        browser.wait_for("!document.getElementById('alert').hidden")
        assert "no WebAssembly" in alert(browser)


def test_nothing_leaves_the_device(page):
    code = "fetch('http://127.0.0.1:9/', {method: 'POST', body: 'x'}).then(() => 'sent', error => String(error))"
    assert "TypeError" in page.evaluate(code)
    assert any("Content Security Policy" in problem for problem in page.problems)


def test_threads_where_the_host_isolates_the_page(app, network, tmp_path):
    isolating = Server(
        app, [("Cross-Origin-Opener-Policy", "same-origin"), ("Cross-Origin-Embedder-Policy", "require-corp")]
    )
    with chromium.Chromium() as browser:
        browser.open(isolating.address)
        wait_until_ready(browser)
        choose(browser, EXAMPLE)
        restore(browser)
        assert "several threads" in browser.evaluate("document.getElementById('time').textContent")
        blurred = np.asarray(Image.open(EXAMPLE).convert("RGB"), np.float32) / 255
        assert np.abs(saved(browser, "#save-face", tmp_path) - to_bytes(network(blurred))).max() <= 1
    isolating.stop()


def test_another_build_replaces_the_cache(app, server, tmp_path):
    """A file of the app changes: once all windows are closed, the next one shows it."""
    copy = tmp_path / "below" / "app"
    shutil.copytree(app, copy)
    changed = Server(copy)
    with chromium.Chromium() as browser:
        browser.open(changed.address)
        wait_until_ready(browser)
        page_file, worker = copy / "index.html", copy / "service_worker.js"
        page_file.write_text(page_file.read_text().replace("<title>Deblur", "<title>Redone: deblur"))
        worker.write_text(worker.read_text().replace('VERSION = "', 'VERSION = "2'))
        browser.evaluate("navigator.serviceWorker.getRegistration().then(r => r.update())")
        browser.wait_for("navigator.serviceWorker.getRegistration().then(r => Boolean(r.waiting))")
        browser.open("about:blank")
        browser.open(changed.address)
        wait_until_ready(browser)
        browser.open("about:blank")
        browser.open(changed.address)
        wait_until_ready(browser)
        assert browser.evaluate("document.title").startswith("Redone")
        assert browser.evaluate("caches.keys().then(names => names.length)") == 1
    changed.stop()
