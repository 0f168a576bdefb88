"""The main job, on the real LiveKit: callers get the agent that the rules name, with the metadata that it needs."""

from __future__ import annotations

import json
from collections.abc import Callable

import pytest
from livekit import api

from tests.harness.livekit.participants import Participant
from tests.harness.polling import eventually, never
from tests.harness.scene import Scene

NoteArrival = Callable[[Participant], None]

SUPPORT = {"participant": {"metadata": {"department": ["support"]}}}
SALES = {"participant": {"metadata": {"department": ["sales"]}}}


@pytest.fixture(scope="module", autouse=True)
def _workers(site: Scene) -> None:
    for agent_name in ("support-agent", "sales-agent"):
        site.start_worker(agent_name, wait=False)
    for worker in site.workers:
        worker.wait_for_registration()


@pytest.fixture
def scene(site: Scene) -> Scene:
    """The shared site with the two rules of a small company, edited with plain SQL."""
    site.clear()
    site.usher.add_rule("support", SUPPORT, "support-agent")
    site.usher.add_rule("sales", SALES, "sales-agent")
    return site


@pytest.mark.parametrize(
    ("department", "language", "greeting"),
    [("support", "es", "Hola Ana, aquí Soporte."), ("sales", "en", "Hello Ana, this is Sales.")],
)
def test_a_caller_is_greeted_by_department_in_their_language(
    scene: Scene, note_arrival: NoteArrival, department: str, language: str, greeting: str
) -> None:
    room = f"call-{department}"
    sent = {"department": department, "language": language, "account": 4711}

    ana = scene.join("ana", room, name="Ana", metadata=sent, attributes={"tier": "gold"})

    assert ana.wait_for_greeting() == greeting
    note_arrival(ana)
    assert ana.job_metadata() == [
        {
            "participant": {
                "identity": "ana",
                "name": "Ana",
                "kind": "STANDARD",
                "metadata": sent,
                "attributes": {"tier": "gold"},
            },
            "room": {"name": room, "metadata": ""},
            "rule": department,
        }
    ]
    [agent] = scene.livekit.agents(room, f"{department}-agent")
    dispatch = scene.usher.wait_for_dispatch(room=room, identity="ana")
    assert dispatch["participant_sid"] == ana.sid
    assert dispatch["room_sid"] == ana.room_sid
    assert dispatch["rule_name"] == department
    assert dispatch["agent_identity"] == agent.identity
    assert dispatch["dispatched_at"] <= dispatch["joined_at"]
    [at_livekit] = scene.livekit.dispatches(room)
    assert dispatch["livekit_dispatch_id"] == at_livekit.id
    assert dispatch["id"] in at_livekit.attributes.values()
    [attempt] = scene.usher.attempts(dispatch["id"])
    assert attempt["outcome"] == "accepted"
    [event] = scene.usher.events(room=room, identity="ana")
    assert (event["outcome"], event["source"]) == ("planned", "webhook")
    assert event["participant_sid"] == ana.sid


def test_a_rule_may_pass_the_callers_own_document_through(scene: Scene) -> None:
    scene.usher.delete_rules()
    scene.usher.add_rule("through", SUPPORT, "support-agent", metadata={"$eval": "participant.metadata"})
    sent = {"department": "support", "language": "ca", "basket": [{"sku": 1, "price": 9.5}], "vip": True}
    ana = scene.join("ana", "through", metadata=sent)
    assert ana.wait_for_greeting() == "Hola there, aquí Suport."
    assert ana.job_metadata() == [sent]


def test_a_room_that_exists_already(scene: Scene, note_arrival: NoteArrival) -> None:
    """LiveKit ignores the dispatch in the token of who joins a room that is there already; Usher serves them."""
    scene.join("early", "existing")
    wish = api.RoomAgentDispatch(agent_name="sales-agent", metadata=json.dumps({"department": "sales"}))
    bob = scene.join(
        "bob", "existing", metadata={"department": "sales", "language": "en"}, name="Bob", dispatches=[wish]
    )
    assert bob.wait_for_greeting() == "Hello Bob, this is Sales."
    note_arrival(bob)
    dispatch = scene.usher.wait_for_dispatch(room="existing", identity="bob")
    [at_livekit] = scene.livekit.dispatches("existing")
    assert at_livekit.id == dispatch["livekit_dispatch_id"]
    [early] = scene.usher.events(room="existing", identity="early")
    assert early["outcome"] == "no_match"


