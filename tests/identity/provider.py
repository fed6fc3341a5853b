"""An OpenID provider of somebody else's making (npm's oidc-provider), run for tests on loopback."""

import json
import shutil
import socket
import subprocess
import urllib.request
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

from tests.needs import lacks

HERE = Path(__file__).parent
KEPT = HERE.parents[1] / "var" / "identity"  # where npm puts it; not in the repository


@dataclass(frozen=True)
class IdentityProviderOfTests:
    """It knows everybody, and gives any token a test asks for."""

    issuer: str

    def token(
        self, email: str, resource: str = "urn:mail:jwt", seconds: int = 300, audience: str = "saraban"
    ) -> str:
        """An access token of this person: signed (urn:mail:jwt), or to be asked about (urn:mail:opaque)."""
        said = {"email": email, "resource": resource, "seconds": seconds, "audience": audience}
        return self._post("/mint", said)

    def register(self, redirect_uri: str, *, refreshes: bool) -> tuple[str, str]:
        """A client for browsers (RFC 7591): its id and secret. refreshes: it gets refresh tokens."""
        said = {
            "redirect_uris": [redirect_uri],
            "grant_types": ["authorization_code", *(["refresh_token"] if refreshes else [])],
        }
        told = json.loads(self._post("/reg", said))
        return told["client_id"], told["client_secret"]

    def close(self, email: str) -> None:
        """Shut a person out: introspection knows its tokens no more."""
        self._post("/close", {"email": email})

    def _post(self, path: str, said: dict[str, object]) -> str:
        request = urllib.request.Request(f"{self.issuer}{path}", json.dumps(said).encode(), method="POST")
        request.add_header("content-type", "application/json")
        with urllib.request.urlopen(request, timeout=30) as answer:
            return str(answer.read().decode())


def free_port() -> int:
    with socket.socket() as held:
        held.bind(("127.0.0.1", 0))
        return int(held.getsockname()[1])


@contextmanager
def running_provider(port: int) -> Iterator[IdentityProviderOfTests]:
    """A provider with keys of its own, as long as the block runs."""
    _install()
    node = shutil.which("node")
    if node is None:
        lacks("node: apt-get install --no-install-recommends npm")
    with subprocess.Popen(
        [node, "provider.mjs", str(port)],
        cwd=KEPT,
        stdout=subprocess.PIPE,
        stderr=subprocess.DEVNULL,
        text=True,
    ) as running:
        try:
            assert running.stdout is not None
            assert running.stdout.readline() == "ready\n", "the provider does not start"
            yield IdentityProviderOfTests(f"http://127.0.0.1:{port}")
        finally:
            running.terminate()


def _install() -> None:
    npm = shutil.which("npm")
    if npm is None:
        lacks("npm: apt-get install --no-install-recommends npm")
    KEPT.mkdir(parents=True, exist_ok=True)
    for name in ("package.json", "package-lock.json", "provider.mjs"):
        shutil.copyfile(HERE / name, KEPT / name)
    if not (KEPT / "node_modules" / "oidc-provider" / "package.json").exists():
        command = [npm, "ci", "--ignore-scripts", "--no-audit", "--no-fund", "--loglevel=error"]
        done = subprocess.run(command, cwd=KEPT, capture_output=True, text=True, check=False)
        if done.returncode:
            lacks(f"what npm brings: {done.stderr.strip()}")
