"""What LiveKit Cloud says of jobs and a self-hosted server does not: `agent_job_*` webhooks, pending jobs, reasons.

Made after the protocol's messages; no such webhook was recorded.
"""

from __future__ import annotations

from dataclasses import dataclass

from app.livekit.vocabulary import JobStatus
from app.simulator.entities import Dispatch, Identifiers, Job, Room
from app.simulator.schedule import Schedule
from app.simulator.webhook_bodies import job_body
from app.simulator.webhooks import Webhooks

STARTED, ENDED, PENDING = "agent_job_started", "agent_job_ended", "agent_job_pending"
"""Spelled out: they are this server's, whether or not Usher's vocabulary has them."""


@dataclass(slots=True)
class JobNews:
    """Reports jobs as LiveKit Cloud does. `enabled` False: as a self-hosted server, which reports nothing."""

    schedule: Schedule
    identifiers: Identifiers
    webhooks: Webhooks
    enabled: bool = False

    def started(self, room: Room, dispatch: Dispatch, job: Job) -> None:
        """Tell that a worker has taken the job."""
        self._tell(STARTED, room, dispatch, job)

    def ended(self, room: Room, dispatch: Dispatch, job: Job) -> None:
        """Tell that the job is over."""
        self._tell(ENDED, room, dispatch, job)

    def pending(self, room: Room, dispatch: Dispatch) -> None:
        """List a job that no worker had capacity for, and report it; automatic dispatches are not waited for."""
        if not self.enabled or not dispatch.agent_name:
            return
        now = self.schedule.now()
        job = Job(
            id=self.identifiers.new("AJ_"),
            dispatch_id=dispatch.id,
            worker_id="",
            identity="",
            status=JobStatus.PENDING,
            assigned_at=now,
            updated_at=now,
            listed_from=self.schedule.monotonic(),
            reason="JSR_NO_CAPACITY",
        )
        dispatch.jobs.append(job)
        self._tell(PENDING, room, dispatch, job)

    def cancel(self, dispatch: Dispatch, reason: str) -> None:
        """Let the pending jobs of a dispatch read CANCELLED, for `reason` (the name of a `JobStateReason`)."""
        for job in dispatch.jobs:
            if job.status is JobStatus.PENDING:
                job.status, job.reason = JobStatus.CANCELLED, reason
                job.updated_at = job.ended_at = self.schedule.now()

    def _tell(self, event: str, room: Room, dispatch: Dispatch, job: Job) -> None:
        if self.enabled:
            self.webhooks.notify(event, room, job=job_body(dispatch, job))
