"""Flow control of a connection whose next requests wait."""

from __future__ import annotations

from typing import Any

from uvicorn.protocols.http.flow_control import FlowControl


class HeldFlow(FlowControl):
    """Keeps reading paused while `is_held`, though uvicorn asks to resume it when its buffers have emptied."""

    def __init__(self, transport: Any) -> None:
        super().__init__(transport)
        self.is_held = False

    def resume_reading(self) -> None:
        if not self.is_held:
            super().resume_reading()
