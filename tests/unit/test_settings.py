from __future__ import annotations

from pathlib import Path

import pytest
from sqlalchemy.engine import make_url

from app.errors import SettingsError
from app.settings import (
    DEVELOPMENT,
    Settings,
    database_url_problem,
    local_url,
    read_settings,
    shown_database_url,
    weak_secrets,
)

LIVEKIT = {"LIVEKIT_URL": "wss://my.livekit.cloud/", "LIVEKIT_API_KEY": "key", "LIVEKIT_API_SECRET": "hunter2"}


def problems_of(environment: dict[str, str], **options: bool) -> dict[str, str]:
    with pytest.raises(SettingsError) as raised:
        read_settings(environment, **options)
    assert "hunter2" not in str(raised.value)
    return {problem.path: problem.message for problem in raised.value.problems}


def test_defaults_are_those_of_the_documentation() -> None:
    settings = read_settings(LIVEKIT)
    assert settings.database_url.get_secret_value() == "sqlite:///usher.db"
    assert (settings.host, settings.port, settings.sweep_interval) == ("127.0.0.1", 8080, 30)
    assert (settings.retention_days, settings.metadata_max_bytes, settings.log_format) == (30, 65536, "console")
    assert [project.url for project in settings.projects] == ["https://my.livekit.cloud"]


def test_every_wrong_setting_is_reported_at_once_without_secrets() -> None:
    problems = problems_of(
        {
            "LIVEKIT_URL": "nonsense",
            "LIVEKIT_API_SECRET": "hunter2",
            "LIVEKIT_KEYS": "a: b\nhunter2",
            "DATABASE_URL": "mysql://root:hunter2@host/db",
            "USHER_PORT": "99999",
            "USHER_SWEEP_INTERVAL": "soon",
            "USHER_METADATA_MAX_BYTES": "-1",
            "USHER_LOG_FORMAT": "xml",
            "USHER_REDACT": "room.sid",
        }
    )
    assert set(problems) == {
        "LIVEKIT_URL",
        "LIVEKIT_API_KEY",
        "LIVEKIT_KEYS",
        "DATABASE_URL",
        "USHER_PORT",
        "USHER_SWEEP_INTERVAL",
        "USHER_METADATA_MAX_BYTES",
        "USHER_LOG_FORMAT",
        "USHER_REDACT",
    }


PUBLIC_KEY = "ssh-rsa AAAAhunter2"


@pytest.mark.parametrize(
    ("environment", "setting", "key"),
    [
        ({"LIVEKIT_API_SECRET": PUBLIC_KEY}, "LIVEKIT_API_SECRET", "key"),
        ({"LIVEKIT_KEYS": f"older: {PUBLIC_KEY}"}, "LIVEKIT_KEYS", "older"),
        ({"LIVEKIT_KEYS": f"key: {PUBLIC_KEY}"}, "LIVEKIT_KEYS", "key"),
    ],
)
def test_a_key_that_is_not_an_api_secret_is_reported_under_its_own_setting(
    environment: dict[str, str], setting: str, key: str
) -> None:
    problems = problems_of({**LIVEKIT, **environment})
    assert problems == {setting: f"holds a PEM, SSH or JSON key for {key!r}, not an API secret"}


def test_a_key_in_a_projects_file_that_is_not_an_api_secret_is_reported_at_its_place(tmp_path: Path) -> None:
    path = tmp_path / "projects.yaml"
    path.write_text(
        "projects:\n"
        f"  - {{name: eu, url: 'wss://eu.example', api_key: k1, api_secret: s1, keys: {{k2: '{PUBLIC_KEY}'}}}}\n"
    )
    problems = problems_of({"USHER_PROJECTS_FILE": str(path)})
    assert list(problems) == ["USHER_PROJECTS_FILE projects[0].keys"]


def test_nothing_set_names_what_is_missing() -> None:
    assert set(problems_of({})) == {"LIVEKIT_URL", "LIVEKIT_API_KEY", "LIVEKIT_API_SECRET"}


def test_dev_needs_nothing_and_overrides_nothing() -> None:
    assert read_settings({}, development=True).livekit_api_key == DEVELOPMENT["LIVEKIT_API_KEY"]
    assert read_settings(LIVEKIT, development=True).livekit_api_key == "key"


