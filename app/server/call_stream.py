"""Lists of calls as files, for API and console, and what both take to choose calls."""

from __future__ import annotations

from collections.abc import AsyncIterator
from typing import Final

from starlette.responses import Response, StreamingResponse

from app.audit import CONTENT_TYPES, CallFilter, CallHead, ExportFormat, Page, export_calls, list_calls
from app.server.request_context import RequestContext

METADATA_PATTERN: Final = r"^[^=\x00]{1,100}=[^\x00]{0,200}$"
"""A top-level field of metadata and its value."""
_AT_ONCE: Final = 500  # calls in memory


async def stream_calls(
    context: RequestContext, chosen: CallFilter, format_: ExportFormat, *, cursor: str | None = None
) -> Response:
    """Return all calls that match, as a file; raises what the first page raises, before the answer begins."""

    async def page_after(place: str | None) -> Page[CallHead]:
        return await context.read(lambda connection: list_calls(connection, chosen, limit=_AT_ONCE, cursor=place))

    first = await page_after(cursor)

    async def lines() -> AsyncIterator[str]:
        page, is_first = first, True
        while True:
            yield "".join(export_calls(page.items, format_, with_header=is_first))
            if page.next_cursor is None:
                return
            page, is_first = await page_after(page.next_cursor), False

    name = f"calls-{context.now:%Y%m%dT%H%M%SZ}.{format_}"
    headers = {"Content-Disposition": f'attachment; filename="{name}"'}
    return StreamingResponse(lines(), media_type=CONTENT_TYPES[format_], headers=headers)
