"""The service without a LiveKit, as the tests of pages and of the API have it."""

from tests.integration.server.conftest import running

__all__ = ["running"]
