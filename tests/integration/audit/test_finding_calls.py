"""Calls are found by what people know of them: the begin of a name, the end of a number, any id."""

from __future__ import annotations

from typing import Any

import pytest
from sqlalchemy import Connection

from app.audit import CallDirection, CallFilter, CallOutcome, CallState, iterate_calls, list_calls
from app.audit.call_lists import call_list
from app.audit.lists import path_rows
from app.livekit.participant.phone import use_phone_region
from app.webhook.name_digest import digest_of, digest_of_number, use_name_key
from tests.conftest import Database
from tests.integration.audit.audit_rows import at, attempt_row, dispatch_row, event_row, store

NAMES: dict[str, dict[str, Any]] = {
    "ana": {"participant_identity": "Ana.Perez", "room_name": "SUPPORT-7f3a", "name": "Ana Pérez"},
    "ivan": {"participant_identity": "u-1", "room_name": "support-81cc", "name": "Иван Петров"},
    "spain": {"phone_number": "+34699123456", "participant_identity": "sip_+34699123456", "room_name": "call-1"},
    "raw": {"phone_number": "0034 611-22-33-44", "participant_identity": "sip_2", "room_name": "call-2"},
    "trunk": {"phone_number": "+15557654321@trunk.example", "participant_identity": "sip_3", "room_name": "call-3"},
    "british": {"phone_number": "+447911123456", "participant_identity": "sip_4", "room_name": "call-4"},
    "national": {"phone_number": "699555444", "participant_identity": "sip_5", "room_name": "call-5"},
    "us": {"participant_identity": "bob", "room_name": "hall", "project": "us"},
}


def _body(key: str, row: dict[str, Any]) -> dict[str, Any]:
    metadata = '{"language": "es", "tier": 2}' if key in {"ana", "us"} else '{"language": "de"}'
    participant = {"identity": row["participant_identity"], "metadata": metadata}
    return {
        "event": "participant_joined",
        "participant": participant | ({"name": row["name"]} if "name" in row else {}),
    }


@pytest.fixture
def stored(database: Database) -> dict[str, Any]:
    """One call for each of `NAMES` with a dispatch, and the join of the agent."""
    rows, orders, attempts = {}, {}, []
    for number, (key, given) in enumerate(NAMES.items()):
        kind = "SIP" if "phone_number" in given else "STANDARD"
        values = {name: value for name, value in given.items() if name != "name"}
        rows[key] = event_row(
            at(number), body=_body(key, given), participant_sid=f"PA_{key}", room_sid=f"RM_{key}",
            participant_kind=kind, **values,
        )  # fmt: skip
        orders[key] = dispatch_row(
            at(number + 0.01), rows[key], agent_name="Concierge" if key == "ana" else "support",
            rule_name=f"to {key}", job_id=f"AJ_{key}", agent_sid=f"PA_agent_{key}",
        )  # fmt: skip
        attempts += [
            attempt_row(at(number), orders[key], 1, "no_show", livekit_dispatch_id=f"AD_{key}_1"),
            attempt_row(at(number), orders[key], 2, "accepted", livekit_dispatch_id=f"AD_{key}_2"),
        ]
    agent = event_row(at(90), participant_identity="agent-AJ_1", participant_kind="AGENT", participant_role="agent",
                      room_name="support-7f3a", outcome="ignored")  # fmt: skip
    with database.writer_engine().begin() as connection:
        store(connection, event_rows=[*rows.values(), agent], dispatch_rows=[*orders.values()], attempts=attempts)
    return {"rows": rows, "orders": orders}


def found(connection: Connection, q: str, **chosen: Any) -> set[str]:
    page = list_calls(connection, CallFilter(q=q, **chosen))
    assert len({one.event_id for one in page.items}) == len(page.items)
    return {one.participant_sid.removeprefix("PA_") for one in page.items}


