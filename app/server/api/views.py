"""Saved views of the list of calls over the API; they belong to the user of the token."""

from __future__ import annotations

from functools import partial
from typing import Annotated, Any, Final

from pydantic import BaseModel, Field

from app.accounts.roles import Role
from app.accounts.saved_views import (
    MAX_NAME_LENGTH,
    MAX_QUERY_LENGTH,
    SavedView,
    ViewUser,
    change_view,
    delete_view,
    list_views,
    read_view,
    save_view,
)
from app.server.api.framework.endpoint import ApiRequest, Endpoint, Model, Text

_Name = Annotated[Text, Field(min_length=1, max_length=MAX_NAME_LENGTH)]
_Query = Annotated[
    Text,
    Field(
        min_length=1,
        max_length=MAX_QUERY_LENGTH,
        description="filters as the address of the list of calls in the console has them",
    ),
]


class NewView(Model):
    name: _Name
    query: _Query
    shared: bool | None = Field(
        default=None, description="with everybody; default: no, or as before for a view that is replaced"
    )
    replace: bool = Field(default=False, description="the view that the user has under this name, if any")


class ViewChange(Model):
    name: _Name | None = None
    query: _Query | None = None
    shared: bool | None = None


class ViewList(BaseModel):
    items: list[SavedView]


async def list_the_views(request: ApiRequest) -> dict[str, Any]:
    views = await request.context.read(partial(list_views, user=_user(request)))
    return {"items": [view.to_json() for view in views]}


async def read_a_view(request: ApiRequest) -> dict[str, Any]:
    view = await request.context.read(partial(read_view, view_id=request.identifier("view_id"), user=_user(request)))
    return view.to_json()


async def save_a_view(request: ApiRequest) -> dict[str, Any]:
    order: NewView = request.body
    unit = partial(
        save_view,
        user=_user(request),
        name=order.name,
        query=order.query,
        now=request.context.now,
        shared=order.shared,
        replace=order.replace,
    )
    return (await request.context.write(unit)).to_json()


async def change_a_view(request: ApiRequest) -> dict[str, Any]:
    order: ViewChange = request.body
    unit = partial(
        change_view,
        view_id=request.identifier("view_id"),
        user=_user(request),
        now=request.context.now,
        name=order.name,
        query=order.query,
        shared=order.shared,
    )
    return (await request.context.write(unit)).to_json()


async def delete_a_view(request: ApiRequest) -> dict[str, Any]:
    unit = partial(delete_view, view_id=request.identifier("view_id"), user=_user(request), now=request.context.now)
    return (await request.context.write(unit)).to_json()


def _user(request: ApiRequest) -> ViewUser:
    user = request.user
    return ViewUser(user.user_id, user.name, user.role, user.projects)


_PATH: Final = "/api/v1/views"
_EXAMPLE: Final = {"name": "No-shows of support", "query": "outcome=no_agent&agent=support"}
_EDIT: Final[dict[str, Any]] = {"role": Role.EDITOR, "by_project": True}

VIEW_ENDPOINTS: Final = (
    Endpoint("GET", _PATH, list_the_views, "List saved views of the list of calls", ViewList, by_project=True,
             description="Those of the token's user, then those that others share."),
    Endpoint("POST", _PATH, save_a_view, "Save filters of the list of calls under a name", SavedView, status=201,
             body=NewView, problems=(409,), example=_EXAMPLE,
             description="For the token's user; 409 for a name that it has given already, unless `replace` is set. In"
             " the console viewers may save private views, too.", **_EDIT),
    Endpoint("GET", f"{_PATH}/{{view_id}}", read_a_view, "Read a saved view", SavedView, by_project=True),
    Endpoint("PATCH", f"{_PATH}/{{view_id}}", change_a_view, "Rename, change or share a saved view", SavedView,
             body=ViewChange, problems=(409,), example={"shared": True}, **_EDIT),
    Endpoint("DELETE", f"{_PATH}/{{view_id}}", delete_a_view, "Delete a saved view", SavedView, **_EDIT),
)  # fmt: skip
