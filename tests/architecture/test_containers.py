"""The image and the compose file expose and allow no more than they need."""

from __future__ import annotations

import re
from pathlib import Path
from typing import Any

import pytest
import yaml

ROOT = Path(__file__).parents[2]
COMPOSE_TEXT = (ROOT / "compose.yaml").read_text("utf-8")
SERVICES: dict[str, dict[str, Any]] = yaml.safe_load(COMPOSE_TEXT)["services"]
DOCKERFILE = (ROOT / "Dockerfile").read_text("utf-8").splitlines()
REQUIRED = re.compile(r"\$\{[A-Z_]+:\?[^}]+\}")


def test_compose_says_that_it_is_for_development() -> None:
    assert COMPOSE_TEXT.startswith("# For development only")


@pytest.mark.parametrize("service", SERVICES)
def test_a_service_cannot_change_its_files_or_gain_rights(service: str) -> None:
    settings = SERVICES[service]
    assert settings["read_only"] is True
    assert settings["cap_drop"] == ["ALL"]
    assert settings["security_opt"] == ["no-new-privileges:true"]
    assert "stop_grace_period" in settings


@pytest.mark.parametrize("service", SERVICES)
def test_ports_are_published_to_this_machine_only(service: str) -> None:
    assert [port for port in SERVICES[service].get("ports", []) if not port.startswith("127.0.0.1:")] == []


def test_every_secret_comes_from_the_environment_and_must_be_set() -> None:
    secrets = {
        f"{service}.{name}": value
        for service, settings in SERVICES.items()
        for name, value in settings["environment"].items()
        if re.search(r"PASSWORD|SECRET|KEY|CONFIG|DATABASE_URL", name)
    }
    assert {"usher.LIVEKIT_API_SECRET", "postgres.POSTGRES_PASSWORD", "livekit.LIVEKIT_CONFIG"} <= secrets.keys()
    assert [name for name, value in secrets.items() if not REQUIRED.search(value)] == []


def test_the_command_in_the_head_of_compose_sets_every_variable_that_is_asked_for() -> None:
    asked = set(re.findall(r"\$\{([A-Z_]+):\?", COMPOSE_TEXT))
    assert asked == set(re.findall(r"([A-Z_]+)=%s", COMPOSE_TEXT))


def test_usher_gets_more_time_to_stop_than_it_takes() -> None:
    """Ten seconds each for requests, deliveries and connections: `timeout_graceful_shutdown` and what follows it."""
    assert int(SERVICES["usher"]["stop_grace_period"].removesuffix("s")) > 30


def test_the_image_runs_as_a_user_without_rights_and_is_checked() -> None:
    steps = [line.split()[0] for line in DOCKERFILE if re.match(r"[A-Z]+ ", line)]
    assert steps.index("USER") < steps.index("ENTRYPOINT")
    assert "HEALTHCHECK" in steps
    (user,) = [line.split()[1] for line in DOCKERFILE if line.startswith("USER ")]
    assert user.isdigit()  # Kubernetes' runAsNonRoot cannot judge a name
    assert int(user) > 0


def test_both_steps_of_the_image_start_from_the_image_that_the_builder_names() -> None:
    bases = [line.split()[1] for line in DOCKERFILE if line.startswith("FROM ")]
    assert bases == ["${PYTHON_IMAGE}", "${PYTHON_IMAGE}"]


def test_the_image_holds_what_the_wheel_is_built_of() -> None:
    copied = {name for line in DOCKERFILE if line.startswith("COPY ") for name in line.split()[1:-1]}
    assert {"pyproject.toml", "README.md", "LICENSE", "app", "migrations"} <= copied
