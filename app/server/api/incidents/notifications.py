"""Channels of people over the API: list, add, change, delete, test."""

from __future__ import annotations

from functools import partial
from typing import Annotated, Any

from pydantic import BaseModel, Field

from app.incidents.messages.channel import (
    Notification,
    add_notification,
    change_notification,
    delete_notification,
    get_channel,
    list_notifications,
)
from app.server.api.framework.endpoint import ApiRequest, Model, Text

_Url = Annotated[Text, Field(max_length=4000, description="Apprise URL; a secret that is not shown again")]


class NewNotification(Model):
    name: Text
    url: _Url
    enabled: bool = True
    kinds: list[Text] | None = Field(None, description="kinds of incidents; null: all")
    quiet_hours: Text | None = Field(None, description="OpenStreetMap opening hours in which nothing is sent")
    timezone: Text = "UTC"


class NotificationChange(Model):
    url: _Url | None = None
    enabled: bool | None = None
    kinds: list[Text] | None = None
    quiet_hours: Text | None = None
    timezone: Text | None = None


class NotificationList(BaseModel):
    items: list[Notification]


class TestResult(BaseModel):
    delivered: bool
    text: str = Field(description="why not; empty if it was")
    status: int | None = Field(description="of HTTP, where the receiver is a program")
    milliseconds: int


async def list_the_notifications(request: ApiRequest) -> Any:
    return {"items": [one.to_json() for one in await request.context.read(list_notifications)]}


async def add_a_notification(request: ApiRequest) -> Any:
    order: NewNotification = request.body
    add = partial(add_notification, values=order.model_dump(), by=request.user.name, now=request.context.now)
    return (await request.context.write(add)).to_json()


async def change_a_notification(request: ApiRequest) -> Any:
    order: NotificationChange = request.body
    nullable = {"kinds", "quiet_hours"}
    given = order.model_dump(exclude_unset=True)
    values = {name: value for name, value in given.items() if value is not None or name in nullable}
    change = partial(
        change_notification,
        name=request.identifier("name"),
        values=values,
        by=request.user.name,
        now=request.context.now,
    )
    return (await request.context.write(change)).to_json()


async def delete_a_notification(request: ApiRequest) -> Any:
    name, by, now = request.identifier("name"), request.user.name, request.context.now
    return (await request.context.write(partial(delete_notification, name=name, by=by, now=now))).to_json()


async def test_a_notification(request: ApiRequest) -> Any:
    channel = await request.context.read(partial(get_channel, name=request.identifier("name")))
    return (await request.context.orchestrator.messages.try_channel(channel)).to_json()