@pytest.mark.usefixtures("stored")
def test_names_are_found_by_how_they_begin_in_any_case(database: Database) -> None:
    with database.reader_engine().connect() as connection:
        for q in ("ana.p", "ANA.PEREZ", "ana pér", "ANA PÉREZ", "Support-7F", "conci", "CONCIERGE", "TO ANA"):
            assert found(connection, q) == {"ana"}, q
        for q in ("иван", "ИВАН П", "Иван"):
            assert found(connection, q) == {"ivan"}, q
        assert found(connection, "support-") == {"ana", "ivan"}
        assert found(connection, "nobody") == set()
        assert found(connection, "support%") == set()


SPELLINGS = {
    "spain": (
        "+34699123456", "34699123456", "699123456", "+34 699 123 456", "+34-699-123-456", "0034699123456",
        "699 12 34 56", "3456", "23456", "(+34) 699.123.456", "tel:+34699123456", "sip:+34699123456@host",
        "٣٤٦٩٩١٢٣٤٥٦", "＋３４　６９９ １２３ ４５６",
    ),
    "raw": ("+34611223344", "611 22 33 44", "3344", "0034611223344"),
    "trunk": ("+1 (555) 765-4321", "555-765-4321", "4321", "15557654321"),
    "british": ("07911 123456", "+44 7911 123456", "7911123456"),
    "national": ("+34 699 555 444", "699555444", "5444"),
}  # fmt: skip


@pytest.mark.usefixtures("stored")
@pytest.mark.parametrize("region", ["", "ES"])
def test_a_number_is_found_in_any_spelling_and_by_its_last_digits(database: Database, region: str) -> None:
    use_phone_region(region)
    try:
        with database.reader_engine().connect() as connection:
            for key, spellings in SPELLINGS.items():
                for q in spellings:
                    assert key in found(connection, q), (key, q)
            assert found(connection, "+34 699 123 456") == {"spain"}
            assert found(connection, "+33 699 123 456") == set()
            assert found(connection, "123456") == {"spain", "british"}
            # Three digits are the end of too many numbers
            assert found(connection, "456") == set()
    finally:
        use_phone_region("")


def test_calls_are_found_by_the_number_that_was_dialled(database: Database, monkeypatch: pytest.MonkeyPatch) -> None:
    # Given two numbers that many callers dialled, as trunks spell them
    ours = ("sip:+493012345678@trunk.example", "+15557654321", "030 1299 5678")
    rows = [
        event_row(at(number), participant_sid=f"PA_{number}", participant_kind="SIP", trunk_number=ours[number % 3],
                  phone_number=f"+34699{number:06}",
                  **({"outcome": "ignored", "participant_role": "agent"} if number == 8 else {}))
        for number in range(30)
    ]  # fmt: skip
    orders = [
        dispatch_row(at(number), row, agent_name="a" if number < 3 else "b", status="no_show")
        for number, row in enumerate(rows)
    ]
    with database.writer_engine().begin() as connection:
        store(connection, event_rows=rows, dispatch_rows=orders)
    monkeypatch.setattr(path_rows, "MAX_PREFIXED", 5)
    german = {str(number) for number in range(0, 30, 3)}
    with database.reader_engine().connect() as connection:
        for q in ("+49 30 12345678", "0049-30-12345678", "12345678", "345678", "sip:+493012345678@trunk.example"):
            assert found(connection, q) == german, q
            assert found(connection, q, agent="a") == {"0"}, q
        with monkeypatch.context() as few:
            few.setattr(path_rows, "MAX_CHECKED_BY_MINUTE", 5)
            for agent, number in (("a", 1), ("b", 9)):
                assert len(list(iterate_calls(connection, CallFilter(q="345678", agent=agent)))) == number
        # An agent's join is no call; the end of two numbers finds the calls of both, newest first, in pages
        other = {str(number) for number in range(2, 30, 3)} - {"8"}
        assert found(connection, "5678") == german | other
        ids = [one.event_id for one in iterate_calls(connection, CallFilter(q="5678"))]
        assert ids == sorted(ids, reverse=True)
        assert len(ids) == len(german | other)
        # And a caller's number is still found by its own digits, a number that nobody dialled is not
        assert found(connection, "+34 699 000 004") == {"4"}
        assert found(connection, "+49 30 99995678") == set()
        assert found(connection, "678") == set()


