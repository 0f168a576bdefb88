"""What agents get: the default document, templates over it, attributes, limits, hostile templates, the check."""

from __future__ import annotations

import json
import time
import tracemalloc
from datetime import UTC, datetime
from types import SimpleNamespace
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from app.rules.templates.jsone.budget import MOST_STEPS
from app.rules.templates.template import TemplateError, TemplateText, check_template, render_attributes, render_metadata

NOW = datetime(2026, 11, 22, 14, 2, 3, 456789, tzinfo=UTC)
RULE = {"id": 7, "name": "spanish", "agent_name": "support-es", "priority": 5, "pattern": {"x": ["secret"]}}
DOCUMENT: dict[str, Any] = {
    "event": "participant_joined",
    "id": "EV_1",
    "project": "default",
    "room": {"sid": "RM_1", "name": "support-1", "metadata": {"tier": "gold"}},
    "participant": {
        "sid": "PA_1",
        "identity": "caller-ana",
        "name": "Ana Ñ",
        "kind": "SIP",
        "metadata": {"language": "es", "account": 12, "vip": True, "tags": ["a", "b"], "none": None},
        "attributes": {"sip.phoneNumber": "+34600111222"},
    },
}


def metadata(template: Any, document: dict[str, Any] | None = None, max_bytes: int = 65_536) -> Any:
    text = render_metadata(template, DOCUMENT if document is None else document, RULE, NOW, max_bytes)
    assert text == json.dumps(json.loads(text), separators=(",", ":"), ensure_ascii=False)
    return json.loads(text)


def attributes(template: Any) -> dict[str, str]:
    return render_attributes(template, DOCUMENT, RULE, NOW)


def refusal(template: Any, document: dict[str, Any] | None = None, max_bytes: int = 65_536) -> TemplateError:
    with pytest.raises(TemplateError) as raised:
        metadata(template, document, max_bytes)
    return raised.value


def test_without_a_template_the_agent_gets_the_default_document() -> None:
    assert metadata(None) == {
        "participant": {
            "identity": "caller-ana",
            "name": "Ana Ñ",
            "kind": "SIP",
            "metadata": {"language": "es", "account": 12, "vip": True, "tags": ["a", "b"], "none": None},
            "attributes": {"sip.phoneNumber": "+34600111222"},
        },
        "room": {"name": "support-1", "metadata": {"tier": "gold"}},
        "rule": "spanish",
    }
    rule = SimpleNamespace(name="as object")
    assert json.loads(render_metadata(None, DOCUMENT, rule, NOW, 65_536))["rule"] == "as object"


def test_what_livekit_leaves_out_is_empty() -> None:
    bare = {"participant": {"identity": "x", "kind": "STANDARD"}, "room": {"name": "r"}}
    assert metadata(None, bare) == {
        "participant": {"identity": "x", "name": "", "kind": "STANDARD", "metadata": "", "attributes": {}},
        "room": {"name": "r", "metadata": ""},
        "rule": "spanish",
    }
    template = {"$eval": "[participant.metadata, participant.name, participant.attributes, room.metadata]"}
    assert metadata(template, bare) == ["", "", {}, ""]
    assert metadata(None, {"room": {"name": "r"}})["participant"]["identity"] == ""


def test_a_template_sees_the_event_its_rule_and_its_time() -> None:
    template = {
        "who": {"$eval": "participant.identity"},
        "phone": "${participant.attributes['sip.phoneNumber']}",
        "types": {"$eval": "[participant.metadata.account, participant.metadata.vip, participant.metadata.none]"},
        "passed": {"$eval": "participant.metadata"},
        "rule": {"$eval": "rule"},
        "at": {"$eval": "now"},
        "until": {"$fromNow": "15 minutes"},
        "project": "${project}",
    }
    assert metadata(template) == {
        "who": "caller-ana",
        "phone": "+34600111222",
        "types": [12, True, None],
        "passed": DOCUMENT["participant"]["metadata"],
        "rule": {
            "id": 7,
            "name": "spanish",
            "agent_name": "support-es",
            "description": None,
            "priority": 5,
            "deployment": None,
            "scope": None,
        },
        "at": "2026-11-22T14:02:03.456Z",
        "until": "2026-11-22T14:17:03.456Z",
        "project": "default",
    }
    assert metadata(TemplateText(json.dumps(template))) == metadata(template)
    assert metadata(TemplateText('"${rule.name}"')) == "spanish"