def test_commands_that_only_read_the_database_need_no_livekit() -> None:
    assert read_settings({}, without_livekit=True).projects == ()


@pytest.mark.parametrize(
    ("url", "message"),
    [
        ("sqlite://", "names no file"),
        ("sqlite:///:memory:", "names no file"),
        ("sqlite:///file:usher.db?uri=true", "names its file as a URI"),
        ("mysql://localhost/usher", "names the driver 'mysql'"),
        ("usher.db", "is not a database URL"),
    ],
)
def test_a_database_that_could_not_serve_is_refused(url: str, message: str) -> None:
    problem = database_url_problem(url)
    assert problem is not None
    assert problem.path == "DATABASE_URL"
    assert message in problem.message


def test_rotation_keys_verify_besides_the_calling_key() -> None:
    settings = read_settings({**LIVEKIT, "LIVEKIT_KEYS": "old: s1\n\nolder: s:2\n"})
    keys = settings.projects[0].keys
    assert {name: secret.get_secret_value() for name, secret in keys.items()} == {
        "key": "hunter2",
        "old": "s1",
        "older": "s:2",
    }


def test_several_projects_come_from_a_file(tmp_path: Path) -> None:
    path = tmp_path / "projects.yaml"
    path.write_text(
        "projects:\n"
        "  - {name: eu, url: 'wss://eu.example', api_key: k1, api_secret: s1}\n"
        "  - {name: us, url: 'http://us.example:7880', api_key: k2, api_secret: s2, keys: {k3: s3}}\n"
    )
    settings = read_settings({"USHER_PROJECTS_FILE": str(path)})
    assert [(project.name, project.url, sorted(project.keys)) for project in settings.projects] == [
        ("eu", "https://eu.example", ["k1"]),
        ("us", "http://us.example:7880", ["k2", "k3"]),
    ]


@pytest.mark.parametrize(
    ("content", "message"),
    [
        ("projects: []", "needs a list"),
        ("- a", "needs a list"),
        (("projects: [{name: a, url: 'ws://x', api_key: k, api_secret: s}, {name: b, url: 'ws://y', api_key: k, "
         "api_secret: t}]"), "belongs to both"),
        (("projects: [{name: a, url: 'ws://x', api_key: k, api_secret: s}, {name: a, url: 'ws://y', api_key: l, "
         "api_secret: t}]"), "two projects are named"),
        ("{", "is not YAML"),
    ],
)  # fmt: skip
def test_a_wrong_projects_file_is_refused(tmp_path: Path, content: str, message: str) -> None:
    path = tmp_path / "projects.yaml"
    path.write_text(content)
    with pytest.raises(SettingsError, match=message):
        read_settings({"USHER_PROJECTS_FILE": str(path)})


def test_every_setting_is_documented() -> None:
    documented = Path(__file__).parents[2].joinpath(".env.example").read_text("utf-8")
    for field in Settings.model_fields.values():
        if field.alias is not None:
            assert field.alias in documented
            assert field.description


def test_a_secret_key_that_could_be_guessed_is_refused() -> None:
    assert read_settings({**LIVEKIT, "USHER_SECRET_KEY": "k" * 32}).secret_key.get_secret_value() == "k" * 32
    problems = problems_of({**LIVEKIT, "USHER_SECRET_KEY": "hunter2"})
    assert list(problems) == ["USHER_SECRET_KEY"]
    assert "hunter2" not in str(problems)


def test_canaries_need_agents_and_time() -> None:
    canaries = {**LIVEKIT, "USHER_CANARY_AGENTS": " greeter, tokyo/desk ,", "USHER_CANARY_INTERVAL": "60"}
    assert read_settings(canaries).canary_agents == ("greeter", "tokyo/desk")
    assert read_settings(LIVEKIT).canary_interval == 0
    assert set(problems_of({**canaries, "USHER_CANARY_INTERVAL": "5"})) == {"USHER_CANARY_INTERVAL"}
    assert set(problems_of({**canaries, "USHER_CANARY_AGENTS": ","})) == {"USHER_CANARY_AGENTS"}


