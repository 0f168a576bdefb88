"""Usher as its users install it: built, and put into an environment of its own outside of the repository."""

from __future__ import annotations

import json
import subprocess
import sys
import tarfile
import zipfile
from pathlib import Path

import httpx2
import pytest

from tests.harness.polling import eventually
from tests.harness.ports import LOOPBACK, accepts_connections, free_ports
from tests.harness.process import Process

ROOT = Path(__file__).parents[2]
UV = Path(sys.executable).with_name("uv")
SIGNED_BY_HAND = {"LIVEKIT_URL": "ws://127.0.0.1:1", "LIVEKIT_API_KEY": "devkey", "LIVEKIT_API_SECRET": "s" * 40}


def uv(*arguments: str | Path) -> None:
    done = subprocess.run([UV, *arguments], capture_output=True, text=True, timeout=300, check=False)
    assert done.returncode == 0, done.stderr


@pytest.fixture(scope="module")
def distributions(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Return a folder with the sdist of the repository, and the wheel made of that sdist."""
    folder = tmp_path_factory.mktemp("dist")
    uv("build", "--quiet", "--out-dir", folder, ROOT)
    return folder


@pytest.fixture(scope="module")
def wheel(distributions: Path) -> Path:
    (wheel,) = distributions.glob("livekit_usher-*.whl")
    return wheel


@pytest.fixture(scope="module")
def programs(wheel: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Return the folder of programs of an environment that holds the wheel and what it requires."""
    environment = tmp_path_factory.mktemp("installed") / "venv"
    uv("venv", "--quiet", "--python", sys.executable, environment)
    uv("pip", "install", "--quiet", "--python", environment, wheel)
    return environment / "bin"


def shipped(folder: str) -> set[str]:
    found = (path for path in (ROOT / folder).rglob("*") if path.is_file() and "__pycache__" not in path.parts)
    return {str(path.relative_to(ROOT)) for path in found}


def test_the_wheel_holds_the_package_with_migrations_inside_and_nothing_else(wheel: Path) -> None:
    with zipfile.ZipFile(wheel) as archive:
        names = {name for name in archive.namelist() if ".dist-info/" not in name}
    assert names == shipped("app") | {f"app/{name}" for name in shipped("migrations")}


def test_the_sdist_holds_what_the_wheel_is_made_of(distributions: Path) -> None:
    (sdist,) = distributions.glob("livekit_usher-*.tar.gz")
    with tarfile.open(sdist) as archive:
        names = {name.partition("/")[2] for name in archive.getnames()}
    assert shipped("app") | shipped("migrations") | {"pyproject.toml", "README.md", "LICENSE"} <= names
    assert not {name for name in names if name.startswith(("tests", ".github", ".venv", ".cache"))}


class Installed:
    """The installed `usher`, run in a folder that knows nothing of the repository."""

    def __init__(self, program: Path, folder: Path) -> None:
        self.program = program
        self.folder = folder
        self.port = free_ports(1)[0]
        self.environment = {
            **SIGNED_BY_HAND,
            "DATABASE_URL": "sqlite:///usher.db",
            "USHER_HOST": LOOPBACK,
            "USHER_PORT": str(self.port),
        }

    def run(self, *arguments: str) -> str:
        done = subprocess.run(
            [self.program, *arguments],
            cwd=self.folder,
            env={"PATH": "/usr/bin:/bin", "HOME": str(self.folder), **self.environment},
            capture_output=True,
            text=True,
            timeout=120,
            check=False,
        )
        assert done.returncode == 0, done.stdout + done.stderr
        return done.stdout


@pytest.fixture
def installed(programs: Path, tmp_path: Path) -> Installed:
    for name in ("app", "migrations"):  # the names that a stranger's project may have, too
        (tmp_path / name).mkdir()
        (tmp_path / name / "__init__.py").write_text("raise RuntimeError('not part of Usher')\n", "utf-8")
    return Installed(programs / "usher", tmp_path)


def test_the_version_is_printed(installed: Installed, wheel: Path) -> None:
    assert installed.run("--version") == f"usher {wheel.name.split('-')[1]}\n"


def test_the_schema_is_migrated_a_webhook_is_answered_and_the_documentation_is_served(installed: Installed) -> None:
    assert "schema is at" in installed.run("migrate", "up")
    serve = Process(
        "usher", [installed.program, "serve"], directory=installed.folder, environment=installed.environment
    )
    serve.start()
    try:
        eventually(lambda: accepts_connections(installed.port), within=30, what="usher serve listens")
        url = f"http://{LOOPBACK}:{installed.port}"
        installed.run("trigger", "participant_joined", "--identity", "ana", "--room", "hall", "--url", url)
        documentation = httpx2.get(f"{url}/docs/reference/settings", timeout=60)
    finally:
        serve.stop()
    (event,) = json.loads(installed.run("events", "list", "--json"))
    assert (event["type"], event["participant_identity"]) == ("participant_joined", "ana")
    assert (documentation.status_code, "USHER_PUBLIC_URL" in documentation.text) == (200, True)


def test_the_demo_serves_every_caller(installed: Installed) -> None:
    assert "ana" in installed.run("demo", "--once")
