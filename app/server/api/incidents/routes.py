"""The endpoints of incidents, notifications and webhooks to programs."""

from __future__ import annotations

from typing import Final

from app.accounts.roles import Role
from app.incidents import Incident
from app.incidents.messages.channel import Notification
from app.incidents.messages.subscription import Subscription
from app.server.api.framework.endpoint import Endpoint
from app.server.api.incidents import incidents, notifications, subscriptions

_V1 = "/api/v1"
_NOTIFICATION = f"{_V1}/notifications/{{name}}"
_SUBSCRIPTION = f"{_V1}/webhook-subscriptions/{{subscription_id}}"

INCIDENT_ENDPOINTS: Final[tuple[Endpoint, ...]] = (
    Endpoint("GET", f"{_V1}/incidents", incidents.list_the_incidents, "List incidents, newest first",
             incidents.IncidentPage, query=incidents.IncidentsQuery, by_project=True),
    Endpoint("GET", f"{_V1}/incidents/{{incident_id}}", incidents.read_incident, "Read an incident", Incident,
             by_project=True),
    Endpoint("POST", f"{_V1}/incidents/{{incident_id}}/mute", incidents.mute_an_incident,
             "Keep an incident out of banners, alerts and notifications for a while", Incident,
             body=incidents.MuteOrder, role=Role.EDITOR, problems=(409,), example={"minutes": 480}, by_project=True),
    Endpoint("POST", f"{_V1}/incidents/{{incident_id}}/unmute", incidents.unmute_an_incident,
             "End the mute of an incident", Incident, role=Role.EDITOR, problems=(409,), by_project=True),
    Endpoint("GET", f"{_V1}/notifications", notifications.list_the_notifications,
             "List the channels that people are notified by", notifications.NotificationList, role=Role.ADMIN),
    Endpoint("POST", f"{_V1}/notifications", notifications.add_a_notification, "Add a channel",
             Notification, status=201, body=notifications.NewNotification, role=Role.ADMIN, problems=(409,),
             quotes_body=False, example={"name": "on call", "url": "jsons://alerts.example.com/usher"}),
    Endpoint("PATCH", _NOTIFICATION, notifications.change_a_notification, "Change a channel", Notification,
             body=notifications.NotificationChange, role=Role.ADMIN, quotes_body=False),
    Endpoint("DELETE", _NOTIFICATION, notifications.delete_a_notification, "Delete a channel", Notification,
             role=Role.ADMIN),
    Endpoint("POST", f"{_NOTIFICATION}/test", notifications.test_a_notification, "Send a test message to a channel",
             notifications.TestResult, role=Role.ADMIN),
    Endpoint("GET", f"{_V1}/webhook-subscriptions", subscriptions.list_the_subscriptions,
             "List the programs that get webhooks", subscriptions.SubscriptionList, role=Role.ADMIN),
    Endpoint("POST", f"{_V1}/webhook-subscriptions", subscriptions.add_a_subscription,
             "Send webhooks to a program", subscriptions.NewSecret, status=201, body=subscriptions.NewSubscription,
             role=Role.ADMIN, problems=(409,), quotes_body=False,
             example={"name": "crm", "url": "https://crm.example.com/usher", "events": ["call.no_show"]}),
    Endpoint("PATCH", _SUBSCRIPTION, subscriptions.change_a_subscription, "Change a subscription",
             Subscription, body=subscriptions.SubscriptionChange, role=Role.ADMIN, problems=(409,), quotes_body=False),
    Endpoint("DELETE", _SUBSCRIPTION, subscriptions.delete_a_subscription,
             "Delete a subscription with its deliveries", Subscription, role=Role.ADMIN),
    Endpoint("POST", f"{_SUBSCRIPTION}/test", subscriptions.test_a_subscription, "Send a test webhook",
             notifications.TestResult, role=Role.ADMIN),
    Endpoint("POST", f"{_SUBSCRIPTION}/resume", subscriptions.resume_a_subscription,
             "Send webhooks again to a subscription that was paused", Subscription, role=Role.ADMIN),
    Endpoint("GET", f"{_SUBSCRIPTION}/deliveries", subscriptions.list_the_deliveries,
             "List the latest deliveries to a program, with their attempts", subscriptions.DeliveryList,
             query=subscriptions.DeliveriesQuery, role=Role.ADMIN),
    Endpoint("POST", f"{_V1}/webhook-deliveries/{{delivery_id}}/resend", subscriptions.resend_a_delivery,
             "Send a delivery again", Subscription, role=Role.ADMIN, problems=(409,)),
)  # fmt: skip