@pytest.mark.parametrize("wrapped", ["{}\n", " {} ", '"{}"', "'{}'\n", '" {} "'])
def test_white_space_and_quotes_around_values_are_removed(wrapped: str) -> None:
    plain = {
        **LIVEKIT,
        "DATABASE_URL": "sqlite:///u.db",
        "USHER_PORT": "9000",
        "USHER_HOST": "::",
        "USHER_REDACT": "a,b",
    }
    settings = read_settings({name: wrapped.format(text) for name, text in plain.items()})
    assert settings == read_settings(plain)
    assert settings.projects[0].api_secret.get_secret_value() == "hunter2"
    assert (settings.port, settings.host, settings.redact) == (9000, "::", ("a", "b"))


def test_white_space_and_quotes_around_rotation_keys_are_removed() -> None:
    for text in ('"old: s1\n older : s2 \n"', "'old': \"s1\"\n'older': 's2'", "old:s1\r\nolder:s2"):
        keys = read_settings({**LIVEKIT, "LIVEKIT_KEYS": text}).projects[0].keys
        assert [keys[name].get_secret_value() for name in ("key", "old", "older")] == ["hunter2", "s1", "s2"]


@pytest.mark.parametrize("name", ["LIVEKIT_API_SECRET", "LIVEKIT_API_KEY", "DATABASE_URL", "USHER_LOG_FORMAT"])
def test_a_quotation_mark_at_one_end_is_refused_by_name(name: str) -> None:
    assert problems_of({**LIVEKIT, name: '"hunter2'}) == {name: "has a quotation mark at one end only; remove it"}


@pytest.mark.parametrize("text", ["$PORT", "${PORT}", "${PORT:-8080}", "%PORT%", "{{ port }}"])
@pytest.mark.parametrize("name", ["USHER_PORT", "LIVEKIT_API_SECRET", "LIVEKIT_URL", "DATABASE_URL"])
def test_a_variable_that_nothing_has_filled_in_is_refused_by_name(name: str, text: str) -> None:
    problems = problems_of({**LIVEKIT, name: text})
    assert problems == {name: f"is {text!r}: a variable whose value nothing has put in its place"}


@pytest.mark.parametrize("text", ["", " ", '""', "\n"])
def test_an_empty_value_counts_as_unset(text: str) -> None:
    assert read_settings({**LIVEKIT, "USHER_PORT": text}).port == 8080
    assert problems_of({**LIVEKIT, "LIVEKIT_API_SECRET": text}) == {"LIVEKIT_API_SECRET": "is missing"}


@pytest.mark.parametrize(
    ("url", "api"),
    [
        ("WSS://news.example.com", "https://news.example.com"),
        ("Ws://ws.example.com:7880/", "http://ws.example.com:7880"),
        ("HTTPS://example.com/livekit/", "https://example.com/livekit"),
        ("ws://[::1]:7880", "http://[::1]:7880"),
    ],
)
def test_the_scheme_of_the_livekit_url_may_be_in_upper_case(url: str, api: str) -> None:
    assert read_settings({**LIVEKIT, "LIVEKIT_URL": url}).projects[0].url == api


@pytest.mark.parametrize(
    ("url", "message"),
    [
        ("postgresql://odd:p@sshunter2@db/usher", "write an @ in the user name or password as %40"),
        ("postgresql://odd:hunter2@db:$PORT/usher", "has a port that is no number"),
        ("postgresql://odd:hunter2@db:/usher", "has a port that is no number"),
    ],
)
def test_a_wrong_database_url_is_one_problem_without_its_password(url: str, message: str) -> None:
    problems = problems_of({**LIVEKIT, "DATABASE_URL": url})
    assert list(problems) == ["DATABASE_URL"]
    assert message in problems["DATABASE_URL"]
    assert "hunter" not in problems["DATABASE_URL"]


@pytest.mark.parametrize(
    ("url", "shown"),
    [
        ("postgresql://odd:hunter2@db/usher", "postgresql://odd:***@db/usher"),
        ("postgresql://db/usher?password=hunter2&user=odd", "postgresql://db/usher?password=***&user=odd"),
        ("postgresql://db/usher?sslpassword=hunter2", "postgresql://db/usher?sslpassword=***"),
        ("postgresql://db/usher?pasword=hunter2", "postgresql://db/usher?pasword=***"),
        ("postgresql://db/usher?sslmode=require", "postgresql://db/usher?sslmode=require"),
        ("sqlite:////var/a%b/usher.db", "sqlite:////var/a%b/usher.db"),
    ],
)
def test_a_shown_database_url_has_no_password(url: str, shown: str) -> None:
    assert shown_database_url(make_url(url)) == shown


