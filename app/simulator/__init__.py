"""A stand-in LiveKit for `usher demo` and the tests; it shares no code with Usher's own delivery.

simulator        the whole server as one object, and what callers and workers do
  | api          HTTP: listener and cut connections (connection), routes and protobuf or JSON (twirp), tokens (access),
  |              scripted faults (faults), the answers of the two services (service, messages), webhook client (poster)
  | dispatches   stored, offered to workers, listed late, deleted
  | jobs         which worker is asked, which agents join, die, are removed (workers); what an agent does in its room
  |              (stays); what LiveKit Cloud tells of jobs (job_news)
  | phones       calls from and to telephones: ringing, answered, busy
  | rooms        participants; closing when empty; nodes and Redis lost
  | webhooks     signed, ordered per room, retried, dropped (webhook_bodies)
  | ledger       everything that happened, for tests to judge by
  v entities, timing, schedule
"""

from app.simulator.agents.workers import Behaviour, Refusal, Worker
from app.simulator.api.faults import Fault, FaultKind
from app.simulator.entities import DispatchOrder, Grants
from app.simulator.ledger import Fate, Ledger
from app.simulator.schedule import LoopSchedule, ManualSchedule
from app.simulator.simulator import SIMULATOR_KEY, SIMULATOR_SECRET, Simulator
from app.simulator.timing import Limits, Timing

__all__ = [
    "SIMULATOR_KEY",
    "SIMULATOR_SECRET",
    "Behaviour",
    "DispatchOrder",
    "Fate",
    "Fault",
    "FaultKind",
    "Grants",
    "Ledger",
    "Limits",
    "LoopSchedule",
    "ManualSchedule",
    "Refusal",
    "Simulator",
    "Timing",
    "Worker",
]
