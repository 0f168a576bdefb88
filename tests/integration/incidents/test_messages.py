"""People and programs get each message at least once, whatever a receiver or a process does."""

from __future__ import annotations

import threading
from datetime import UTC, datetime
from typing import Any

import pytest
from sqlalchemy import Engine, event
from standardwebhooks import Webhook

from app.db.record_ids import lowest_id_at
from app.incidents.messages.delivery import SendOutcome
from app.livekit.vocabulary import DisconnectReason
from tests.conftest import Database
from tests.integration.incidents.incident_rows import a_token, ask, document, incidents, until_closed, until_open
from tests.world.receivers import Post
from tests.world.virtual_time import in_virtual_time
from tests.world.world import World

SECRET = "whsec_" + "QUJDREVGR0hJSktMTU5PUFFSU1RVVldYWVo="
PEOPLE, PROGRAM = "slack://token-a/token-b/token-c", "https://crm.test/hook"
REFUSED = SendOutcome(delivered=False, text="HTTP 500", status=500)
BROKEN = {"room": "not a list"}


def channel(database: Database, name: str = "ops", url: str = PEOPLE, **columns: Any) -> None:
    row = {"name": name, "url": url, **columns}
    names, places = ", ".join(row), ", ".join(f":{key}" for key in row)
    database.execute(f"INSERT INTO notifications ({names}) VALUES ({places})", **row)


def subscription(database: Database, events: str | None = None, url: str = PROGRAM, name: str = "crm") -> None:
    database.execute(
        "INSERT INTO webhook_subscriptions (id, name, url, secret, events) "
        "VALUES (:name, :name, :url, :secret, :events)",
        name=name,
        url=url,
        secret=SECRET,
        events=events,
    )


def types(posts: list[Post]) -> list[str]:
    return [one.type for one in posts]


@in_virtual_time
async def test_people_get_one_message_when_an_incident_opens_and_one_when_it_closes(database: Database) -> None:
    channel(database)
    settings = {"USHER_PUBLIC_URL": "https://usher.test", "USHER_NOTIFY_URLS": "json://ops.test"}
    async with World(database, settings=settings) as world:
        world.rule(name="odd", pattern=BROKEN)
        row = await until_open(world, "rule_broken")
        notices = world.receivers.notices
        await world.until(lambda: len(notices) == 2, within=10)
        assert {one.url for one in notices} == {PEOPLE, "json://ops.test"}
        assert notices[0].title.startswith("Usher: Rule 'odd' cannot be used")
        assert f"https://usher.test/console/incidents#{row['id']}" in notices[0].text
        database.execute("UPDATE routing_rules SET enabled = false")
        await until_closed(world, "rule_broken", within=15)
        await world.until(lambda: len(notices) == 4, within=10)
        assert [one.is_open for one in notices] == [True, True, False, False]
        await world.wait(60)
        assert len(notices) == 4


@in_virtual_time
async def test_two_replicas_send_one_message(postgres_database: Database) -> None:
    channel(postgres_database)
    subscription(postgres_database)
    async with World(postgres_database, replicas=2) as world:
        world.rule(name="odd", pattern=BROKEN)
        await world.until(lambda: world.receivers.notices and world.receivers.posts, within=30)
        await world.wait(60)
        assert (len(world.receivers.notices), types(world.receivers.posts)) == (1, ["incident.opened"])


@pytest.mark.parametrize(
    ("columns", "expected"),
    [
        ({"kinds": '["no_show"]'}, 0),
        ({"kinds": '["rule_broken"]'}, 1),
        ({"enabled": False}, 0),
        ({"quiet_hours": "24/7"}, 0),
        ({"quiet_hours": "no such hours"}, 2),  # of the rule, and of the channel itself
    ],
)
@in_virtual_time
async def test_a_channel_gets_what_it_asked_for(
    sqlite_database: Database, columns: dict[str, Any], expected: int
) -> None:
    channel(sqlite_database, **columns)
    async with World(sqlite_database) as world:
        world.rule(name="odd", pattern=BROKEN)
        await until_open(world, "rule_broken", subject="odd")
        await world.wait(15)
        assert len(world.receivers.notices) == expected