def test_text_metadata(scene: Scene, note_arrival: NoteArrival) -> None:
    scene.usher.add_rule("text", {"participant": {"metadata": [{"prefix": "please, "}]}}, "support-agent")
    ana = scene.join("ana", "text", metadata="please, somebody help")
    assert ana.wait_for_greeting() == "Hello ana, this is Support."
    note_arrival(ana)
    [sent] = ana.job_metadata()
    assert sent["participant"]["metadata"] == "please, somebody help"


def test_a_caller_without_metadata_is_served_and_the_agent_gets_none(scene: Scene, note_arrival: NoteArrival) -> None:
    """The rule takes every participant of the room; the agent itself joins the room, too."""
    scene.usher.add_rule("lobby", {"room": {"name": ["lobby"]}}, "support-agent", scope="participant")
    ana = scene.join("ana", "lobby")
    assert ana.wait_for_greeting() == "Hello ana, this is Support."
    note_arrival(ana)
    [sent] = ana.job_metadata()
    assert sent["participant"]["metadata"] == ""
    assert sent["participant"]["attributes"] == {}
    never(lambda: len(scene.livekit.dispatches("lobby")) != 1, during=2, what="an agent was dispatched for an agent")
    assert len(scene.usher.dispatches(room="lobby")) == 1


def test_a_phone_caller(scene: Scene, note_arrival: NoteArrival) -> None:
    dialled = {"participant": {"phone": {"called": ["+15557654321"]}}}
    scene.usher.add_rule("phone", dialled, "sales-agent")
    numbers = {"sip.phoneNumber": "+34600111222", "sip.trunkPhoneNumber": "+15557654321", "sip.ruleID": "SDR_1"}
    caller = scene.join("sip_+34600111222", "phone", kind="sip", attributes=numbers)
    caller.wait_for_greeting()
    note_arrival(caller)
    [sent] = caller.job_metadata()
    assert sent["participant"]["kind"] == "SIP"
    assert sent["participant"]["attributes"] == numbers
    assert sent["rule"] == "phone"


def test_no_agent_comes_for_a_caller_without_a_rule(scene: Scene) -> None:
    scene.join("ana", "nothing", metadata={"department": "accounting"})
    [event] = eventually(
        lambda: scene.usher.events(room="nothing", identity="ana"), within=5, what="the join is recorded"
    )
    assert event["outcome"] == "no_match"
    assert event["decision"]
    assert scene.livekit.dispatches("nothing") == []


def test_an_edit_holds_for_the_very_next_caller(scene: Scene) -> None:
    scene.usher.change("UPDATE routing_rules SET agent_name = 'sales-agent' WHERE name = 'support'")
    ana = scene.join("ana", "edited", metadata={"department": "support", "language": "en"})
    ana.wait_for_greeting()
    assert len(scene.livekit.agents("edited", "sales-agent")) == 1
    [version] = scene.usher.rows("SELECT max(id) AS number FROM rule_changes")
    assert scene.usher.wait_for_dispatch(room="edited")["rules_version"] == version["number"]


def test_two_participants_share_the_agent_of_their_room(scene: Scene, note_arrival: NoteArrival) -> None:
    ana = scene.join("ana", "shared", name="Ana", metadata={"department": "support", "language": "es"})
    ana.wait_for_greeting()
    note_arrival(ana)
    bob = scene.join("bob", "shared", name="Bob", metadata={"department": "support", "language": "en"})
    assert bob.wait_for_greeting() == "Hola Ana, aquí Soporte."
    [event] = eventually(lambda: scene.usher.events(room="shared", identity="bob"), within=5, what="Bob is recorded")
    assert event["outcome"] == "served"
    assert len(scene.livekit.dispatches("shared")) == 1
    assert [row["participant_identity"] for row in scene.usher.dispatches(room="shared")] == ["ana"]


