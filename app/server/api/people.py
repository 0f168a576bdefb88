"""What is stored about one person, over the API: export and erase."""

from __future__ import annotations

from typing import Any

from pydantic import BaseModel, Field
from sqlalchemy import Connection

from app.accounts.reads import ReadPage, list_reads
from app.audit import export_person, find_person, rows_about
from app.db.record_ids import ID_PATTERN
from app.errors import NotFoundError, names_meant
from app.flows.erase.erase import Access, erase_person
from app.server.api.framework.endpoint import ApiRequest, Model, Text


class PersonOrder(Model):
    person: Text = Field(min_length=1, max_length=600, description="an identity, or a phone number in any spelling")
    project: Text | None = Field(None, description="only in this LiveKit project")


class EraseOrder(PersonOrder):
    dry_run: bool = Field(default=False, description="count what would be erased, erase nothing")


class PersonExport(BaseModel):
    person: str
    phone_number: str | None
    project: str | None
    exported_at: str
    identities: list[str]
    phone_numbers: list[str] = Field(description="as they are stored")
    events: list[dict[str, Any]]
    dispatches: list[dict[str, Any]]
    token_dispatches: list[dict[str, Any]]
    audit_log: list[dict[str, Any]]
    rules_that_name_the_person: list[str]
    in_a_call_in: list[str] = Field(description="names of rooms")


class Erased(BaseModel):
    events: int
    events_of_others: int = Field(description="of the same rooms: names and numbers of the person were replaced there")
    dispatches: int
    dispatches_of_others: int
    token_dispatches: int
    audit_lines: int = Field(description="lines of the audit log that were searched for names")
    rules_that_name_the_person: list[str] = Field(description="they stay: operators wrote them")
    in_a_call_in: list[str] = Field(description="names of rooms; not empty only with `dry_run`")
    dry_run: bool


class ReadsQuery(Model):
    user: Text | None = Field(None, description="name of the user who read")
    subject: Text | None = Field(None, description="exact id, identity or number that was asked for")
    limit: int = Field(50, ge=1, le=200)
    cursor: Text | None = Field(None, description="`next_cursor` of the previous page", pattern=f"^{ID_PATTERN}$")


async def list_the_reads(request: ApiRequest) -> ReadPage:
    query: ReadsQuery = request.query
    return await request.context.read(
        lambda connection: list_reads(
            connection, user=query.user, subject=query.subject, limit=query.limit, cursor=query.cursor
        )
    )


async def export_a_person(request: ApiRequest) -> dict[str, Any]:
    order: PersonOrder = request.body
    now = request.context.now

    def load(connection: Connection) -> dict[str, Any]:
        person = find_person(connection, order.person, order.project)
        rows = rows_about(connection, person, now)
        if rows.is_empty:
            raise NotFoundError("nothing is stored about this person")
        return export_person(connection, person, rows, now)

    return await request.context.read(load)


async def erase_a_person(request: ApiRequest) -> dict[str, Any]:
    order: EraseOrder = request.body
    context = request.context
    access = Access(context.read, context.write)
    erased = await erase_person(
        access,
        order.person,
        by=request.user.name,
        now=context.now,
        project=order.project,
        dry_run=order.dry_run,
    )
    known, is_empty = context.project_names, not (erased.events or erased.dispatches or erased.token_dispatches)
    if is_empty and order.project and known and order.project not in known:
        # Nothing was stored: a program must not take a misspelt project for one that has been cleaned.
        hint = names_meant(order.project, known)
        raise NotFoundError(f"no LiveKit project {order.project!r} is configured{hint}")
    return erased.to_json()