@in_virtual_time
async def test_the_end_of_quiet_hours_and_of_a_mute_sends_what_is_still_wrong(sqlite_database: Database) -> None:
    channel(sqlite_database, quiet_hours="24/7")
    async with World(sqlite_database) as world:
        world.rule(name="odd", pattern=BROKEN)
        await until_open(world, "rule_broken")
        until = datetime.now(UTC).replace(year=2100).isoformat()
        sqlite_database.execute("UPDATE incidents SET muted_until = :until", until=until)
        sqlite_database.execute("UPDATE notifications SET quiet_hours = NULL")
        await world.wait(15)
        assert world.receivers.notices == []
        sqlite_database.execute("UPDATE incidents SET muted_until = NULL")
        await world.until(lambda: len(world.receivers.notices) == 1, within=15)


@in_virtual_time
async def test_a_channel_that_fails_is_tried_again_and_one_that_hangs_holds_up_no_other(
    sqlite_database: Database,
) -> None:
    channel(sqlite_database, "failing", "slack://failing")
    channel(sqlite_database, "hanging", "slack://hanging")
    channel(sqlite_database, "good", "slack://good")
    async with World(sqlite_database) as world:
        receivers = world.receivers
        receivers.failing["slack://failing"] = SendOutcome(delivered=False, text="the channel reports a failure")
        receivers.hanging.add("slack://hanging")
        world.simulator.add_worker("greeter")
        world.rule(name="odd", pattern=BROKEN)
        world.rule(name="all", priority=200)
        await world.until(lambda: [one.url for one in receivers.notices] == ["slack://good"], within=20)
        # Callers notice nothing of it
        world.simulator.join("hall", "ana")
        await world.until_status("joined")
        await world.until(lambda: receivers.attempts.count("slack://failing") >= 2, within=30)
        receivers.failing.clear()
        await world.until(lambda: len(receivers.notices) == 2, within=60)
        (row,) = world.rows("SELECT * FROM notification_deliveries WHERE channel = 'failing'")
        log = document(row["log"])
        assert row["status"] == "delivered"
        assert [one["text"] for one in log[:2]] == ["the channel reports a failure"] * 2
        assert log[-1]["text"] == ""


@in_virtual_time
async def test_what_was_stored_before_a_crash_is_sent_by_the_next_process(sqlite_database: Database) -> None:
    channel(sqlite_database)
    async with World(sqlite_database) as world:
        world.receivers.hanging.add(PEOPLE)
        world.rule(name="odd", pattern=BROKEN)
        await world.until(lambda: world.receivers.attempts, within=20)
        await world.usher.kill()
        world.receivers.hanging.clear()
        assert world.receivers.notices == []
        await world.add_replica()
        await world.until(lambda: len(world.receivers.notices) == 1, within=90)
        await world.wait(30)
        assert len(world.receivers.notices) == 1


@in_virtual_time
async def test_a_message_of_what_is_over_before_it_could_be_sent_is_dropped(sqlite_database: Database) -> None:
    channel(sqlite_database)
    async with World(sqlite_database) as world:
        world.receivers.failing[PEOPLE] = REFUSED
        world.rule(name="odd", pattern=BROKEN)
        await world.until(lambda: world.receivers.attempts, within=20)
        sqlite_database.execute("UPDATE routing_rules SET enabled = false")
        await until_closed(world, "rule_broken", within=15)
        world.receivers.failing.clear()
        await world.wait(200)
        assert world.receivers.notices == []


