"""The roles as programs on loopback, and a gate that stands between two of them."""

from __future__ import annotations

import contextlib
import json
import os
import signal
import subprocess
import sys
import threading
import time
from collections.abc import Callable
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path

import httpx

COMMAND = [sys.executable, "-m", "mezzotint"]
ENVIRONMENT = {**os.environ, "OMP_NUM_THREADS": "1"}


class Role:
    """A service in a process of its own, on a port that it keeps when it is restarted."""

    def __init__(self, *words: object) -> None:
        self._words = [str(word) for word in words]
        self._port = 0
        self.url = ""
        self.start()

    def start(self) -> None:
        """Start it, and wait until it listens."""
        said = self._begin()
        deadline = time.monotonic() + 60
        # Anybody's connection may have been given its port while it was down.
        while _taken(said) and time.monotonic() < deadline:
            self._wait()
            time.sleep(1)
            said = self._begin()
        assert "url" in said, said
        self.url = said["url"]
        self._port = int(self.url.rsplit(":", 1)[1])

    def _begin(self) -> dict:
        self.process = subprocess.Popen(
            [*COMMAND, *self._words, "--json", "--port", str(self._port)],
            stdout=subprocess.PIPE,
            stderr=subprocess.DEVNULL,
            env=ENVIRONMENT,
        )
        assert self.process.stdout is not None
        return json.loads(self.process.stdout.readline())

    def kill(self) -> None:
        """kill -9."""
        self.process.kill()
        self._wait()

    def stop(self) -> None:
        """End it as its user would."""
        self.process.send_signal(signal.SIGINT)
        self._wait()

    def _wait(self) -> None:
        self.process.wait(timeout=60)
        assert self.process.stdout is not None
        self.process.stdout.close()


def _taken(said: dict) -> bool:
    return "nothing can listen there" in said.get("error", {}).get("message", "")


class Gate:
    """An HTTP proxy in this process that can be shut: then it hangs up on every request.

    Attributes:
        shut_at: hang up from this request on (counted by `counts`); None to let all pass.
        reached: set when it has hung up on somebody.
        seen: every request that passed: method, path, headers, body, answer's status and body.
    """

    def __init__(self, target: str, counts: Callable[[str, str], bool]) -> None:
        self.shut_at: int | None = None
        self.reached = threading.Event()
        self.seen: list[tuple[str, str, dict[str, str], bytes, int, bytes]] = []
        self._passed = 0
        gate = self

        class Handler(BaseHTTPRequestHandler):
            protocol_version = "HTTP/1.1"

            def _pass(self) -> None:
                body = self.rfile.read(int(self.headers.get("content-length", 0)))
                if counts(self.command, self.path):
                    if gate.shut_at is not None and gate._passed >= gate.shut_at:
                        gate.reached.set()
                        self.close_connection = True
                        self.connection.close()
                        return
                    gate._passed += 1
                kept = {
                    name: value for name, value in self.headers.items() if name == "authorization"
                }
                try:
                    answer = httpx.request(
                        self.command, target + self.path, content=body, headers=kept, timeout=60
                    )
                except httpx.TransportError:
                    self.close_connection = True
                    self.connection.close()
                    return
                gate.seen.append(
                    (self.command, self.path, kept, body, answer.status_code, answer.content)
                )
                self.send_response_only(answer.status_code)
                self.send_header("content-length", str(len(answer.content)))
                self.end_headers()
                self.wfile.write(answer.content)

            do_GET = do_PUT = do_POST = do_DELETE = _pass

            def log_message(self, *_: object) -> None:
                pass

            def handle(self) -> None:
                # Somebody was killed in the middle of a sentence.
                with contextlib.suppress(OSError, ValueError):
                    super().handle()

            def finish(self) -> None:
                with contextlib.suppress(OSError, ValueError):
                    super().finish()

        class Server(ThreadingHTTPServer):
            daemon_threads = True

            def shutdown_request(self, request: object) -> None:
                with contextlib.suppress(OSError):
                    super().shutdown_request(request)  # type: ignore[arg-type]

        self._server = Server(("127.0.0.1", 0), Handler)
        self.url = f"http://127.0.0.1:{self._server.server_address[1]}"
        threading.Thread(target=self._server.serve_forever, daemon=True).start()

    def open(self) -> None:
        """Let everything pass."""
        self.shut_at = None

    def close(self) -> None:
        """End it."""
        self._server.shutdown()
        self._server.server_close()


def command(*words: object) -> subprocess.CompletedProcess[str]:
    """A command in a process of its own."""
    return subprocess.run(
        [*COMMAND, *map(str, words)],
        capture_output=True,
        text=True,
        env=ENVIRONMENT,
        check=False,
        timeout=600,
    )


def begun(*words: object) -> subprocess.Popen[str]:
    """A command that goes on in a process of its own."""
    return subprocess.Popen(
        [*COMMAND, *map(str, words)],
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
        env=ENVIRONMENT,
    )


SCHEMA = """\
mezzotint-schema: 1
unit: {name: person, rows: 1}
attributes:
  age: {type: integer, bounds: [18, 81], bins: 8, missing: false}
  colour: {type: categorical, categories: [red, green, blue], missing: false}
  member: {type: boolean, false: no, true: yes, missing: false}
"""


def write_table(folder: Path, rows: int = 900) -> tuple[Path, Path]:
    """A small table whose columns hang together, and its schema."""
    import random

    rng = random.Random(11)
    lines = ["age,colour,member"]
    for _ in range(rows):
        age = rng.randint(18, 81)
        colour = rng.choice(["red", "green"] if age < 45 else ["blue", "green"])
        lines.append(f"{age},{colour},{'yes' if colour == 'blue' else 'no'}")
    data, schema = folder / "data.csv", folder / "schema.yaml"
    data.write_text("\n".join(lines) + "\n")
    schema.write_text(SCHEMA)
    return data, schema
