"""A stand-in LiveKit for the demo and the tests: LiveKit's side, which shares no code with Usher's own delivery.

simulator      the whole server as one object; its control methods
  | connection   the listener, and connections that are cut
  | twirp        routes, tokens (access), scripted faults (faults), protobuf and JSON
  | service      the answers of AgentDispatchService and RoomService (messages)
  | dispatches   written down, offered, listed late, deleted
  | jobs         which worker is asked, who comes, who dies (workers)
  | rooms        who is in; closing when empty
  | webhooks     signed, ordered per room, retried, dropped (webhook_bodies, webhook_faults, poster)
  | ledger       the judge's own list; verdict reads it
  v entities, timing, schedule
control, bulk  the same by HTTP, for a simulator in a process of its own: `python -m app.simulator`
"""

from app.simulator.dispatches import DispatchOrder
from app.simulator.entities import JobStatus, Kind, LeaveReason
from app.simulator.faults import Fault, FaultKind
from app.simulator.ledger import Fate, Ledger
from app.simulator.schedule import LoopSchedule, ManualSchedule
from app.simulator.simulator import SIMULATOR_KEY, SIMULATOR_SECRET, Simulator
from app.simulator.timing import Limits, Timing
from app.simulator.verdict import Unit, Verdict, judge
from app.simulator.webhook_faults import Mishap
from app.simulator.workers import Behaviour, Refusal, Worker

__all__ = [
    "SIMULATOR_KEY",
    "SIMULATOR_SECRET",
    "Behaviour",
    "DispatchOrder",
    "Fate",
    "Fault",
    "FaultKind",
    "JobStatus",
    "Kind",
    "LeaveReason",
    "Ledger",
    "Limits",
    "LoopSchedule",
    "ManualSchedule",
    "Mishap",
    "Refusal",
    "Simulator",
    "Timing",
    "Unit",
    "Verdict",
    "Worker",
    "judge",
]