@pytest.mark.parametrize(
    ("host", "url"),
    [
        ("127.0.0.1", "http://127.0.0.1:80"),
        ("0.0.0.0", "http://127.0.0.1:80"),  # noqa: S104 - a setting
        ("::", "http://[::1]:80"),
        ("2001:db8::7", "http://[2001:db8::7]:80"),
        ("usher.internal", "http://usher.internal:80"),
    ],
)
def test_the_url_of_an_address_that_is_listened_on(host: str, url: str) -> None:
    assert local_url(host, 80) == url


@pytest.mark.parametrize(
    "url",
    ["usher.example.com", "ftp://a", "https://", "https://a/usher", "https://a?x", "https://u:p@a", "https://a:x"],
)
def test_a_public_url_is_scheme_host_and_port(url: str) -> None:
    assert problems_of({**LIVEKIT, "USHER_PUBLIC_URL": url}).keys() == {"USHER_PUBLIC_URL"}
    assert read_settings({**LIVEKIT, "USHER_PUBLIC_URL": "https://a:8443/"}).public_url == "https://a:8443"


@pytest.mark.parametrize(
    ("secret", "is_weak"),
    [
        ("x", True),
        ("secret", True),
        ("a" * 40, True),
        ("s" * 31 + "t", True),
        ("1234567890" * 4, True),
        ("changeme-changeme-changeme-changeme", True),
        ("a secret of at least thirty-two bytes", False),
    ],
)
def test_a_secret_that_can_be_guessed_is_a_warning(secret: str, is_weak: bool) -> None:
    main = read_settings({**LIVEKIT, "LIVEKIT_API_SECRET": secret})
    strong = {**LIVEKIT, "LIVEKIT_API_SECRET": "0123456789abcdefghijklmnopqrstuvwxyz"}
    further = read_settings({**strong, "LIVEKIT_KEYS": f"older: {secret}"})
    found = [*weak_secrets(main), *weak_secrets(further)]
    assert [warning.path for warning in found] == (["LIVEKIT_API_SECRET", "LIVEKIT_KEYS"] if is_weak else [])
    assert "hunter2" not in str(found)


def test_a_key_has_one_secret() -> None:
    again = problems_of({**LIVEKIT, "LIVEKIT_KEYS": "key: another secret"})
    assert list(again) == ["LIVEKIT_KEYS"]
    assert "another secret than LIVEKIT_API_SECRET" in again["LIVEKIT_KEYS"]
    assert list(problems_of({**LIVEKIT, "LIVEKIT_KEYS": "older: one\nolder: two"})) == ["LIVEKIT_KEYS"]
    same = read_settings({**LIVEKIT, "LIVEKIT_KEYS": "key: hunter2\nolder: one"})
    assert set(same.projects[0].keys) == {"key", "older"}


def test_projects_have_their_own_redaction_and_retention(tmp_path: Path) -> None:
    file = tmp_path / "projects.yaml"
    entry = "  - {name: %s, url: 'ws://a', api_key: key-%s, api_secret: a-secret-of-twenty-bytes%s}\n"
    own = ", redact: [participant.metadata.ssn], retention_days: 0.5"
    file.write_text("projects:\n" + entry % ("plain", "a", "") + entry % ("own", "b", own))
    settings = read_settings({"USHER_PROJECTS_FILE": str(file), "USHER_REDACT": "participant.name"})
    assert settings.redact_of("plain") == settings.redact_of("unknown") == ("participant.name",)
    assert settings.redact_of("own") == ("participant.metadata.ssn",)
    assert (settings.retention_days_of("plain"), settings.retention_days_of("own")) == (30, 0.5)
    assert settings.all_redacted == ("participant.name", "participant.metadata.ssn")


