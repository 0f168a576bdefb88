"""Which commands take `--server` and `--token`, and the server that was chosen."""

from __future__ import annotations

import functools
import inspect
from collections.abc import Callable
from contextvars import ContextVar
from typing import TYPE_CHECKING, Annotated, Any, Final, TypeVar

import typer

from app.cli.framework.terminal import note
from app.cli.remote.option_names import in_words_of
from app.errors import InvalidInputError, Problem, SettingsError

if TYPE_CHECKING:
    from app.cli.remote.server import Server

C = TypeVar("C", bound=Callable[..., Any])

ServerOption = Annotated[
    str | None,
    typer.Option("--server", metavar="URL", help="use the API of this Usher, not the database (default: USHER_URL)"),
]
TokenOption = Annotated[
    str | None, typer.Option("--token", metavar="TOKEN", help="API token for --server (default: USHER_TOKEN)")
]
_MARK: Final = "works_over_api"
_LOCAL_HOSTS: Final = ("localhost", "127.", "[::1]")
_given: ContextVar[tuple[str | None, str | None]] = ContextVar("_given", default=(None, None))


def over_api(command: C) -> C:
    """Give `--server` and `--token` to a command, which asks `chosen_server`; errors name its options."""

    @functools.wraps(command)
    def run(*arguments: Any, server: str | None = None, token: str | None = None, **options: Any) -> Any:
        keep_choice(server, token)
        try:
            return command(*arguments, **options)
        except SettingsError:
            raise
        except UnicodeEncodeError as error:
            message = f"holds bytes that are not UTF-8: {error.object[:100]!a}"
            raise InvalidInputError("usage", [Problem("arguments", message)]) from error
        except InvalidInputError as error:
            raise in_words_of(command, error) from error

    own = inspect.signature(command, eval_str=True)
    added = [
        inspect.Parameter(name, inspect.Parameter.KEYWORD_ONLY, default=None, annotation=kind)
        for name, kind in (("server", ServerOption), ("token", TokenOption))
    ]
    run.__signature__ = own.replace(parameters=[*own.parameters.values(), *added])  # type: ignore[attr-defined]
    run.__annotations__ = {**inspect.get_annotations(command, eval_str=True), "server": ServerOption,
                           "token": TokenOption}  # fmt: skip
    setattr(run, _MARK, True)
    return run  # type: ignore[return-value]


def works_over_api(command: Callable[..., Any]) -> bool:
    """Return whether a command takes `--server`."""
    return hasattr(command, _MARK)


def local_only(command: C) -> C:
    """Let a command refuse a `--server` that stands before its name."""

    @functools.wraps(command)
    def run(*arguments: Any, **options: Any) -> Any:
        require_no_server()
        return command(*arguments, **options)

    return run  # type: ignore[return-value]


def keep_choice(server: str | None, token: str | None) -> None:
    """Note what `--server` and `--token` were given, before or after the name of the command."""
    before = _given.get()
    _given.set((server if server is not None else before[0], token if token is not None else before[1]))


def require_no_server() -> None:
    """Raise InvalidInputError if `--server` was given to a command that works with the database alone."""
    if _given.get()[0] is not None:
        raise InvalidInputError("usage", [Problem("--server", "is not possible: this command works on this machine")])


def chosen_server() -> Server | None:
    """Return the server of `--server` or USHER_URL; None: the command uses the database."""
    from app.cli.remote.server import Server, parse_server_url  # noqa: PLC0415 - as the next
    from app.settings import process_environment  # noqa: PLC0415 - `usher --help` must not wait for it

    given_url, given_token = _given.get()
    environment = process_environment()
    url = given_url or environment.get("USHER_URL", "").strip()
    token = given_token or environment.get("USHER_TOKEN", "").strip()
    if not url:
        if given_token:
            raise InvalidInputError("usage", [Problem("--token", "needs --server, or USHER_URL")])
        return None
    server = parse_server_url(url)
    if not token:
        problem = Problem("--token", "is needed, or USHER_TOKEN; on the server's machine: usher users token NAME")
        raise InvalidInputError("usage", [problem])
    if not (token.isascii() and token.isprintable()):
        raise InvalidInputError("usage", [Problem("--token", "must be printable ASCII")])
    if server.startswith("http:") and not server.removeprefix("http://").startswith(_LOCAL_HOSTS):
        note(f"The token goes to {server} unencrypted; use https.")
    return Server(server, token)


def editing_server(by: str | None) -> Server | None:
    """Return `chosen_server()` for an edit; InvalidInputError for `--by`, since the server records the token's user."""
    server = chosen_server()
    if server is not None and by is not None:
        raise InvalidInputError(
            "usage", [Problem("--by", "is not possible with --server: the token's user is recorded")]
        )
    return server


def refuse_with_server(**given: Any) -> None:
    """Raise InvalidInputError for options that are not possible over the API: those that are set."""
    flags = [f"--{name.replace('_', '-')}" for name, is_set in given.items() if is_set]
    if flags:
        raise InvalidInputError("usage", [Problem(flag, "is not possible with --server") for flag in flags])