def test_participant_metadata_passes_through_whatever_it_is() -> None:
    for value in ["plain text", "${rule.name}", {"$eval": "rule"}, [1, 2.5], None, 12]:
        document = {"participant": {"identity": "x", "metadata": value}}
        assert metadata({"$eval": "participant.metadata"}, document) == value
        assert metadata(None, document)["participant"]["metadata"] == value


def test_no_template_reads_the_turn_password() -> None:
    document = {**DOCUMENT, "room": {**DOCUMENT["room"], "turnPassword": "hunter2"}}
    assert "hunter2" not in render_metadata(None, document, RULE, NOW, 65_536)
    assert "hunter2" not in render_metadata({"$eval": "room"}, document, RULE, NOW, 65_536)
    assert "no property" in str(refusal({"$eval": "room.turnPassword"}, document))
    assert document["room"]["turnPassword"] == "hunter2"  # the event itself is not changed
    for template in ({"$eval": "room.turnPassword"}, "${room['turnPassword']}"):
        assert any("secret" in problem.message for problem in check_template(template))


def test_rendering_reads_no_clock_and_changes_nothing() -> None:
    before = json.dumps(DOCUMENT)
    template = {"$map": {"$eval": "participant.metadata.tags"}, "each(participant)": {"$fromNow": "1 day"}}
    first = render_metadata(template, DOCUMENT, RULE, NOW, 65_536)
    assert first == '["2026-11-23T14:02:03.456Z","2026-11-23T14:02:03.456Z"]'
    time.sleep(0)
    assert render_metadata(template, DOCUMENT, RULE, NOW, 65_536) == first
    assert json.dumps(DOCUMENT) == before


def test_a_mistake_has_its_path_and_reason() -> None:
    error = refusal({"a": {"b": [1, {"$eval": "participant.metadata.langage"}]}})
    assert error.path == "metadata.a.b[1].$eval"
    assert error.reason == "the object has no property 'langage'"
    assert error.problems[0].suggestion == "language"
    with pytest.raises(TemplateError) as raised:
        attributes({"a": "${participant.metadata.langage}"})
    assert raised.value.path == "attributes.a"


PREVIOUS = {"agent_name": "greeter", "cause": "lost", "attempt": 1, "joined_at": None, "left_at": None, "context": {}}


@pytest.mark.parametrize("template", [None, {"before": {"$eval": "previous"}}, {"$eval": "previous"}])
def test_metadata_names_the_agent_before(template: Any) -> None:
    text = render_metadata(template, DOCUMENT, RULE, NOW, 65_536, previous=PREVIOUS)
    assert '"agent_name":"greeter","cause":"lost"' in text
    first = render_metadata(template, DOCUMENT, RULE, NOW, 65_536)
    assert "greeter" not in first
    assert ("previous" in first) is False


def test_a_template_can_distinguish_the_first_agent_from_a_later_one() -> None:
    template = {"$if": "previous", "then": "again after ${previous.agent_name}", "else": "hello"}
    assert check_template(template) == []
    assert metadata(template) == "hello"
    assert render_metadata(template, DOCUMENT, RULE, NOW, 100, previous=PREVIOUS) == '"again after greeter"'
    assert render_attributes({"n": {"$if": "previous", "then": "2", "else": "1"}}, DOCUMENT, RULE, NOW) == {"n": "1"}


@pytest.mark.parametrize(
    ("data", "attributes", "omitted"),
    [
        ("x" * 65_000, {}, None),
        ("x" * 65_536, {}, ["participant.metadata"]),
        ("x" * 10_000, {"a": "y" * 60_000}, ["participant.attributes"]),
        ('"' * 40_000, {"a": "y"}, ["participant.attributes", "participant.metadata"]),
        ({"a": ["€" * 30_000]}, {"a": "y" * 60_000}, ["participant.attributes", "participant.metadata"]),
    ],
)
def test_the_default_document_leaves_out_what_is_too_long(
    data: Any, attributes: dict[str, str], omitted: list[str] | None
) -> None:
    participant = {"identity": "ana", "name": "Ana", "kind": "SIP", "metadata": data, "attributes": attributes}
    text = render_metadata(None, {"participant": participant, "room": {"name": "r"}}, RULE, NOW, 65_536)
    assert len(text.encode()) <= 65_536
    document = json.loads(text)
    assert document.get("omitted") == omitted
    assert document["participant"]["identity"] == "ana"
    for name in ("metadata", "attributes"):
        is_left_out = omitted is not None and f"participant.{name}" in omitted
        assert (name in document["participant"]) is not is_left_out