@pytest.mark.parametrize("arrives", [True, False])
@in_virtual_time
async def test_the_end_is_reported_if_the_opening_arrives_after_it_and_no_opening_is_sent_after_the_end(
    database: Database, arrives: bool
) -> None:
    channel(database)
    async with World(database) as world:
        receivers = world.receivers
        receivers.hanging.add(PEOPLE)
        world.rule(name="odd", pattern=BROKEN)
        await world.until(lambda: receivers.attempts, within=20)
        database.execute("UPDATE routing_rules SET enabled = false")
        await until_closed(world, "rule_broken", within=15)
        if not arrives:
            receivers.failing[PEOPLE] = REFUSED
        receivers.hanging.clear()
        await world.wait(30)
        receivers.failing.clear()
        await world.wait(300)
        assert [one.is_open for one in receivers.notices] == ([True, False] if arrives else [])
        statuses = [row["status"] for row in world.rows("SELECT status FROM notification_deliveries ORDER BY id")]
        assert statuses == (["delivered", "delivered"] if arrives else ["failed"])


@pytest.mark.parametrize(
    ("hush", "unhush"),
    [
        ("UPDATE incidents SET muted_until = '2100-01-01T00:00:00Z'", "UPDATE incidents SET muted_until = NULL"),
        ("UPDATE notifications SET quiet_hours = '24/7'", "UPDATE notifications SET quiet_hours = NULL"),
    ],
)
@in_virtual_time
async def test_no_message_is_tried_again_while_its_incident_is_muted_or_in_quiet_hours(
    database: Database, hush: str, unhush: str
) -> None:
    channel(database)
    async with World(database) as world:
        receivers = world.receivers
        receivers.failing[PEOPLE] = REFUSED
        world.rule(name="odd", pattern=BROKEN)
        await world.until(lambda: receivers.attempts, within=20)
        database.execute(hush)
        receivers.failing.clear()
        await world.wait(600)
        assert receivers.notices == []
        database.execute(unhush)
        await world.until(lambda: [one.is_open for one in receivers.notices] == [True], within=15)


@in_virtual_time
async def test_a_message_that_was_held_by_quiet_hours_has_its_day_of_attempts_left(database: Database) -> None:
    channel(database)
    async with World(database) as world:
        receivers = world.receivers
        receivers.failing[PEOPLE] = REFUSED
        world.rule(name="odd", pattern=BROKEN)
        await world.until(lambda: receivers.attempts, within=20)
        database.execute("UPDATE notifications SET quiet_hours = '24/7'")
        await world.wait(30)
        database.execute(
            "UPDATE notification_deliveries SET created_at = :stored, next_attempt_at = :due",
            stored="2020-01-01 00:00:00.000000",
            due="2020-01-01 00:00:05.000000",
        )
        before = len(receivers.attempts)
        database.execute("UPDATE notifications SET quiet_hours = NULL")
        await world.until(lambda: len(receivers.attempts) > before, within=15)
        receivers.failing.clear()
        await world.until(lambda: [one.is_open for one in receivers.notices] == [True], within=300)


@in_virtual_time
async def test_a_program_gets_signed_webhooks_of_calls_without_names(database: Database) -> None:
    subscription(database)
    async with World(database) as world:
        world.simulator.add_worker("greeter")
        world.rule(name="all")
        world.rule(name="lost", agent_name="absent", pattern={"room": {"name": ["lost"]}}, priority=1,
                   answer_timeout_s=1, max_attempts=1)  # fmt: skip
        world.rule(name="long", agent_name="absent", pattern={"room": {"name": ["long"]}}, priority=2,
                   answer_timeout_s=300)  # fmt: skip
        await world.wait(3)  # a subscription is known within two seconds
        world.simulator.join("hall", "ana-w")
        world.simulator.join("lost", "eva-w")
        world.simulator.join("long", "eli-w")
        await world.until_status("joined")
        world.simulator.leave("long", "eli-w")
        posts = world.receivers.posts
        wanted = {"call.answered", "call.no_show", "call.abandoned", "incident.opened"}
        await world.until(lambda: wanted <= set(types(posts)), within=60, what=str(types(posts)))
        for post in posts:
            assert post.url == PROGRAM
            Webhook(SECRET).verify(post.body, dict(post.headers))  # raises if the signature is wrong
            # No id has a "w", as its digits are of base 32.
            assert not any(name in post.body for name in ("ana-w", "eva-w", "eli-w", '"hall"', '"lost-', '"long-'))
        answered = next(one for one in posts if one.type == "call.answered").document["data"]
        joined = world.dispatch(status="joined")
        assert (answered["dispatch_id"], answered["call_id"]) == (joined["id"], joined["event_id"])
        assert (answered["agent_name"], answered["rule"], answered["status"]) == ("greeter", "all", "joined")
        assert 0 <= answered["seconds_to_agent"] < 10