def test_every_id_finds_its_call(database: Database, stored: dict[str, Any]) -> None:
    with database.reader_engine().connect() as connection:
        for key, row in stored["rows"].items():
            ids = (row["id"], row["livekit_id"], row["participant_sid"], row["room_sid"], stored["orders"][key]["id"])
            for q in (*ids, f"AJ_{key}", f"PA_agent_{key}", f"AD_{key}_1", f"AD_{key}_2"):
                assert found(connection, q) == {key}, q


@pytest.mark.usefixtures("stored")
def test_the_id_of_any_webhook_finds_the_calls_it_is_about(database: Database) -> None:
    about = {"type": "participant_left", "outcome": "ignored", "room_sid": "RM_ana"}
    others = [
        event_row(at(100), livekit_id="EV_caller_left", participant_sid="PA_ana", **about),
        event_row(at(101), livekit_id="EV_agent_left", participant_sid="PA_agent_ana", **about),
        event_row(at(102), livekit_id="EV_room", participant_sid="", **{**about, "type": "room_finished"}),
        event_row(at(103), livekit_id="EV_nothing", participant_sid="", **{**about, "room_sid": ""}),
    ]
    with database.writer_engine().begin() as connection:
        store(connection, event_rows=others)
    with database.reader_engine().connect() as connection:
        for q in ("EV_caller_left", "EV_agent_left", "EV_room"):
            assert found(connection, q) == {"ana"}, q
        assert found(connection, "EV_nothing") == set()


@pytest.mark.usefixtures("stored")
def test_what_is_found_is_filtered_further(database: Database) -> None:
    with database.reader_engine().connect() as connection:
        assert found(connection, "support-", agent="support") == {"ivan"}
        assert found(connection, "support-", states={CallState.ENDED}) == {"ana", "ivan"}
        assert found(connection, "support-", states={CallState.NO_SHOW}) == set()
        assert found(connection, "bob", projects=("default",)) == set()
        assert found(connection, "bob", projects=("us",)) == {"us"}
        assert found(connection, "sip_", direction=CallDirection.INBOUND) == {
            "spain",
            "raw",
            "trunk",
            "british",
            "national",
        }
        assert found(connection, "a", metadata=(("language", "ES"), ("tier", "2"))) == {"ana"}
        assert found(connection, "ana", since=at(10)) == set()


def test_a_common_beginning_is_searched_from_the_newest_on_and_says_how_far(
    database: Database, monkeypatch: pytest.MonkeyPatch
) -> None:
    # Given 60 calls whose rooms begin alike, every tenth of another caller
    rows = [
        event_row(at(number), room_name=f"Call-{number}", participant_sid=f"PA_{number}",
                  participant_identity="eva" if number % 10 == 0 else "ana")
        for number in range(60)
    ]  # fmt: skip
    orders = [dispatch_row(at(number), row, status="no_show") for number, row in enumerate(rows)]
    with database.writer_engine().begin() as connection:
        store(connection, event_rows=rows, dispatch_rows=orders)
    monkeypatch.setattr(path_rows, "MAX_PREFIXED", 20)
    monkeypatch.setattr(path_rows, "MAX_ROWS_CHECKED", 25)
    monkeypatch.setattr(call_list, "MAX_CALLS_CHECKED", 25)
    monkeypatch.setattr(call_list, "_AT_ONCE", 10)
    with database.reader_engine().connect() as connection:
        for chosen, expected in (
            (CallFilter(q="call-"), 60),
            (CallFilter(q="CALL-", states={CallState.NO_SHOW}), 60),
            (CallFilter(q="call-", identity="eva"), 6),
            (CallFilter(q="call-", identity="eva", states={CallState.NO_SHOW}), 6),
            (CallFilter(q="call-1", states={CallState.NO_SHOW}), 11),
        ):
            # Then paging gives each call once, newest first
            ids = [one.event_id for one in iterate_calls(connection, chosen)]
            assert len(ids) == expected, chosen
            assert ids == sorted(set(ids), reverse=True)
        first = list_calls(connection, CallFilter(q="call-", identity="eva"), limit=5)
        # And a page that was cut says so
        assert first.next_cursor is not None
        assert first.searched_back_to is not None


