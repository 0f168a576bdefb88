from __future__ import annotations

import json
import logging
from typing import Literal

import pytest

from app.logs import LineSampler, configure_logs, get_logger


def _fail(password: str) -> None:
    raise ValueError(len(password))


def _fail_about(text: str) -> None:
    raise ValueError(text)


@pytest.mark.parametrize("log_format", ["console", "json"])
def test_no_secret_reaches_a_log(capsys: pytest.CaptureFixture[str], log_format: Literal["console", "json"]) -> None:
    configure_logs(log_format)
    log = get_logger("test")
    log.info("told", api_secret="hunter2", turnPassword="hunter2", event_id="EV_1")
    try:
        _fail("".join(["hunter", "2"]))  # noqa: FLY002 - tracebacks quote source lines
    except ValueError:
        log.exception("failed")
        logging.getLogger("some.library").exception("failed")
    written = capsys.readouterr().err
    assert "hunter2" not in written
    assert "EV_1" in written
    assert "ValueError" in written


def test_json_logs_are_one_document_a_line(capsys: pytest.CaptureFixture[str]) -> None:
    configure_logs("json")
    get_logger("test").warning("told", dispatch_id="x")
    logging.getLogger("some.library").warning("from elsewhere")
    lines = [json.loads(line) for line in capsys.readouterr().err.splitlines()]
    assert [line["event"] for line in lines] == ["told", "from elsewhere"]
    assert lines[0]["dispatch_id"] == "x"
    assert all({"level", "timestamp"} <= line.keys() for line in lines)


HOSTILE = "room\x1b[2J\x9b1A\x7f\u202eevil"


def test_control_characters_of_callers_do_not_reach_the_log(capsys: pytest.CaptureFixture[str]) -> None:
    configure_logs("console")
    get_logger("test").warning("joined", room=HOSTILE, rooms=[HOSTILE])
    logging.getLogger("some.library").warning("about %s", HOSTILE)
    try:
        _fail_about(HOSTILE)
    except ValueError:
        logging.getLogger("some.library").exception("failed")
    written = capsys.readouterr().err
    assert [hex(ord(char)) for char in written if char != "\n" and not char.isprintable()] == []
    assert written.count(r"room\x1b[2J\x9b1A\x7f\u202eevil") == 4


def test_letters_of_any_language_are_written_as_they_are(capsys: pytest.CaptureFixture[str]) -> None:
    configure_logs("console")
    get_logger("test").warning("joined", room="señor-客服-ü")
    assert "room=señor-客服-ü" in capsys.readouterr().err


def test_a_kind_of_line_that_anybody_can_cause_is_sampled() -> None:
    sampler = LineSampler()
    assert [sampler.admit("malformed", 0.0) for _ in range(12)] == [0] * 10 + [None, None]
    assert sampler.admit("bad_signature", 0.0) == 0  # each kind has its own share
    assert [sampler.admit("malformed", 3600.0) for _ in range(2)] == [2, 0]


def test_kinds_made_of_data_share_one_bucket() -> None:
    sampler = LineSampler()
    admitted = [sampler.admit(f"kind {number}", 0.0) for number in range(1000)]
    assert sum(one is not None for one in admitted) == 110


def test_requests_that_are_no_http_do_not_fill_the_log(
    capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    # A server that another test has started may have left them otherwise.
    for name in ("uvicorn", "uvicorn.error"):
        for attribute, value in (("disabled", False), ("level", logging.NOTSET), ("propagate", True), ("_cache", {})):
            monkeypatch.setattr(logging.getLogger(name), attribute, value)
        monkeypatch.setattr(logging.getLogger(name), "handlers", [])
    configure_logs("json")
    for _ in range(500):
        logging.getLogger("uvicorn.error").warning("Invalid HTTP request received.")
    logging.getLogger("uvicorn.error").error("Exception in ASGI application")
    lines = capsys.readouterr().err.splitlines()
    assert len(lines) == 11
    assert "Exception in ASGI application" in lines[-1]