@in_virtual_time
async def test_a_handover_is_reported_when_the_next_agent_is_there(sqlite_database: Database) -> None:
    subscription(sqlite_database, events='["call.handed_over"]')
    async with World(sqlite_database) as world:
        world.simulator.add_worker("greeter")
        world.simulator.add_worker("expert")
        world.rule()
        await world.wait(3)
        world.simulator.join("hall", "ana")
        row = await world.until_status("joined")
        token = await a_token(world)
        await ask(world, token, "POST", f"/api/v1/calls/{row['event_id']}/handover", {"agent_name": "expert"})
        await world.until(lambda: world.receivers.posts, within=30)
        (post,) = world.receivers.posts
        assert (post.type, post.document["data"]["agent_name"]) == ("call.handed_over", "expert")


@in_virtual_time
async def test_a_handover_that_fails_is_no_no_show_of_the_caller(database: Database) -> None:
    subscription(database)
    channel(database)
    async with World(database) as world:
        world.simulator.add_worker("greeter")
        world.rule(max_attempts=1)
        await world.wait(3)
        world.simulator.join("hall", "ana")
        first = await world.until_status("joined")
        token, call = await a_token(world), f"/api/v1/calls/{first['event_id']}"
        order = {"agent_name": "nosuch", "timeout_s": 3}
        await ask(world, token, "POST", f"{call}/handover", order)
        await world.until_status("no_show", within=20, agent_name="nosuch")
        await world.wait(60)
        assert world.dispatch(id=first["id"])["status"] == "joined"
        assert not incidents(world, kind="no_show")
        assert not {"call.no_show", "call.abandoned"} & set(types(world.receivers.posts))
        assert not [one for one in world.receivers.notices if "No agent joined" in one.title]
        found = await ask(world, token, "GET", "/api/v1/statistics")
        assert [(one["rule"], one["dispatches"], one["arrived"], one["no_shows"]) for one in found["rules"]] == [
            (first["rule_name"], 1, 1, 0)
        ]
        assert [(one["agent"], one["no_shows"]) for one in found["agents"]] == [("greeter", 0), ("nosuch", 1)]
        listed = await ask(world, token, "GET", "/api/v1/calls?outcome=no_agent")
        assert listed["items"] == []
        listed = await ask(world, token, "GET", "/api/v1/calls?state=answered")
        assert [one["event_id"] for one in listed["items"]] == [first["event_id"]]
        assert (await ask(world, token, "GET", call))["call"]["state"] == "answered"


@in_virtual_time
async def test_a_caller_who_leaves_during_a_handover_has_not_given_up(database: Database) -> None:
    subscription(database)
    async with World(database) as world:
        world.simulator.add_worker("greeter")
        world.rule()
        await world.wait(3)
        world.simulator.join("hall", "ana")
        first = await world.until_status("joined")
        token, call = await a_token(world), f"/api/v1/calls/{first['event_id']}"
        await ask(world, token, "POST", f"{call}/handover", {"agent_name": "nosuch", "timeout_s": 20})
        await world.wait(1)
        world.simulator.leave("hall", "ana")
        following = await world.until_status("cancelled", within=20)
        assert following["reason"] == "the caller left while the call was being handed over"
        await world.until(lambda: world.dispatch(id=first["id"])["status"] == "ended", within=60)
        await world.wait(10)
        assert types(world.receivers.posts) == ["call.answered"]
        found = await ask(world, token, "GET", "/api/v1/statistics")
        assert (found["overall"]["dispatches"], found["overall"]["abandoned"]) == (1, 0)
        assert all(one["abandoned"] == 0 for one in found["agents"])
        assert (await ask(world, token, "GET", "/api/v1/calls?outcome=abandoned"))["items"] == []
        read = (await ask(world, token, "GET", call))["call"]
        assert (read["state"], read["outcomes"]) == ("ended", ["joined"])


