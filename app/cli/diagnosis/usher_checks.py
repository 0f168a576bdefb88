"""Whether Usher's own parts work: database, schema, rules, users, the service, its public URL."""

from __future__ import annotations

import json
import warnings

import aiohttp
from jwt.warnings import InsecureKeyLengthWarning
from sqlalchemy import Connection

from app.accounts.users import count_users
from app.cli.diagnosis.finding import Finding, failed, ok, warning
from app.cli.framework.database import database_url, reading
from app.clock import new_id
from app.db import schema
from app.db.engine import is_embedded
from app.db.engine.private_file import read_only_folder
from app.errors import DatabaseUnavailableError, SchemaMismatchError
from app.incidents.facts.bad_rows import bad_times_of_rules, read_bad_rows
from app.livekit.fabricated_webhook import sign
from app.rules.book.read_book import read_book
from app.settings import Project, Settings, local_url, shown_database_url

_TIMEOUT_S = 10.0
_READY = "/readyz"


def database_findings(settings: Settings) -> list[Finding]:
    """Return findings about the database, its schema, and what is in it."""
    url = database_url(settings)
    shown = shown_database_url(url)
    folder = read_only_folder(url.database or "") if is_embedded(url) else None
    if folder is not None:
        remedy = "make it writable, or set DATABASE_URL to a file elsewhere"
        return [failed("database", f"{shown} cannot be used: the file system of {folder} is read-only", remedy)]
    try:
        with reading(settings) as connection:
            findings = [ok("database", f"{shown} answers"), ok("schema", schema.describe(connection))]
            return [*findings, *_of_contents(connection)]
    except SchemaMismatchError as error:
        return [ok("database", f"{shown} can be used"), failed("schema", str(error), "run: usher migrate up")]
    except DatabaseUnavailableError as error:
        remedy = "may it and its folder be read and written?" if is_embedded(url) else "is it running?"
        return [failed("database", str(error), f"{remedy} Is DATABASE_URL right?")]


def _of_contents(connection: Connection) -> list[Finding]:
    book = read_book(connection)
    findings = []
    if book.bad:
        names = ", ".join(sorted(repr(one.name) for one in book.bad.values())[:5])
        remedy = "see what is wrong: usher rules list"
        findings.append(warning("rules", f"{len(book.bad)} of {len(book)} cannot be used: {names}", remedy))
    elif not len(book):
        remedy = "add one: usher rules apply FILE, or in the console"
        findings.append(warning("rules", "there are none, so no agent is dispatched", remedy))
    else:
        findings.append(ok("rules", f"{len(book)} can be used"))
    if book.lookups.bad:
        names = ", ".join(repr(one.name) for one in book.lookups.bad[:5])
        remedy = "see what is wrong: usher lookups list"
        findings.append(warning("lookups", f"{len(book.lookups.bad)} cannot be used: {names}", remedy))
    for row in [*read_bad_rows(connection), *bad_times_of_rules(connection)]:
        remedy = f"correct the table {row.table}, with SQL or in the console"
        findings.append(warning(row.table, f"{row.noun} {row.name!r}: {'; '.join(row.problems)}", remedy))
    if not count_users(connection):
        remedy = "open the link that usher serve logs, or run: usher users add NAME --role admin"
        findings.append(warning("users", "there are none, so the console cannot be used", remedy))
    return findings


async def service_findings(settings: Settings) -> list[Finding]:
    """Return findings about the Usher that runs here: whether it is ready, and takes webhooks of each key."""
    url = local_url(settings.host, settings.port)
    try:
        status, text = await _get(f"{url}{_READY}")
    except (aiohttp.ClientError, OSError, TimeoutError):
        remedy = "start it: usher serve; if it runs elsewhere, run usher doctor there, or set USHER_HOST and USHER_PORT"
        return [failed("service", f"no Usher answers at {url}", remedy)]
    findings = []
    if status == 200:
        findings.append(ok("service", f"Usher at {url} is ready"))
    else:
        findings.append(failed("service", f"Usher at {url} is not ready: {_why(text)}", "see its log, and /readyz"))
    return [*findings, *[await _webhook_is_taken(url, project, settings) for project in settings.projects]]


async def _webhook_is_taken(url: str, project: Project, settings: Settings) -> Finding:
    """Return whether the service takes a webhook signed with the key of a project; of a type that it ignores."""
    part = "signature" if len(settings.projects) == 1 else f"signature of {project.name}"
    body = json.dumps({"event": "usher_doctor", "id": f"EV_{new_id()}"}).encode()
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", InsecureKeyLengthWarning)  # reported by itself
        token = sign(body, project.api_key, project.api_secret.get_secret_value())
    headers = {"Authorization": token, "Content-Type": "application/webhook+json"}
    try:
        async with (
            _session() as session,
            session.post(f"{url}/livekit/webhook", data=body, headers=headers) as response,
        ):
            status, text = response.status, await response.text(errors="replace")
    except (aiohttp.ClientError, OSError, TimeoutError) as error:
        return failed(part, f"a webhook got no answer: {error}", "see Usher's log")
    if status == 200:
        return ok(part, f"a webhook signed with key {project.api_key} is taken")
    if status == 401:
        return failed(
            part,
            f"a webhook signed with key {project.api_key} is refused: {_why(text)}",
            "the service runs with other settings than this command: give both the same, and restart it",
        )
    return failed(part, f"a webhook is answered {status}: {_why(text)}", "see Usher's log")


async def public_url_finding(settings: Settings) -> Finding:
    """Return whether Usher is reached by its public URL."""
    if not settings.public_url:
        return warning(
            "public URL",
            "USHER_PUBLIC_URL is not set",
            "set it to the address by which people and LiveKit reach Usher: links are made of it",
        )
    address = f"{settings.public_url}/healthz"
    try:
        status, text = await _get(address)
    except (aiohttp.ClientError, OSError, TimeoutError) as error:
        remedy = "check DNS, certificate, and the reverse proxy; from inside of a network it may be unreachable"
        return failed("public URL", f"{settings.public_url} does not answer: {str(error) or 'no answer'}", remedy)
    if status == 200 and '"ok"' in text:
        return ok("public URL", f"{settings.public_url} leads to Usher")
    remedy = "let the reverse proxy pass all paths on to Usher"
    return failed("public URL", f"{address} is answered {status}, not as Usher answers", remedy)


async def _get(url: str) -> tuple[int, str]:
    async with _session() as session, session.get(url, allow_redirects=False) as response:
        return response.status, await response.text(errors="replace")


def _session() -> aiohttp.ClientSession:
    return aiohttp.ClientSession(timeout=aiohttp.ClientTimeout(total=_TIMEOUT_S))


def _why(text: str) -> str:
    """Return what an answer of Usher says: the detail of a problem, or of the database's state."""
    try:
        document = json.loads(text)
        database = document.get("database", {})
        return str(document.get("detail") or database.get("detail") or database.get("status") or text)[:300]
    except (ValueError, AttributeError):
        return text.strip()[:300]