def test_each_participant_gets_an_agent_of_their_own(scene: Scene, note_arrival: NoteArrival) -> None:
    scene.usher.change("UPDATE routing_rules SET scope = 'participant' WHERE name = 'support'")
    ana = scene.join("ana", "apart", name="Ana", metadata={"department": "support", "language": "es"})
    bob = scene.join("bob", "apart", name="Bob", metadata={"department": "support", "language": "en"})
    greetings = eventually(
        lambda: found if len(found := bob.greetings()) == 2 else None, within=15, what="two agents have greeted"
    )
    assert sorted(greetings) == ["Hello Bob, this is Support.", "Hola Ana, aquí Soporte."]
    note_arrival(ana)
    note_arrival(bob)
    # Which agent is whose shows in the metadata that it got.
    sent = {
        remote["identity"]: json.loads(remote["attributes"]["job_metadata"])["participant"]["identity"]
        for remote in bob.remotes()
        if remote["kind"] == "AGENT"
    }
    for identity in ("ana", "bob"):
        dispatch = scene.usher.wait_for_dispatch(room="apart", identity=identity)
        assert sent[dispatch["agent_identity"]] == identity
    assert len(scene.livekit.dispatches("apart")) == 2


def test_a_caller_who_leaves_and_returns_meets_the_same_agent(scene: Scene) -> None:
    sent = {"department": "support", "language": "en"}
    scene.join("bob", "returns")  # keeps the room open
    ana = scene.join("ana", "returns", name="Ana", metadata=sent)
    ana.wait_for_greeting()
    ana.leave()
    again = scene.join("ana", "returns", name="Ana", metadata=sent)
    assert again.wait_for_greeting() == "Hello Ana, this is Support."
    events = eventually(
        lambda: found if len(found := scene.usher.events(room="returns", identity="ana")) == 2 else None,
        within=5,
        what="both joins are recorded",
    )
    assert [event["participant_sid"] for event in events] == [ana.sid, again.sid]
    assert [event["outcome"] for event in events] == ["planned", "served"]
    never(lambda: len(scene.livekit.agents("returns")) != 1, during=2, what="not one agent for one caller")
    assert len(scene.livekit.dispatches("returns")) == 1


def test_a_caller_who_returns_into_a_new_room_gets_a_new_agent(scene: Scene, note_arrival: NoteArrival) -> None:
    sent = {"department": "sales", "language": "es"}
    scene.join("ana", "anew", name="Ana", metadata=sent).wait_for_greeting()
    first = scene.usher.wait_for_dispatch(room="anew")
    scene.livekit.delete_room("anew")
    scene.usher.wait_for_dispatch(room="anew", status="ended")
    again = scene.join("ana", "anew", name="Ana", metadata=sent)
    assert again.wait_for_greeting() == "Hola Ana, aquí Ventas."
    note_arrival(again)
    second = scene.usher.wait_for_dispatch(room="anew", status="joined")
    assert second["id"] != first["id"]
    assert second["room_sid"] == again.room_sid != first["room_sid"]


def test_the_secret_of_the_webhooks_is_nowhere(scene: Scene) -> None:
    ana = scene.join("ana", "secret", metadata={"department": "support", "language": "en"})
    ana.wait_for_greeting()
    passwords = {each.webhook["room"]["turnPassword"] for each in scene.relay.deliveries(room="secret")}
    assert passwords
    stored = b"".join(path.read_bytes() for path in scene.directory.glob("usher.db*"))
    sent = json.dumps(ana.job_metadata())
    for password in passwords:
        assert password.encode() not in stored
        assert password not in scene.usher.log_text()
        assert password not in sent
    assert scene.server.api_secret not in scene.usher.log_text()