@in_virtual_time
async def test_nobody_who_comes_after_a_cold_handover_is_a_no_show(sqlite_database: Database) -> None:
    subscription(sqlite_database, events='["call.no_show"]')
    async with World(sqlite_database) as world:
        greeter = world.simulator.add_worker("greeter")
        world.rule(max_attempts=1, answer_timeout_s=3)
        await world.wait(3)
        world.simulator.join("hall", "ana")
        first = await world.until_status("joined")
        room = world.simulator.room("hall")
        assert room is not None
        room.participants[first["agent_identity"]].attributes |= {"usher.next": "nosuch"}
        world.simulator.leave("hall", first["agent_identity"], DisconnectReason.CLIENT_INITIATED)
        world.simulator.stop_worker(greeter)
        await world.until_status("no_show", within=60)
        await until_open(world, "no_show")
        await world.until(lambda: world.receivers.posts, within=30)
        assert types(world.receivers.posts) == ["call.no_show"]


@in_virtual_time
async def test_a_webhook_keeps_its_id_over_all_attempts(sqlite_database: Database) -> None:
    subscription(sqlite_database, events='["incident.opened"]')
    async with World(sqlite_database) as world:
        world.receivers.failing[PROGRAM] = REFUSED
        world.rule(name="odd", pattern=BROKEN)
        await world.until(lambda: len(world.receivers.attempts) == 2, within=60)
        world.receivers.failing.clear()
        await world.until(lambda: world.receivers.posts, within=60)
        (row,) = world.rows("SELECT * FROM webhook_deliveries")
        assert world.receivers.posts[0].headers["webhook-id"] == row["id"]
        assert (row["status"], row["attempts"]) == ("delivered", 3)
        assert [one["status"] for one in document(row["log"])] == [500, 500, 200]
        (subscribed,) = world.rows("SELECT * FROM webhook_subscriptions")
        assert subscribed["failing_since"] is None


@pytest.mark.parametrize(
    ("table", "text"),
    [
        ("webhook_deliveries", "the secret of this subscription cannot be used: secret: is not base64"),
        ("notification_deliveries", "Usher could not send it: KeyError"),
    ],
)
@in_virtual_time
async def test_what_cannot_be_sent_is_tried_again_on_record_and_given_up_after_a_day(
    sqlite_database: Database, table: str, text: str
) -> None:
    subscription(sqlite_database, events='["incident.opened"]')
    channel(sqlite_database)
    async with World(sqlite_database) as world:
        world.receivers.failing |= {PEOPLE: REFUSED, PROGRAM: REFUSED}
        world.rule(name="odd", pattern=BROKEN)
        await world.until(lambda: len(world.receivers.attempts) == 2, within=60)
        (first,) = world.rows(f"SELECT id FROM {table}")  # the bad secret has an incident of its own, with messages
        one = f"SELECT * FROM {table} WHERE id = '{first['id']}'"
        sqlite_database.execute("UPDATE webhook_subscriptions SET secret = 'whsec_short'")
        sqlite_database.execute("UPDATE notification_deliveries SET payload = '{}'")
        await world.until(lambda: world.rows(f"{one} AND attempts = 3"), within=90)
        await world.wait(1)
        sqlite_database.execute(f"UPDATE {table} SET created_at = :long_ago", long_ago="2020-01-01 00:00:00.000000")
        await world.until(lambda: world.rows(f"{one} AND status = 'failed'"), within=1000)
        (row,) = world.rows(one)
        assert [one["text"] for one in document(row["log"])] == ["HTTP 500", text, text, text]


