"""`usher demo`: it shows its address last, opens signed in, and finds a port."""

from __future__ import annotations

import json
import os
import re
import signal
import subprocess
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path

import httpx2

from tests.acceptance.cli_site import USHER, wait_for

LINK = re.compile(r"http://127\.0\.0\.1:(\d+)/console/demo/[\w-]+")


@contextmanager
def demo(folder: Path, name: str, ends: Sequence[signal.Signals] = (signal.SIGTERM,)) -> Iterator[Path]:
    """Run the demo in a terminal of 80 columns until `ends` are sent; yield the file that has what it prints."""
    environment = {key: value for key, value in os.environ.items() if not key.startswith(("USHER", "LIVEKIT"))}
    printed, scratch = folder / f"{name}.txt", folder / name
    scratch.mkdir()
    before = signal.signal(signal.SIGHUP, signal.SIG_DFL)  # inherited, and ignored where the tests run by `nohup`
    with printed.open("wb") as output:
        process = subprocess.Popen(
            [USHER, "demo"],
            cwd=folder,
            env={**environment, "COLUMNS": "80", "PYTHONUNBUFFERED": "1", "TMPDIR": str(scratch)},
            stdout=output,
            stderr=subprocess.STDOUT,
        )
    signal.signal(signal.SIGHUP, before)
    try:
        wait_for(lambda: process.poll() is not None or "Ctrl-C" in printed.read_text("utf-8"), "address of the demo")
        assert process.poll() is None, printed.read_text("utf-8")
        yield printed
    finally:
        for end in ends:
            process.send_signal(end)
        assert process.wait(60) == 0
    assert not list(scratch.iterdir())
    assert "Traceback" not in printed.read_text("utf-8")


def test_the_demo_ends_its_story_with_a_link_that_is_signed_in(tmp_path: Path) -> None:
    with demo(tmp_path, "first") as first, demo(tmp_path, "second", (signal.SIGHUP, signal.SIGHUP)) as second:
        texts = [first.read_text("utf-8"), second.read_text("utf-8")]
        links = [LINK.search(text) for text in texts]
        assert all(links)
        assert len({link[1] for link in links if link}) == 2  # two demos at once have two ports
        assert max(len(line) for text in texts for line in text.splitlines()) <= 80
        assert "\n".join(texts[0].splitlines()[-10:]).count("/console/demo/") == 1
        link = links[0]
        assert link is not None
        with httpx2.Client(follow_redirects=True, timeout=60) as browser:
            page = browser.get(link[0])
            assert page.status_code == 200
            assert page.url.path == "/console/"
            assert "Log out" in page.text
            calls = browser.get(f"http://127.0.0.1:{link[1]}/console/calls?state=no_show")
            assert "eve" in calls.text
            trends = browser.get(f"http://127.0.0.1:{link[1]}/console/trends?hours=168")
            figures = re.search("data-figures='([^']*)'", trends.text)
            assert figures is not None
            assert sum(point["calls"] for point in json.loads(figures[1])["points"]) > 300  # a week of history
        with httpx2.Client(timeout=60) as stranger:
            wrong = stranger.get(f"{link[0]}x")
            assert wrong.status_code == 404
            assert stranger.get(f"http://127.0.0.1:{link[1]}/console/").status_code == 303
