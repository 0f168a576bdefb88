"""Undocumented parts of PyJWT, PyYAML, protobuf and the SDK's helpers that Usher uses."""

from __future__ import annotations

from dataclasses import fields
from typing import Any

import jwt
import pytest
import yaml
from google.protobuf.json_format import MessageToDict
from jwt.algorithms import HMACAlgorithm
from jwt.warnings import InsecureKeyLengthWarning
from livekit.api import VideoGrants
from livekit.api.access_token import snake_to_lower_camel
from livekit.protocol.egress import EgressInfo
from livekit.protocol.models import ParticipantInfo
from yaml.resolver import Resolver


@pytest.mark.parametrize(
    "secret", ["-----BEGIN PUBLIC KEY-----\nMFk=\n-----END PUBLIC KEY-----", "ssh-rsa AAAAB3NzaC1yc2E= me"]
)
def test_pyjwt_refuses_an_asymmetric_key_as_hmac_secret(secret: str) -> None:
    with pytest.raises(jwt.InvalidKeyError):
        HMACAlgorithm(HMACAlgorithm.SHA256).prepare_key(secret)


def test_pyjwt_takes_any_other_text_as_hmac_secret() -> None:
    assert HMACAlgorithm(HMACAlgorithm.SHA256).prepare_key("secret") == b"secret"


def test_pyjwt_warns_of_a_short_secret_by_a_class_of_its_own() -> None:
    with pytest.warns(InsecureKeyLengthWarning):
        jwt.encode({}, "short", algorithm="HS256")


@pytest.mark.parametrize(
    ("text", "kind"),
    [("yes", "bool"), ("12", "int"), ("1.5", "float"), ("null", "null"), ("12:30", "int"), ("x", "str")],
)
def test_pyyaml_resolves_a_plain_scalar_as_yaml_1_1_does(text: str, kind: str) -> None:
    resolver: Any = Resolver()
    assert resolver.resolve(yaml.ScalarNode, text, (True, False)) == f"tag:yaml.org,2002:{kind}"


def test_protobuf_says_which_fields_are_repeated_or_in_a_oneof() -> None:
    by_name = ParticipantInfo.DESCRIPTOR.fields_by_name
    assert by_name["tracks"].is_repeated
    assert not by_name["identity"].is_repeated
    by_name = EgressInfo.DESCRIPTOR.fields_by_name
    assert by_name["room_composite"].containing_oneof is by_name["web"].containing_oneof is not None
    assert by_name["egress_id"].containing_oneof is None


def test_protobuf_writes_an_enum_number_that_it_does_not_know_as_a_number() -> None:
    participant = ParticipantInfo(kind=99)  # type: ignore[arg-type] # what a newer LiveKit may send
    assert MessageToDict(participant) == {"kind": 99}


def test_the_sdk_names_grants_in_tokens_by_their_fields_in_camel_case() -> None:
    names = {field.name: snake_to_lower_camel(field.name) for field in fields(VideoGrants)}
    assert names["room_admin"] == "roomAdmin"
    assert names["can_publish_sources"] == "canPublishSources"
    assert names["room"] == "room"