@in_virtual_time
async def test_a_program_that_is_gone_is_paused_with_an_incident_until_it_is_resumed(
    sqlite_database: Database,
) -> None:
    subscription(sqlite_database, events='["incident.opened"]')
    async with World(sqlite_database) as world:
        world.receivers.failing[PROGRAM] = SendOutcome(delivered=False, text="HTTP 410", status=410, is_gone=True)
        world.rule(name="odd", pattern=BROKEN)
        row = await until_open(world, "webhook_paused")
        assert row["subject"] == "crm"
        (one,) = [
            one
            for one in (await ask(world, await a_token(world), "GET", "/api/v1/incidents"))["items"]
            if one["kind"] == "webhook_paused"
        ]
        assert one["title"] == "Webhooks to 'crm' are paused: its endpoint failed for long or is gone (410)"
        sqlite_database.execute("UPDATE webhook_subscriptions SET paused_at = NULL")
        await until_closed(world, "webhook_paused", within=15)


@in_virtual_time
async def test_without_a_subscription_a_call_costs_no_statement_more(sqlite_database: Database) -> None:
    async def statements(world: World, identity: str) -> int:
        seen: list[str] = []

        def note(_connection: Any, _cursor: Any, statement: str, *_more: Any) -> None:
            if threading.current_thread() is threading.main_thread():  # of the writer
                seen.append(statement)

        event.listen(Engine, "before_cursor_execute", note)
        world.simulator.join(f"room-{identity}", identity)
        await world.until_status("joined", participant_identity=identity)
        event.remove(Engine, "before_cursor_execute", note)
        return len([one for one in seen if "webhook" in one or "notification" in one])

    async with World(sqlite_database) as world:
        world.simulator.add_worker("greeter")
        world.rule()
        await world.wait(3)  # what the start itself prunes is over
        assert await statements(world, "ana") == 0
        subscription(sqlite_database)
        await world.wait(3)
        assert await statements(world, "eva") > 0


@in_virtual_time
async def test_a_subscription_that_is_deleted_meanwhile_fails_no_call(database: Database) -> None:
    subscription(database)
    async with World(database) as world:
        world.simulator.add_worker("greeter")
        world.rule()
        await world.wait(3)
        database.execute("DELETE FROM webhook_subscriptions")
        world.simulator.join("hall", "ana")
        await world.until_status("joined")
        assert incidents(world) == []


@in_virtual_time
async def test_closed_incidents_and_what_was_sent_go_after_the_retention_and_open_ones_stay(database: Database) -> None:
    channel(database)
    subscription(database)
    async with World(database) as world:
        world.rule(name="odd", pattern=BROKEN)
        world.rule(name="strange", pattern=BROKEN)
        await world.until(lambda: len(world.receivers.notices) == len(world.receivers.posts) == 2, within=30)
        long_ago = lowest_id_at(datetime(2020, 1, 1, tzinfo=UTC))
        for number, row in enumerate(incidents(world)):
            new = long_ago[:-1] + str(number)
            database.execute("DELETE FROM notification_deliveries WHERE incident_id = :id", id=row["id"])
            database.execute("UPDATE incidents SET id = :new WHERE id = :id", new=new, id=row["id"])
        for number, row in enumerate(world.rows("SELECT id FROM webhook_deliveries")):
            new = long_ago[:-1] + str(number)
            database.execute("UPDATE webhook_deliveries SET id = :new WHERE id = :id", new=new, id=row["id"])
        closed = "2020-01-02T00:00:00.000000Z"
        database.execute("UPDATE incidents SET closed_at = :at WHERE subject = 'odd'", at=closed)
        database.execute("UPDATE routing_rules SET enabled = false WHERE name = 'odd'")
        await world.until(lambda: [one["subject"] for one in incidents(world)] == ["strange"], within=120)
        assert world.rows("SELECT * FROM webhook_deliveries") == []


@in_virtual_time
async def test_a_call_of_the_first_moment_after_a_start_is_reported(sqlite_database: Database) -> None:
    subscription(sqlite_database, events='["call.answered"]')
    async with World(sqlite_database) as world:
        world.simulator.add_worker("greeter")
        world.rule()
        world.simulator.join("hall", "ana")
        await world.until_status("joined")
        await world.until(lambda: types(world.receivers.posts) == ["call.answered"], within=20)
