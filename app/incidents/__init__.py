"""What is wrong: one evaluator's verdicts, which banners, command line, API, metrics and notifications read.

`conditions` decides from `facts`; `changes` compares with what is open; the loop that runs them is a flow.
"""

from app.incidents.incident import Incident
from app.incidents.incident_store import (
    LONGEST_MUTE,
    IncidentFilter,
    count_open,
    get_incident,
    list_incidents,
    mute_incident,
    open_incidents,
)

__all__ = [
    "LONGEST_MUTE",
    "Incident",
    "IncidentFilter",
    "count_open",
    "get_incident",
    "list_incidents",
    "mute_incident",
    "open_incidents",
]
