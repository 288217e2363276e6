"""Headless Chromium, driven through its DevTools protocol."""

import asyncio
import contextlib
import itertools
import subprocess
import tempfile
import time
from pathlib import Path

import aiohttp

from tests.browser import CHROMIUM

FLAGS = (
    "--headless=new",
    "--no-sandbox",
    "--disable-dev-shm-usage",
    "--hide-scrollbars",
    "--no-first-run",
    "--disable-extensions",
    "--disable-background-networking",
    "--remote-debugging-port=0",
)
TIMEOUT = 180


class Chromium:
    """One page of a browser with a profile of its own. A context manager."""

    def __init__(self, *flags):
        self._flags = flags
        self._numbers = itertools.count(1)
        self._loop = asyncio.new_event_loop()
        self._stack = contextlib.ExitStack()
        self.problems = []  # What the page logged as an error, and exceptions that nothing caught.

    def __enter__(self):
        with contextlib.ExitStack() as stack:
            stack.callback(self._loop.close)
            profile = Path(stack.enter_context(tempfile.TemporaryDirectory(ignore_cleanup_errors=True)))
            command = [CHROMIUM, *FLAGS, *self._flags, f"--user-data-dir={profile}", "about:blank"]
            process = subprocess.Popen(command, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
            stack.callback(process.wait)
            stack.callback(process.terminate)
            port = profile / "DevToolsActivePort"
            self._wait(lambda: port.is_file() and port.read_text().count("\n"), "Chromium did not start")
            self._loop.run_until_complete(self._connect(port.read_text().split()[0]))
            stack.callback(lambda: self._loop.run_until_complete(self._session.close()))
            for domain in ("Page", "Runtime", "Log"):
                self.send(f"{domain}.enable")
            self._stack = stack.pop_all()
        return self

    def __exit__(self, *_):
        self._stack.close()

    async def _connect(self, port):
        self._session = aiohttp.ClientSession()
        async with self._session.get(f"http://127.0.0.1:{port}/json") as response:
            (page, *_) = [target for target in await response.json() if target["type"] == "page"]
        self._socket = await self._session.ws_connect(page["webSocketDebuggerUrl"], max_msg_size=0)

    def send(self, method, **parameters):
        """Run a command of the protocol; returns its result."""
        return self._loop.run_until_complete(asyncio.wait_for(self._ask(method, parameters), TIMEOUT))

    async def _ask(self, method, parameters):
        number = next(self._numbers)
        await self._socket.send_json({"id": number, "method": method, "params": parameters})
        while True:
            message = await self._socket.receive_json()
            if message.get("method") == "Runtime.exceptionThrown":
                self.problems.append(str(message["params"]["exceptionDetails"]))
            elif message.get("method") == "Log.entryAdded" and message["params"]["entry"]["level"] == "error":
                self.problems.append(str(message["params"]["entry"]))
            elif message.get("id") == number:
                assert "error" not in message, f"{method}: {message['error']}"
                return message["result"]

    def evaluate(self, code):
        """The value of JavaScript, awaited if it is a promise."""
        found = self.send("Runtime.evaluate", expression=code, awaitPromise=True, returnByValue=True, userGesture=True)
        assert "exceptionDetails" not in found, found["exceptionDetails"]
        return found["result"].get("value")

    def open(self, address):
        self.send("Page.navigate", url=address)
        self.wait_for("document.readyState === 'complete'")

    def wait_for(self, code, message=None):
        """Until JavaScript's value is true."""
        self._wait(lambda: self.evaluate(code), message or code)

    def _wait(self, condition, message):
        end = time.monotonic() + TIMEOUT
        while not condition():
            assert time.monotonic() < end, message
            time.sleep(0.1)

    def choose_files(self, selector, *paths):
        node = self.send("Runtime.evaluate", expression=f"document.querySelector({selector!r})")["result"]
        self.send("DOM.setFileInputFiles", files=[str(path) for path in paths], objectId=node["objectId"])

    def click(self, selector):
        self.evaluate(f"document.querySelector({selector!r}).click()")

    def download(self, selector, folder):
        """Click, and wait for the file that it saves; returns its path."""
        before = set(folder.iterdir())
        self.send("Browser.setDownloadBehavior", behavior="allow", downloadPath=str(folder))
        self.click(selector)
        found = []

        def arrived():
            found[:] = [path for path in set(folder.iterdir()) - before if path.suffix in (".png", ".jpg")]
            return bool(found)

        self._wait(arrived, "nothing was saved")
        return found[0]

    def resize(self, width, height, phone=False):
        self.send("Emulation.setDeviceMetricsOverride", width=width, height=height, deviceScaleFactor=2, mobile=phone)
        self.send("Emulation.setTouchEmulationEnabled", enabled=phone, maxTouchPoints=2)
