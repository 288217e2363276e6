import http.server
import os
import shutil
import tarfile
import threading
import zipfile
from pathlib import Path

import pytest

from deblur_zoo import zoo
from deblur_zoo.files import downloads
from deblur_zoo.files.checksum import sha256_of


class Handler(http.server.SimpleHTTPRequestHandler):
    requests = None
    faulty = True

    def do_GET(self):
        self.requests.append(self.path)
        if self.path.startswith("/redirect/"):
            self.send_response(302)
            self.send_header("Location", self.path.removeprefix("/redirect/"))
            self.end_headers()
        elif self.path.startswith("/broken-off/"):
            self.send_response(200)
            self.send_header("Content-Length", "100000")
            self.end_headers()
            self.wfile.write(b"short")
        elif self.path.startswith("/silent/"):
            # The whole file or, while the server is faulty, the start of it; ended by closing alone.
            content = Path(self.directory, self.path.removeprefix("/silent/")).read_bytes()
            self.send_response(200)
            self.end_headers()
            self.wfile.write(
                content[: len(content) // 2] if self.faulty and not self.path.endswith("json") else content
            )
        elif self.path.startswith("/error/"):
            self.send_error(503)
        else:
            super().do_GET()

    def log_message(self, *arguments):
        pass


@pytest.fixture
def server(tmp_path):
    """A server on this machine's loopback that serves ``tmp_path``; gives (address, list of requested paths)."""
    handler = type("Recorded", (Handler,), {"requests": []})
    with http.server.ThreadingHTTPServer(
        ("127.0.0.1", 0), lambda *arguments: handler(*arguments, directory=str(tmp_path))
    ) as running:
        thread = threading.Thread(target=running.serve_forever, kwargs={"poll_interval": 0.02})
        thread.start()
        yield f"http://127.0.0.1:{running.server_address[1]}", handler.requests
        running.shutdown()
        thread.join()


@pytest.fixture(autouse=True)
def cache(tmp_path, monkeypatch):
    monkeypatch.setenv("DEBLUR_ZOO_CACHE", str(tmp_path / "cache"))
    return tmp_path / "cache"


@pytest.fixture(params=["tar.gz", "tgz", "zip"])
def archive(request, tiny_preset, tmp_path):
    path = tmp_path / f"tiny_archive.{request.param}"
    if request.param == "zip":
        with zipfile.ZipFile(path, "w") as opened:
            for file in tiny_preset.iterdir():
                opened.write(file, file.name)
    else:
        with tarfile.open(path, "w:gz") as opened:
            opened.add(tiny_preset, "tiny")
    return path


def test_an_archive_from_a_server_is_fetched_once(server, archive, cache, tiny_model):
    address, requests = server
    uri = f"{address}/{archive.name}"
    for _ in range(2):
        model = zoo.load(uri)
        assert model.name == "tiny" and (model.get_weights()[0] == tiny_model.get_weights()[0]).all()
    assert requests == [f"/{archive.name}"]
    assert [path.name[:12] for path in cache.iterdir()] == ["tiny_archive"]


def test_a_checksum_in_the_uri_is_checked(server, archive, cache):
    address, _ = server
    good = sha256_of(archive)
    assert zoo.load(f"{address}/{archive.name}#sha256={good}").name == "tiny"
    before = list(cache.iterdir())
    with pytest.raises(ValueError, match="damaged or was altered"):
        zoo.load(f"{address}/{archive.name}#sha256={'0' * 64}")
    assert list(cache.iterdir()) == before
    with pytest.raises(ValueError, match="can only have sha256="):
        zoo.load(f"{address}/{archive.name}#md5=1")
    with pytest.raises(ValueError, match="is for archives"):
        zoo.load(f"{address}/tiny#sha256={good}")


def test_a_query_after_the_archive_name_is_no_part_of_it(server, archive):
    assert zoo.load(f"{server[0]}/{archive.name}?download=1").name == "tiny"


def test_local_archives(archive, tiny_preset):
    assert zoo.load(archive.as_uri()).name == "tiny"
    # A new archive under the old name is seen.
    with zipfile.ZipFile(archive, "w") as opened:
        opened.writestr("empty.txt", "")
    with pytest.raises(FileNotFoundError, match="must hold one config.json"):
        zoo.load(archive.as_uri())


def test_a_base_address_needs_only_config_and_weights(server, tiny_preset):
    address, requests = server
    assert zoo.load(f"{address}/tiny/").name == "tiny"
    assert requests == ["/tiny/config.json", "/tiny/model.weights.h5"]


def test_an_untrained_preset_from_a_base_address(server, tiny_model, tmp_path):
    zoo.save_preset(tiny_model, tmp_path / "bare", "bare", weights=False)
    assert zoo.load(f"{server[0]}/bare", weights=False).name == "bare"
    assert server[1] == ["/bare/config.json"]


def test_altered_weights_in_the_cache_are_noticed(server, tiny_preset, cache):
    uri = f"{server[0]}/tiny"
    zoo.load(uri)
    path = next(cache.glob("*/preset/model.weights.h5"))
    data = bytearray(path.read_bytes())
    data[-1] ^= 1
    path.write_bytes(data)
    with pytest.raises(ValueError, match="altered"):
        zoo.load(uri)
    shutil.rmtree(path.parents[1])
    zoo.load(uri)


def test_a_download_that_broke_off_is_not_kept(server, tiny_preset, cache, monkeypatch):
    uri = f"{server[0]}/silent/tiny"
    for _ in range(2):
        with pytest.raises(ValueError, match="model.weights.h5 of .*/silent/tiny was cut off, .* next try fetches it"):
            zoo.load(uri)
        assert list(cache.iterdir()) == []
    monkeypatch.setattr(Handler, "faulty", False)
    assert zoo.load(uri).name == "tiny"


def test_an_archive_that_broke_off_is_not_kept(server, archive, cache, monkeypatch):
    uri = f"{server[0]}/silent/{archive.name}"
    with pytest.raises(ValueError, match="cannot be unpacked"):
        zoo.load(uri)
    assert list(cache.iterdir()) == []
    monkeypatch.setattr(Handler, "faulty", False)
    assert zoo.load(uri).name == "tiny"


def test_weights_and_config_that_were_altered_together_in_the_cache(server, archive, tiny_preset, cache):
    uri = f"{server[0]}/{archive.name}#sha256={sha256_of(archive)}"
    zoo.load(uri)
    zoo.load(uri)
    assert server[1] == [f"/{archive.name}"]
    path = next(cache.rglob("model.weights.h5"))
    before = sha256_of(path)
    path.write_bytes(path.read_bytes() + b"more")
    config = path.with_name("config.json")
    text = config.read_text()
    size = path.stat().st_size
    config.write_text(text.replace(before, sha256_of(path)).replace(f'"bytes": {size - 4}', f'"bytes": {size}'))
    with pytest.raises(ValueError, match="was altered after .* remove it to fetch again"):
        zoo.load(uri)
    # The archive that was kept beside is no way around it.
    shutil.make_archive(str(cache / "other"), "zip", path.parents[0])
    os.replace(cache / "other.zip", next(cache.glob("*/archive")))
    with pytest.raises(ValueError, match="was altered after"):
        zoo.load(uri)


def test_what_goes_wrong_on_the_way(server, tiny_preset, cache):
    address, _ = server
    with pytest.raises(FileNotFoundError, match="the server answered 404"):
        zoo.load(f"{address}/absent")
    with pytest.raises(ConnectionError, match="the server answered 503"):
        zoo.load(f"{address}/error/tiny.zip")
    with pytest.raises(ConnectionError, match="was cut off after 5 of 100,000 bytes"):
        zoo.load(f"{address}/broken-off/tiny.zip")
    with pytest.raises(ConnectionError, match="cannot be reached"):
        zoo.load("http://127.0.0.1:9/tiny.zip")
    with pytest.raises(ValueError, match="model.weights.h5 is larger than the 999 bytes"):
        downloads.fetch(f"{address}/tiny", maximum_bytes=999)
    assert list(cache.iterdir()) == []


def test_a_download_larger_than_the_limit_is_stopped(server, archive, cache):
    with pytest.raises(ValueError, match="larger than the 999 bytes"):
        downloads.fetch(f"{server[0]}/{archive.name}", maximum_bytes=999)
    assert list(cache.iterdir()) == []


@pytest.mark.parametrize(
    "uri, message",
    [
        ("http://example.com/a.zip", "must begin with https://.*unencrypted http"),
        ("ftp://example.com/a.zip", "must begin with https://"),
        ("file://server/share/a.zip", "must name a file on this machine"),
    ],
)
def test_other_kinds_of_uri(uri, message):
    with pytest.raises(ValueError, match=message):
        zoo.load(uri)


def test_redirections_follow_the_same_rules(server, archive):
    address, _ = server
    assert zoo.load(f"{address}/redirect/{address}/{archive.name}").name == "tiny"
    for target in ("http://example.com/a.zip", "ftp://127.0.0.1/a.zip"):
        with pytest.raises(ValueError, match="must begin with https://"):
            zoo.load(f"{address}/redirect/{target}")
    with pytest.raises(ConnectionError, match="not allowed"):
        zoo.load(f"{address}/redirect/{archive.as_uri()}")


def test_local_files_that_are_no_presets(tmp_path):
    (tmp_path / "a.txt").touch()
    with pytest.raises(ValueError, match="neither a directory nor an archive"):
        zoo.load((tmp_path / "a.txt").as_uri())
    with pytest.raises(FileNotFoundError, match="no file or directory"):
        zoo.load((tmp_path / "absent").as_uri())


@pytest.mark.parametrize("text", ["[]", "{}", '{"weights": {"file": "../a.weights.h5"}}', "no json"])
def test_a_base_address_with_a_faulty_config(server, tmp_path, text):
    (tmp_path / "faulty").mkdir()
    (tmp_path / "faulty" / "config.json").write_text(text)
    with pytest.raises(ValueError, match="not a preset's config"):
        zoo.load(f"{server[0]}/faulty")


def test_the_cache_is_in_the_home_folder_by_default(monkeypatch):
    monkeypatch.delenv("DEBLUR_ZOO_CACHE")
    assert downloads.cache_folder() == Path.home() / ".cache" / "deblur_zoo"
