"""No two events of different projects have the same dedupe key, whatever the projects are called and send."""

from __future__ import annotations

from hypothesis import given
from hypothesis import strategies as st

from app.db.types import Scope
from app.plan.keys import intent_key
from app.webhook.dedupe_keys import event_key, join_key, quoted

NAMES = st.text(alphabet="a/%2F5\x1f", max_size=6)
PROJECTS = NAMES.filter(bool)


def test_a_webhook_id_that_continues_the_project_is_not_the_join_of_another_project() -> None:
    assert event_key("acme", quoted("eu/join/PA_F")) != join_key("acme/eu", "PA_F")


def test_keys_of_plain_names_stay_as_they_were() -> None:
    assert join_key("default", "PA_F") == "default/join/PA_F"
    assert event_key("my-project", "EV_1") == "my-project/EV_1"


@given(one=PROJECTS, other=PROJECTS, sid=NAMES, livekit_id=NAMES)
def test_projects_share_no_key(one: str, other: str, sid: str, livekit_id: str) -> None:
    if one != other:
        keys = {join_key(one, sid), event_key(one, quoted(livekit_id))}
        assert keys.isdisjoint({join_key(other, sid), event_key(other, quoted(livekit_id))})


@given(one=st.tuples(PROJECTS, NAMES, NAMES, NAMES), other=st.tuples(PROJECTS, NAMES, NAMES, NAMES))
def test_different_intents_have_different_keys(one: tuple[str, ...], other: tuple[str, ...]) -> None:
    keys = {intent_key(names[0], names[1], names[2], Scope.PARTICIPANT, names[3]) for names in {one, other}}
    assert len(keys) == len({one, other})
