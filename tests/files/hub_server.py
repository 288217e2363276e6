"""A stand-in for Hugging Face's server: the requests that huggingface_hub makes to download and upload a preset.

Files lie in memory, as {"owner/name": {"main": {path: bytes}}}; a commit's name is the hash of its files.
"""

import base64
import contextlib
import hashlib
import http.server
import json
import threading


def commit_of(files):
    return hashlib.sha1(b"".join(sorted(name.encode() + data for name, data in files.items()))).hexdigest()


class Handler(http.server.BaseHTTPRequestHandler):
    repositories: dict = {}

    def do_HEAD(self):
        self._file(False)

    def do_GET(self):
        self._file(True)

    def do_POST(self):
        body = self.rfile.read(int(self.headers.get("Content-Length", 0)))
        path = self.path.strip("/").split("/")
        if self.path == "/api/repos/create":
            asked = json.loads(body)
            name = f"{asked.get('organization') or 'owner'}/{asked['name']}"
            self.repositories.setdefault(name, {})
            self._json({"url": f"http://{self.headers['Host']}/{name}"})
        elif self.path == "/api/validate-yaml":
            self._json({"errors": [], "warnings": []})
        elif "preupload" in path:
            asked = json.loads(body)["files"]
            files = [{"path": f["path"], "uploadMode": "regular", "shouldIgnore": False, "oid": None} for f in asked]
            self._json({"files": files})
        elif "commit" in path:
            files = self.repositories["/".join(path[2:4])]
            for line in map(json.loads, body.splitlines()):
                if line["key"] == "file":
                    files[line["value"]["path"]] = base64.b64decode(line["value"]["content"])
            url = f"http://{self.headers['Host']}/{'/'.join(path[2:4])}/commit/{commit_of(files)}"
            self._json({"commitUrl": url, "commitOid": commit_of(files), "success": True})
        else:
            self._error("RepoNotFound")

    def _file(self, with_body):
        # /owner/name/resolve/revision/path
        parts = self.path.partition("?")[0].strip("/").split("/")
        files = self.repositories.get("/".join(parts[:2]))
        if files is None or parts[2:3] != ["resolve"]:
            return self._error("RepoNotFound")
        commit = commit_of(files)
        if parts[3] not in ("main", commit):
            return self._error("RevisionNotFound")
        data = files.get("/".join(parts[4:]))
        if data is None:
            return self._error("EntryNotFound")
        self.send_response(200)
        self.send_header("X-Repo-Commit", commit)
        self.send_header("ETag", f'"{hashlib.sha1(data).hexdigest()}"')
        self.send_header("Content-Length", str(len(data)))
        self.end_headers()
        if with_body:
            self.wfile.write(data)

    def _error(self, code):
        self.send_response(404)
        self.send_header("X-Error-Code", code)
        self.send_header("Content-Length", "0")
        self.end_headers()

    def _json(self, content):
        data = json.dumps(content).encode()
        self.send_response(200)
        self.send_header("Content-Type", "application/json")
        self.send_header("Content-Length", str(len(data)))
        self.end_headers()
        self.wfile.write(data)

    def log_message(self, *arguments):
        pass


@contextlib.contextmanager
def running():
    """A server on this machine's loopback: (address, its repositories)."""
    handler = type("Handler", (Handler,), {"repositories": {}})
    with http.server.ThreadingHTTPServer(("127.0.0.1", 0), handler) as server:
        thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.02})
        thread.start()
        try:
            yield f"http://127.0.0.1:{server.server_address[1]}", handler.repositories
        finally:
            server.shutdown()
            thread.join()
