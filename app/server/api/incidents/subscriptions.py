"""Webhooks to programs over the API: subscriptions, their deliveries, test, resume, send again."""

from __future__ import annotations

from functools import partial
from typing import Any

from pydantic import BaseModel, Field

from app.incidents.messages.delivery import Delivery, list_deliveries, resend
from app.incidents.messages.subscription import (
    Subscription,
    add_subscription,
    change_subscription,
    delete_subscription,
    get_endpoint,
    get_subscription,
    list_subscriptions,
    resume_subscription,
)
from app.server.api.framework.endpoint import ApiRequest, Model, Text


class NewSubscription(Model):
    name: Text
    url: Text = Field(max_length=2000, description="http:// or https://; redirects are not followed")
    events: list[Text] | None = Field(None, description="null: all")
    enabled: bool = True


class SubscriptionChange(Model):
    name: Text | None = None
    url: Text | None = Field(None, max_length=2000)
    events: list[Text] | None = None
    enabled: bool | None = None


class SubscriptionList(BaseModel):
    items: list[Subscription]


class NewSecret(BaseModel):
    subscription: Subscription
    secret: str = Field(description="signs what is sent; it is not shown again")


class DeliveriesQuery(Model):
    limit: int = Field(50, ge=1, le=500)


class DeliveryList(BaseModel):
    items: list[Delivery]


async def list_the_subscriptions(request: ApiRequest) -> Any:
    return {"items": [one.to_json() for one in await request.context.read(list_subscriptions)]}


async def add_a_subscription(request: ApiRequest) -> Any:
    order: NewSubscription = request.body
    add = partial(add_subscription, values=order.model_dump(), by=request.user.name, now=request.context.now)
    made, secret = await request.context.write(add)
    return {"subscription": made.to_json(), "secret": secret}


async def change_a_subscription(request: ApiRequest) -> Any:
    order: SubscriptionChange = request.body
    given = order.model_dump(exclude_unset=True)
    values = {name: value for name, value in given.items() if value is not None or name == "events"}
    return (await request.context.write(partial(change_subscription, values=values, **_who(request)))).to_json()


async def resume_a_subscription(request: ApiRequest) -> Any:
    return (await request.context.write(partial(resume_subscription, **_who(request)))).to_json()


async def delete_a_subscription(request: ApiRequest) -> Any:
    return (await request.context.write(partial(delete_subscription, **_who(request)))).to_json()


async def test_a_subscription(request: ApiRequest) -> Any:
    endpoint = await request.context.read(partial(get_endpoint, subscription_id=request.identifier("subscription_id")))
    return (await request.context.orchestrator.messages.try_endpoint(endpoint)).to_json()


async def list_the_deliveries(request: ApiRequest) -> Any:
    subscription_id, query = request.identifier("subscription_id"), request.query

    def load(connection: Any) -> list[Delivery]:
        get_subscription(connection, subscription_id)
        return list_deliveries(connection, subscription_id, limit=query.limit)

    return {"items": [one.to_json() for one in await request.context.read(load)]}


async def resend_a_delivery(request: ApiRequest) -> Any:
    by, now = request.user.name, request.context.now
    again = partial(resend, delivery_id=request.identifier("delivery_id"), by=by, now=now)
    subscription_id = await request.context.write(again)
    return (await request.context.read(partial(get_subscription, subscription_id=subscription_id))).to_json()


def _who(request: ApiRequest) -> dict[str, Any]:
    by, now = request.user.name, request.context.now
    return {"subscription_id": request.identifier("subscription_id"), "by": by, "now": now}
