from __future__ import annotations

import json
import logging
from collections.abc import Iterator
from typing import Literal

import pytest
import structlog

from app.logs import configure_logs, get_logger


@pytest.fixture(autouse=True)
def _restore_logging() -> Iterator[None]:
    root = logging.getLogger()
    handlers, level = root.handlers[:], root.level
    yield
    root.handlers, root.level = handlers, level
    structlog.reset_defaults()


def _fail(password: str) -> None:
    raise ValueError(len(password))


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