def test_a_call_with_several_dispatches_is_listed_once(database: Database) -> None:
    # Given calls with three dispatches each
    rows, orders = [], []
    for number in range(9):
        rows.append(event_row(at(number), participant_sid=f"PA_{number}"))
        orders += [
            dispatch_row(at(number + 0.1), rows[-1], status="no_show", agent_name="a"),
            dispatch_row(at(number + 0.2), rows[-1], status="no_show", agent_name="a"),
            dispatch_row(at(number + 20), rows[-1], status="joined", agent_name="b", joined_at=at(number + 21)),
        ]
    with database.writer_engine().begin() as connection:
        store(connection, event_rows=rows, dispatch_rows=orders)
    with database.reader_engine().connect() as connection:
        for chosen in (CallFilter(agent="a"), CallFilter(outcome=CallOutcome.NO_AGENT), CallFilter(agent="b"),
                       CallFilter(outcome=CallOutcome.JOINED), CallFilter(rule="spanish")):  # fmt: skip
            seen: list[str] = []
            cursor = None
            while True:
                page = list_calls(connection, chosen, limit=2, cursor=cursor)
                seen += [one.event_id for one in page.items]
                cursor = page.next_cursor
                if cursor is None:
                    break
            assert sorted(seen) == sorted(row["id"] for row in rows), chosen


def test_a_redrive_takes_no_outcome_away(database: Database) -> None:
    missed, answered = event_row(at(0), participant_sid="PA_1"), event_row(at(5), participant_sid="PA_2")
    first = dispatch_row(at(0), missed, status="no_show", cause="no_agent")
    again = dispatch_row(at(60), missed, status="cancelled", cause="room_closed", replaces=first["id"],
                         replaces_kind="redrive")  # fmt: skip
    fallback = dispatch_row(at(5), answered, status="joined", agent_name="concierge", asked_agent_name="support-en",
                            rung=1, joined_at=at(7))  # fmt: skip
    with database.writer_engine().begin() as connection:
        store(connection, event_rows=[missed, answered], dispatch_rows=[first, again, fallback])
    with database.reader_engine().connect() as connection:
        by = {
            outcome: {one.participant_sid for one in list_calls(connection, CallFilter(outcome=outcome)).items}
            for outcome in CallOutcome
        }
        assert by[CallOutcome.NO_AGENT] == {"PA_1"}
        assert by[CallOutcome.FALLBACK] == by[CallOutcome.JOINED] == {"PA_2"}
        [call] = list_calls(connection, CallFilter(agent="concierge")).items
        assert call.asked_agents == ("concierge", "support-en")
        assert call.outcomes == (CallOutcome.JOINED, CallOutcome.FALLBACK)


def test_hashed_names_are_found_whole_but_numbers_not_by_their_end(database: Database) -> None:
    use_name_key("a key that is long enough")
    try:
        number = digest_of_number("+34699123456")
        row = event_row(at(0), participant_identity=digest_of("ana"), room_name=digest_of("hall"), phone_number=number,
                        participant_kind="SIP", participant_sid="PA_ana")  # fmt: skip
        with database.writer_engine().begin() as connection:
            store(connection, event_rows=[row])
        with database.reader_engine().connect() as connection:
            for q in ("ana", "hall", "+34 699 123 456", "0034699123456"):
                assert found(connection, q) == {"ana"}, q
            assert found(connection, "an") == set()
            assert found(connection, "3456") == set()
    finally:
        use_name_key("")