def test_the_context_and_the_room_are_left_out_last() -> None:
    document = {"participant": {"identity": "ana"}, "room": {"name": "r", "metadata": "m" * 70_000}}
    previous = {**PREVIOUS, "context": "c" * 70_000}
    made = json.loads(render_metadata(None, document, RULE, NOW, 65_536, previous=previous))
    assert made["omitted"] == ["room.metadata", "previous.context"]
    assert made["previous"]["agent_name"] == "greeter"


@pytest.mark.parametrize("size", [64, 65_536])
def test_the_size_limit_counts_bytes(size: int) -> None:
    exact = "ñ" * ((size - 2) // 2)
    assert len(render_metadata(exact, DOCUMENT, RULE, NOW, size).encode()) == size
    assert f"is {size + 1} bytes long, at most {size}" in str(refusal(exact + "x", max_bytes=size))
    document = {"participant": {"metadata": "€" * size}}
    assert "bytes" in str(refusal({"$eval": "participant.metadata"}, document, max_bytes=size))


def test_characters_beyond_the_basic_plane_count_four_bytes() -> None:
    assert metadata("😀" * 10, max_bytes=42) == "😀" * 10
    assert "is 42 bytes long, at most 41" in str(refusal("😀" * 10, max_bytes=41))


def test_half_a_surrogate_pair_is_written_as_an_escape() -> None:
    document = {"participant": {"metadata": "x\ud800", "identity": "é"}}
    text = render_metadata(None, document, RULE, NOW, 65_536)
    assert text.isascii()
    assert json.loads(text)["participant"]["metadata"] == "x\ud800"


def test_attributes_are_strings() -> None:
    assert attributes(None) == {}
    template = {
        "lang": "${participant.metadata.language}",
        "account": {"$eval": "str(participant.metadata.account)"},
        "absent": {"$if": "false", "then": "x"},
    }
    assert attributes(template) == {"lang": "es", "account": "12"}
    with pytest.raises(TemplateError) as raised:
        attributes({"a": 1, "b": None, "c": "fine", "d": {"$eval": "participant.metadata"}})
    assert [problem.path for problem in raised.value.problems] == [
        'attributes["a"]',
        'attributes["b"]',
        'attributes["d"]',
    ]


def test_attributes_may_have_64_kibibytes_of_names_and_values() -> None:
    template = {"a": {"$eval": "participant.metadata"}}

    def rendered(length: int) -> dict[str, str]:
        document = {**DOCUMENT, "participant": {"metadata": "x" * length}}
        return render_attributes(template, document, RULE, NOW)

    assert rendered(65_535) == {"a": "x" * 65_535}
    with pytest.raises(TemplateError, match="65537 bytes"):
        rendered(65_536)


@pytest.mark.parametrize(
    ("template", "message"),
    [
        (["a"], "must be an object"),
        ({"a": "x" * 65_536}, "the template may have at most 65536 characters"),
        ({"ñ": "ñ" * 40_000}, "80002 bytes"),
        ({"a": "\0"}, "NUL"),
        ({"a": "\udc00"}, "surrogate"),
    ],
    ids=["a list", "too long", "too many bytes", "NUL", "surrogate"],
)
def test_attributes_that_livekit_refuses_are_an_error(template: Any, message: str) -> None:
    with pytest.raises(TemplateError, match=message):
        attributes(template)


def nested_maps(levels: int, width: int) -> Any:
    template: Any = 1
    for level in range(levels):
        template = {"$map": list(range(width)), f"each(x{level})": template}
    return template


DOUBLING = {"$eval": "range(0, 64)"}


def doubled(start: str, times: int) -> Any:
    return {"$reduce": {"$eval": f"range(0, {times})"}, "initial": start, "each(a, x)": {"$eval": "a + a"}}


HOSTILE: dict[str, Any] = {
    "power": {"$eval": "9**9**9"},
    "powers": {"$eval": "2**1000*2**1000"},
    "squares": {"$reduce": DOUBLING, "initial": 3, "each(a, x)": {"$eval": "a * a"}},
    "huge range": {"$eval": "range(0, 1000000000)"},
    "endless range": {"$eval": "range(0, 2**1000)"},
    "backward range": {"$eval": "range(1000000000, 0, -1)"},
    "many ranges": {"$map": {"$eval": "range(0, 500)"}, "each(x)": {"$eval": "range(0, 5000)"}},
    "maps in maps": nested_maps(30, 10),
    "maps of ranges": {"$map": {"$eval": "range(0, 9000)"},
                       "each(x)": {"$map": {"$eval": "range(0, 9000)"}, "each(y)": 1}},
    "constant maps": {"$map": list(range(5000)), "each(x)": {"$map": list(range(5000)), "each(y)": 1}},
    "texts doubling": {"$reduce": DOUBLING, "initial": "ab", "each(a, x)": {"$eval": "a + a"}},
    "interpolations doubling": {"$reduce": DOUBLING, "initial": "ab", "each(a, x)": "${a}${a}"},
    "uppercase growing": {"$reduce": DOUBLING, "initial": "ß", "each(a, x)": {"$eval": "uppercase(a + a)"}},
    "lists doubling": {"$reduce": DOUBLING, "initial": [1], "each(a, x)": {"$eval": "[a, a]"}},
    "flat lists doubling": {"$reduce": DOUBLING, "initial": [1],
                            "each(a, x)": {"$flatten": [{"$eval": "a"}, {"$eval": "a"}]}},
    "deep flattening": {"$flattenDeep": {"$reduce": DOUBLING, "initial": [1], "each(a, x)": {"$eval": "[a, a]"}}},
    "objects doubling": {"$reduce": DOUBLING, "initial": {}, "each(a, x)": {"$eval": "{a: a, b: a}"}},
    "json doubling": {"$reduce": DOUBLING, "initial": "x", "each(a, x)": {"$json": [{"$eval": "a"}, {"$eval": "a"}]}},
    "json of shared lists": {"$json": {"$reduce": DOUBLING, "initial": [1], "each(a, x)": {"$eval": "[a, a]"}}},
    "merging": {"$reduce": DOUBLING, "initial": {"x": [1]},
                "each(a, x)": {"$mergeDeep": [{"$eval": "a"}, {"$eval": "a"}]}},
    "equality of shared lists": {
        "$let": {"x": {"$reduce": DOUBLING, "initial": [1], "each(a, x)": {"$eval": "[a, a]"}},
                 "y": {"$reduce": DOUBLING, "initial": [1], "each(a, x)": {"$eval": "[a, a]"}}},
        "in": {"$eval": "x == y"}},
    "depth": {"$reduce": {"$eval": "range(0, 3000)"}, "initial": [], "each(a, x)": {"$eval": "[a]"}},
    "joining": {"$let": {"x": doubled("abcdefgh", 12)},
                "in": {"$eval": "join([x, x, x, x, x, x, x, x, x, x, x, x, x, x, x, x], x)"}},
    "splitting": {"$let": {"x": doubled("ab", 18)},
                  "in": {"$eval": "split(x, '')"}},
    "large parts repeated": {
        "$let": {"x": doubled("ab", 14)},
        "in": {"$map": {"$eval": "range(0, 4000)"}, "each(y)": {"$eval": "x"}}},
    "large scopes copied": {"$let": {f"v{n}": n for n in range(3000)},
                            "in": {"$map": {"$eval": "range(0, 4000)"}, "each(y)": {"$let": {"z": 1}, "in": 1}}},
    "sorting": {"$map": {"$eval": "range(0, 4000)"}, "each(x)": {"$sort": {"$eval": "range(0, 4000)"}}},
    "text search": {"$let": {"x": doubled("aa", 16)},
                    "in": {"$map": {"$eval": "range(0, 5000)"}, "each(y)": {"$eval": "'aab' in x"}}},
    "brackets": {"$eval": "(" * 900 + "1" + ")" * 900},
    "negations": {"$eval": "!" * 1999 + "1"},
    "right-bound powers": {"$eval": "**".join("1" * 900)},
    "long expression": {"$eval": "'" + "x" * 100_000 + "'"},
    "digits": {"$eval": "9" * 1900},
    "many expressions": ["${1}"] * 5000,
    "one text of expressions": "${1}" * 15_000,
    "large template": ["x" * 70_000],
    "offsets": {"$fromNow": "1 " * 90 + "x"},
    "offset of digits": {"$fromNow": "9" * 199},
    "deep template": json.loads("[" * 400 + "]" * 400),
    "deep operators": json.loads('{"$if":"true","then":' * 400 + "1" + "}" * 400),
}  # fmt: skip


@pytest.mark.parametrize("name", HOSTILE)
def test_hostile_templates_are_refused_in_bounded_memory(name: str) -> None:
    template = HOSTILE[name]
    tracemalloc.start()
    problems = check_template(template)
    refused = refusal(template)
    _, peak = tracemalloc.get_traced_memory()
    tracemalloc.stop()
    assert problems
    assert refused.path.startswith("metadata")
    assert len(str(refused)) < 1000
    assert peak < 20_000_000


def test_the_budget_is_counted_in_steps_not_in_time() -> None:
    def template(rounds: int) -> Any:
        return {"$reduce": {"$eval": f"range(0, {rounds})"}, "initial": 0, "each(a, x)": {"$eval": "a + x"}}

    def fits(rounds: int) -> bool:
        try:
            metadata(template(rounds))
        except TemplateError as error:
            return str(MOST_STEPS) not in error.reason
        return True

    low, high = 1, MOST_STEPS
    while high - low > 1:
        middle = (low + high) // 2
        low, high = (middle, high) if fits(middle) else (low, middle)
    assert low == 3998  # the same on every machine


KEYS = st.sampled_from(["$eval", "$if", "then", "$map", "each(x)", "a", "$x", "$let", "in"])
ANY_JSON = st.recursive(
    st.none() | st.text(max_size=8) | st.sampled_from(["${x", "${1}", "a b"]),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(KEYS, inner, max_size=3),
    max_leaves=10,
)


@settings(deadline=None)
@given(ANY_JSON)
def test_any_json_is_rendered_or_refused_with_a_path(template: Any) -> None:
    problems = check_template(template)
    assert all(problem.path.startswith("metadata") for problem in problems)
    try:
        metadata(template)
        path = ""
    except TemplateError as error:
        path = error.path
    assert path.startswith("metadata") if path else template is None or not problems


def test_the_check_finds_everything_at_once() -> None:
    problems = check_template(
        {
            "a": {"$eval": "participnt.metadata"},
            "b": {"$eval": "participant.identiy"},
            "c": {
                "$if": "participant.metadata.anything > 3",
                "then": {"$eval": "1 + 'a'"},
                "else": {"$eval": "rule.nmae"},
            },
            "d": {"$evl": "x"},
            "e": "${",
            "f": {"$map": {"$eval": "participant.metadata.list"}, "each(x)": {"$eval": "lowercase(7)"}},
            "g": {"$switch": {"room.metadata.x == 1": {"$eval": "absent"}}},
            "h": {"$eval": "now + 1"},
        }
    )
    assert {problem.path: problem.suggestion for problem in problems} == {
        "metadata.a.$eval": "participant",
        "metadata.b.$eval": "identity",
        "metadata.c.then.$eval": None,
        "metadata.c.else.$eval": "name",
        "metadata.d.$evl": "$eval",
        "metadata.e": None,
        'metadata.f["each(x)"].$eval': None,
        'metadata.g.$switch["room.metadata.x == 1"].$eval': None,
        "metadata.h.$eval": None,
    }
    assert [problem.path for problem in check_template({"a": 1, "b": {"$eval": "now"}}, "attributes")] == [
        'attributes["a"]'
    ]


@pytest.mark.parametrize(
    "template",
    [
        None,
        "text",
        {"$eval": "participant.metadata"},
        {"$eval": "participant.metadata.customer.name"},
        {"$eval": "participant.newFieldOfLiveKit"},
        {"$eval": "participant.attributes['sip.h.x-account']"},
        {"$eval": "lowercase(participant.metadata.language) + str(participant.metadata.n)"},
        {
            "$if": "'vip' in participant.metadata.tags",
            "then": 1,
            "else": {"$eval": "number(participant.metadata.n) / 2"},
        },
        {"$map": {"$eval": "participant.metadata.items"}, "each(x, i)": {"n": {"$eval": "i + 1"}, "v": "${x.name}"}},
        {"$merge": [{"$eval": "participant.metadata"}, {"rule": {"$eval": "rule.name"}}]},
        {"$mergeDeep": [{"$eval": "participant.metadata"}, {"rule": "x"}]},
        {"$sort": {"$eval": "participant.metadata.items"}, "by(x)": "x.n"},
        {"$reduce": {"$eval": "participant.metadata.items"}, "initial": 0, "each(a, x)": {"$eval": "a + x.n"}},
        {"$find": {"$eval": "participant.metadata.items"}, "each(x)": "x.n > 3"},
        {"$fromNow": "${participant.metadata.minutes} minutes"},
        {"$json": {"$eval": "participant.metadata"}},
        {"$let": {"$eval": "participant.metadata"}, "in": {"$eval": "whatever"}},
        {"$flatten": [{"$eval": "participant.metadata.a"}, {"$eval": "participant.metadata.b"}]},
        {"$match": {"participant.metadata.a == 1": "x"}},
        {"${participant.metadata.key}": "value", "from": {"$eval": "participant.metadata['from']"}},
        {"$eval": "participant.metadata.f(1)[2:].x || !(participant.metadata.y)"},
        {"$eval": "createdAt - participant.joinedAt"},
    ],
)
def test_the_check_lets_pass_what_some_event_can_satisfy(template: Any) -> None:
    assert check_template(template) == []
