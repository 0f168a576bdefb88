"""What the page after a form says was done, by the name in its address."""

from __future__ import annotations

from typing import Final

NOTICES: Final = {
    "saved": "Saved. The rule applies from the next webhook on.",
    "agent-saved": "Saved. It holds for the next call.",
    "agent-forgotten": "The agent is forgotten: nothing is set for it, and its probes are deleted.",
    "switched-on": "The rule is on, from the next webhook on.",
    "resumed": "The rule is not paused any more.",
    "moved": "Moved. The order holds from the next webhook on.",
    "deleted": "Deleted. It can be restored from its history.",
    "undone": "Undone. What was changed since stays.",
    "set-undone": "The change set was undone, as a change set of its own.",
    "reverted": "Restored.",
    "lookup-saved": "Saved. It is asked from the next join on.",
    "lookup-deleted": "Deleted.",
    "view-saved": "Saved. The view stands above the list of calls.",
    "view-changed": "The view was changed.",
    "view-deleted": "The view was deleted.",
    "redriven": "Dispatched again.",
    "cancelled": "Cancelled.",
    "cancelled-left-over": "Cancelled here. The dispatch stays at LiveKit, where an agent may still join: its project "
    "is not configured.",
    "refused": "Nothing was changed: the state of the dispatch has changed in the meantime.",
    "handed-over": "The agent is on its way; the first one stays until it is there.",
    "handed-over-unknown": "The agent is on its way. None of this name was dispatched before: if it does not come, "
    "the first one stays.",
    "replayed": "Retried with the current rules.",
    "channel-added": "The channel was added. Send it a test.",
    "channel-deleted": "The channel was deleted.",
    "program-resumed": "Webhooks are sent to it again.",
    "program-deleted": "The subscription was deleted, with its deliveries.",
    "resent": "It will be sent again within seconds.",
    "muted": "Muted: it is in no banner, alert or notification for that long.",
    "unmuted": "Not muted any more.",
    "user": "The user was changed.",
    "revoked": "The token has been revoked.",
    "password": "Your password was changed, and your other sessions have ended.",
    "confirmed": "You have confirmed who you are. Send the form again; it is not asked for within ten minutes.",
    "connected": "Your login at the provider is connected: you can log in through it.",
    "language": "The language was changed.",
    "logged-out": "Your other sessions have ended.",
    "session": "The session has ended.",
    "gone": "The user was deleted, with all sessions and tokens.",
}
