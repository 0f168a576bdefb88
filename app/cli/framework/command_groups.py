"""The commands of each group with their lines in its help, so that the help is shown without importing them.

The modules of a group import the database and most of what reads and writes it: three times as many modules as the
help needs.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Final, NamedTuple


class Group(NamedTuple):
    """What the help of a group shows: its own text, and the first paragraph about each command."""

    help: str
    commands: Mapping[str, str]


GROUPS: Final[Mapping[str, Group]] = {
    "migrate": Group(
        "Upgrade, downgrade or check the database schema.",
        {
            "up": "Upgrade the schema to the version that this Usher needs.",
            "down": (
                "Downgrade the schema: says what would be lost, and asks; refused while a server runs with the "
                "database."
            ),
            "check": "Check that the schema is one that this Usher works with; exit 1 if not.",
        },
    ),
    "rules": Group(
        "The routing rules.",
        {
            "test": (
                "Test whether a rule serves an event, and show why not or the agent's metadata; exit 1 if it does not."
            ),
            "check": "Check whether a rules file can be applied; prints one line for each mistake. Needs no database.",
            "pause": "Pause a rule: it is not in force before the moment, and resumes by itself.",
            "resume": "End the pause of a rule now.",
            "undo": "Undo all changes of rules that were made together, such as by one `usher rules apply`.",
            "list": "List the rules in matching order.",
            "show": "Show all columns of one rule, and its latest change.",
            "export": "Write all rules, lookups and agents as a rules file; to apply it again changes nothing.",
            "apply": "Apply a rules file in one transaction and show the difference; rules are identified by name.",
            "history": (
                "Show the changes of rules, newest first; the number is the version of the rules after the change."
            ),
            "revert": "Restore all rules, or one, as they were at a version; the restoration is recorded as a change.",
        },
    ),
    "lookups": Group(
        "Questions to your own systems before rules are evaluated.",
        {
            "list": "List the lookups, with what keeps one from being asked.",
            "test": "Ask a lookup about an event from this machine, and show the answer; exit 1 if there is none.",
        },
    ),
    "agents": Group(
        "Agents: their limits, and whether they are in service.",
        {
            "list": (
                "List the agents that were asked for, probed, or that something is set for, with their calls and "
                "queues."
            ),
            "pause": (
                "Take an agent out of service: it is not asked, but its substitute or the fallbacks of the rule are."
            ),
            "resume": (
                "Put an agent back into service, with the substitute and note it had before; exit 1 if it is in "
                "service."
            ),
            "limit": "Limit how many calls an agent takes, or remove a limit; without options show the limits.",
            "forget": (
                "Delete what is set for an agent, and its probes, such as one whose name was mistyped; its "
                "history stays."
            ),
            "history": "List who changed what of agents, the latest first; exit 1 if nothing was ever changed.",
        },
    ),
    "events": Group(
        "Events from webhooks and from the sweep: list, show, export, replay.",
        {
            "list": "List events, newest first.",
            "show": "Show one event and its whole call, step by step.",
            "export": "Write all events that match, newest first, as CSV or JSON lines.",
            "replay": (
                "Retry stored events with the current rules, by id or by options; callers that have left "
                "meanwhile are skipped."
            ),
        },
    ),
    "calls": Group(
        "Calls of participants: find, list, export.",
        {
            "views": "List saved views of the list of calls; with --server, those that the token's user sees.",
            "save-view": (
                "Save filters of the list of calls under a name; --replace changes the view that has the name already."
            ),
            "delete-view": "Delete a saved view: one of the user's own or, for admins, a shared one.",
            "list": "List calls, newest first; `usher explain CALL` says what happened in one.",
            "export": "Write all calls that match, newest first, as CSV or JSON lines.",
        },
    ),
    "dispatches": Group(
        "Dispatches of agents to callers: list, show, export, cancel, redrive.",
        {
            "list": "List dispatches, newest first.",
            "show": "Show one dispatch and its whole call, step by step.",
            "export": "Write all dispatches that match, newest first, as CSV or JSON lines.",
            "cancel": (
                "Cancel dispatches that wait for their agent, by id or by options; those that were sent are "
                "deleted at LiveKit."
            ),
            "redrive": (
                "Retry dispatches that ended without an agent, by id or by options, with metadata made by the "
                "current rule."
            ),
        },
    ),
    "incidents": Group(
        "What is wrong now, and what was.",
        {
            "list": "List incidents, newest first; exit 1 if one is open that is not muted.",
            "mute": "Keep an open incident out of banners, alerts and notifications for a while.",
            "unmute": "End the mute of an incident.",
        },
    ),
    "notifications": Group(
        "Who is notified of incidents.",
        {
            "list": "List the channels of people and the webhooks to programs, without their secrets.",
            "test": "Send a test message to channels, and say what came of it; exit 1 if one fails.",
        },
    ),
    "users": Group(
        "Users of the console, their sessions and API tokens.",
        {
            "token": "Create an API token and print it once; only its hash is stored.",
            "tokens": "List API tokens, newest first, without their secrets.",
            "revoke": "Revoke a token, with immediate effect.",
            "logins": (
                "List logins, failed logins and refused requests, newest first; equal ones of a minute are one row."
            ),
            "sessions": "List the sessions of the console, last used first.",
            "end-session": "End a session, with immediate effect.",
            "logout": "End all sessions of a user; unused links to choose a password become invalid, too.",
            "list": "List users by name.",
            "add": "Add a user and print a link for choosing a password, unless one is given.",
            "password": (
                "Print a link for choosing a new password, or set the one given, which ends all sessions of the user."
            ),
            "role": "Change the role of a user.",
            "projects": "Restrict a user to LiveKit projects: only their calls and rules can be seen and changed.",
            "disable": "Disable a user, with all sessions and tokens, at once.",
            "enable": "Enable a user again.",
            "delete": "Delete a user, with all sessions and tokens; histories keep the name.",
        },
    ),
    "people": Group(
        "What is stored about one person: export it, erase it.",
        {
            "export": "Write everything that is stored about a person, always as JSON.",
            "reads": "List which user read which call or person; recorded while USHER_READS_RETENTION_DAYS is set.",
            "erase": (
                "Erase a person: identity, names, numbers and metadata; counts and statistics stay true. There is"
                " no way back."
            ),
        },
    ),
}