@pytest.mark.parametrize(
    "wrong",
    ["redact: [room.sid]", "redact: {a: b}", "retention_days: -1", "retention_days: soon", "retention_days: 36501"],
)
def test_a_wrong_redaction_or_retention_of_a_project_is_refused(tmp_path: Path, wrong: str) -> None:
    file = tmp_path / "projects.yaml"
    file.write_text(f"projects:\n  - {{name: a, url: 'ws://a', api_key: k, api_secret: hunter2, {wrong}}}\n")
    (path,) = problems_of({"USHER_PROJECTS_FILE": str(file)})
    assert path == f"USHER_PROJECTS_FILE projects[0].{wrong.partition(':')[0]}"


def test_a_misspelt_field_of_a_project_is_refused(tmp_path: Path) -> None:
    file = tmp_path / "projects.yaml"
    file.write_text(
        "projects:\n  - {name: a, url: 'ws://a', api_key: k, api_secret: hunter2, redacts: [participant.name]}\n"
    )
    problems = problems_of({"USHER_PROJECTS_FILE": str(file)})
    assert list(problems) == ["USHER_PROJECTS_FILE projects[0].redacts"]
    with pytest.raises(SettingsError, match=r"is no field of a project.*Did you mean 'redact'"):
        read_settings({"USHER_PROJECTS_FILE": str(file)})


def test_a_field_of_a_project_beside_the_list_is_refused_and_what_yaml_refers_to_is_not(tmp_path: Path) -> None:
    file = tmp_path / "projects.yaml"
    entry = "common: &common {url: 'ws://a', api_secret: hunter2}\nprojects:\n  - {<<: *common, name: a, api_key: k}\n"
    file.write_text(entry)
    assert [one.name for one in read_settings({"USHER_PROJECTS_FILE": str(file)}).projects] == ["a"]
    file.write_text(f"{entry}redact: [participant.name]\n")
    assert list(problems_of({"USHER_PROJECTS_FILE": str(file)})) == ["USHER_PROJECTS_FILE.redact"]


@pytest.mark.parametrize("days", ["1e6", "inf", "nan", "-1", "36501"])
@pytest.mark.parametrize(
    "name",
    ["USHER_RETENTION_DAYS", "USHER_RETENTION_BODIES_DAYS", "USHER_READS_RETENTION_DAYS", "USHER_ACCESS_LOG_DAYS"],
)
def test_days_before_which_there_is_no_date_are_refused_by_name(name: str, days: str) -> None:
    assert name in problems_of({**LIVEKIT, name: days})


def test_a_rate_that_is_no_number_is_refused() -> None:
    for rate in ("inf", "nan"):
        assert set(problems_of({**LIVEKIT, "USHER_CALLS_PER_SECOND": rate})) == {"USHER_CALLS_PER_SECOND"}


def test_bodies_cannot_be_kept_longer_than_their_events() -> None:
    problems = problems_of({**LIVEKIT, "USHER_RETENTION_DAYS": "7", "USHER_RETENTION_BODIES_DAYS": "8"})
    assert set(problems) == {"USHER_RETENTION_BODIES_DAYS"}
    assert "USHER_RETENTION_DAYS" in problems["USHER_RETENTION_BODIES_DAYS"]
    for days, of_bodies in (("7", "7"), ("0", "8"), ("7", "0")):
        read_settings({**LIVEKIT, "USHER_RETENTION_DAYS": days, "USHER_RETENTION_BODIES_DAYS": of_bodies})


@pytest.mark.parametrize(("of_project", "is_refused"), [("30", False), ("0", False), ("6", True)])
def test_a_project_may_keep_events_as_long_as_bodies(tmp_path: Path, of_project: str, is_refused: bool) -> None:
    file = tmp_path / "projects.yaml"
    entry = f"name: a, url: 'ws://a', api_key: k, api_secret: s, retention_days: {of_project}"
    file.write_text(f"projects: [{{{entry}}}]")
    environment = {
        "USHER_PROJECTS_FILE": str(file),
        "USHER_RETENTION_DAYS": "7",
        "USHER_RETENTION_BODIES_DAYS": "20",
    }
    if is_refused:
        assert set(problems_of(environment)) == {"USHER_RETENTION_BODIES_DAYS"}
    else:
        read_settings(environment)
    read_settings(environment, without_livekit=True)  # the projects' own days are not read
