"""The page of the demo: asked by Gradio's own client, and used in Chromium."""

import os
import signal
import socket
import subprocess
import sys
import time
import urllib.request
from pathlib import Path

import numpy as np
import pytest
from PIL import Image
from scipy import ndimage
from skimage import data

from deblur_zoo.demo import answer
from deblur_zoo.restoration.photo import PhotoOptions
from deblur_zoo.restoration.restorer import Restorer
from tests.browser import CHROMIUM

gradio = pytest.importorskip("gradio", reason="Gradio is not installed: pip install '.[demo]'")
ROOT = Path(__file__).parents[2]


@pytest.fixture(scope="module")
def photos(tmp_path_factory):
    """A blurred portrait, a photo without a face, and a letter by the name of a photo."""
    folder = tmp_path_factory.mktemp("photos")
    kernel = np.zeros((15, 15, 1))
    kernel[7] = 1 / 15
    Image.fromarray(ndimage.convolve(data.astronaut(), kernel)).save(folder / "me.jpg", quality=95, dpi=(300, 300))
    Image.fromarray(np.full((200, 300, 3), 90, np.uint8)).save(folder / "wall.png")
    (folder / "letter.jpg").write_text("dear")
    return folder


@pytest.fixture
def client(tiny_model, tmp_path, monkeypatch):
    """A client of the page, which knows one preset, the tiny network."""
    from gradio_client import Client

    from deblur_zoo.demo import page

    monkeypatch.setenv("GRADIO_TEMP_DIR", str(tmp_path))
    monkeypatch.setenv("GRADIO_ANALYTICS_ENABLED", "False")
    monkeypatch.setattr(page, "list_models", lambda **kinds: ["tiny"])
    monkeypatch.setattr(answer, "_model", lambda preset: {"tiny": tiny_model}[preset])
    blocks = page.build(tmp_path, "tiny")
    _, url, _ = blocks.launch(prevent_thread_lock=True, quiet=True, ssr_mode=False, share=False)
    yield Client(url, verbose=False, download_files=str(tmp_path / "downloads"))
    blocks.close()


def test_the_page_gives_the_bytes_of_the_library(client, photos, tiny_model, tmp_path):
    from gradio_client import handle_file

    message, slider, marked, download = client.predict(handle_file(photos / "me.jpg"), "tiny", 0.6, api_name="/restore")
    assert message.startswith("Restored 1 face in ") and slider["visible"] and marked["visible"]
    path = Path(download["value"])
    assert path.name == "me_restored.jpg"
    Restorer(tiny_model, options=PhotoOptions(strength=0.6)).restore(photos / "me.jpg").save(tmp_path / "mine.jpg")
    assert path.read_bytes() == (tmp_path / "mine.jpg").read_bytes()
    # The next one has nothing to show, and what was shown goes.
    message, slider, marked, download = client.predict(
        handle_file(photos / "letter.jpg"), "tiny", 1.0, api_name="/restore"
    )
    assert message.startswith("letter.jpg is not a picture that can be read")
    assert not slider["visible"] and not marked["visible"] and not download["visible"]


@pytest.fixture(scope="module")
def url(tmp_path_factory):
    """The command, in a process of its own whose temporary folder is empty when it has ended."""
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port = free.getsockname()[1]
    temporary = tmp_path_factory.mktemp("temporary")
    paths = os.pathsep.join(filter(None, [str(ROOT), os.environ.get("PYTHONPATH")]))
    environment = {**os.environ, "PYTHONPATH": paths, "TMPDIR": str(temporary)}
    command = [sys.executable, "-m", "deblur_zoo.demo", "--nobrowser", f"--port={port}", "--max_pixels=300000"]
    process = subprocess.Popen(command, env=environment, cwd=temporary, stdout=subprocess.PIPE, text=True)
    line = process.stdout.readline()
    assert f"http://127.0.0.1:{port}/" in line, line
    yield f"http://127.0.0.1:{port}/"
    process.send_signal(signal.SIGTERM)
    process.wait(60)
    assert not list(temporary.glob("deblur-zoo-demo-*"))


@pytest.fixture(scope="module")
def browser():
    if CHROMIUM is None:
        pytest.skip("no Chromium is installed")
    playwright = pytest.importorskip(
        "playwright.sync_api", reason="Playwright is not installed: pip install playwright"
    )
    with playwright.sync_playwright() as started:
        opened = started.chromium.launch(executable_path=CHROMIUM, args=["--no-sandbox"])
        yield opened
        opened.close()


def drop(page, path):
    clear = page.get_by_label("Clear").first
    if clear.count():
        clear.click()
    page.locator("input[type=file]").first.set_input_files(path)
    clear.wait_for()


def message_after(page, begin):
    result = page.get_by_label("Result")
    begin()
    for _ in range(600):
        if result.input_value():
            return result.input_value()
        time.sleep(0.5)
    raise AssertionError("no message")


@pytest.mark.slow
@pytest.mark.parametrize("size", [(390, 844), (1280, 900)], ids=["phone", "desktop"])
def test_in_chromium(size, browser, url, photos, tmp_path):
    page = browser.new_page(viewport=dict(zip(("width", "height"), size, strict=True)))
    page.set_default_timeout(120_000)
    asked = []
    page.on("request", lambda request: asked.append(request.url))
    page.goto(url)
    button = page.get_by_role("button", name="Restore", exact=True)
    button.wait_for()
    assert "letter.jpg is not a picture" in message_after(page, lambda: drop(page, photos / "letter.jpg"))
    drop(page, photos / "me.jpg")
    page.locator(".image-frame img").wait_for()
    assert message_after(page, button.click).startswith("Restored 1 face in ")

    with page.expect_download() as download:
        page.get_by_text("Download the restored photo").click()
    assert download.value.suggested_filename == "me_restored.jpg"
    Restorer("one_step_lite").restore(photos / "me.jpg").save(tmp_path / "mine.jpg")
    assert Path(download.value.path()).read_bytes() == (tmp_path / "mine.jpg").read_bytes()

    after, before = page.locator("[data-testid=imageslider-image]").nth(1), "inset(0px 0px 0px 50%)"
    assert before in after.get_attribute("style")
    handle = page.get_by_test_id("slider").bounding_box()
    page.mouse.move(handle["x"] + handle["width"] / 2, handle["y"] + handle["height"] / 2)
    page.mouse.down()
    page.mouse.move(handle["x"] - 80, handle["y"] + handle["height"] / 2, steps=5)
    page.mouse.up()
    assert before not in after.get_attribute("style")

    width, inside = page.evaluate("[document.documentElement.scrollWidth, innerWidth]")
    assert width <= inside
    # Nothing is fetched from elsewhere.
    assert [address for address in asked if not address.startswith((url, "data:", "blob:"))] == []
    page.close()


@pytest.mark.slow
def test_a_taken_port_is_named(url):
    port = url.rstrip("/").rpartition(":")[2]
    command = [sys.executable, "-m", "deblur_zoo.demo", "--nobrowser", f"--port={port}"]
    done = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, timeout=300)
    assert done.returncode == 2 and f"127.0.0.1:{port}" in done.stderr.splitlines()[-1]
    assert urllib.request.urlopen(url).status == 200
