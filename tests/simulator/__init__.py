"""What tests need of the simulator besides what `usher demo` ships.

`python -m tests.simulator` runs it in a process of its own, controlled over HTTP (`control`). `webhook_faults` loses
and delays webhooks, `bulk` lets many callers join, `verdict` judges from the simulator's ledger who got an agent.
"""

from tests.simulator.simulator import Simulator
from tests.simulator.verdict import Unit, Verdict, judge
from tests.simulator.webhook_faults import Mishap

__all__ = ["Mishap", "Simulator", "Unit", "Verdict", "judge"]
