"""The executor: which jobs go alone, how those that go together are sent, watched and cancelled."""

import re
import shlex
import shutil
import subprocess
import time
import uuid
from collections.abc import AsyncGenerator
from contextlib import suppress
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import snakemake_executor_plugin_slurm as slurm
from snakemake_executor_plugin_slurm.job_status_query import (
    query_job_status,
    query_job_status_sacct,
    query_job_status_squeue,
)
from snakemake_executor_plugin_slurm.submit_string import get_submit_command
from snakemake_executor_plugin_slurm.utils import get_job_wildcards, set_gres_string
from snakemake_executor_plugin_slurm.validation import (
    validate_or_get_slurm_job_id,
    validate_slurm_extra,
)
from snakemake_executor_plugin_slurm_jobstep import get_cpu_setting
from snakemake_interface_common.exceptions import WorkflowError
from snakemake_interface_executor_plugins.executors.base import SubmittedJobInfo

from fedscape.jobs.submissions import (
    SUBMISSIONS,
    Member,
    exit_code,
    exit_file,
    submission_comment,
    write_tasks,
)
from snakemake_executor_plugin_fedscape_slurm.gathering import Asked, Gathering, Job, pack_size, submissions

LONGEST_PAUSE = 180  # seconds between two looks, as the plug-in has it
PAUSE_GROWS = 10  # seconds that a look which finds none ended adds to the next pause
DAY = 86400
# States of SLURM's in which a job has not ended, or is put back into the queue.
GOING_ON = {
    *("PENDING", "CONFIGURING", "RUNNING", "COMPLETING", "SUSPENDED", "STOPPED", "RESIZING", "SIGNALING"),
    *("STAGE_OUT", "REQUEUED", "REQUEUE_FED", "REQUEUE_HOLD", "SPECIAL_EXIT", "RESV_DEL_HOLD", "PREEMPTED"),
}
# The task is a step within the batch script: steps get the signal that announces the time limit.
SCRIPT = """\
#!/bin/sh
exec srun --ntasks=1 --nodes=1 --cpu-bind=q {cpus} {python} -m fedscape.jobs.members {folder} \
"${{SLURM_ARRAY_TASK_ID:-1}}" \
"${{SLURM_ARRAY_JOB_ID:-$SLURM_JOB_ID}}${{SLURM_ARRAY_TASK_ID:+_$SLURM_ARRAY_TASK_ID}}.log"
"""


@dataclass
class ExecutorSettings(slurm.ExecutorSettings):
    """The settings of the SLURM plug-in, and how long jobs wait for others."""

    gather_seconds: int = field(
        default=30,
        metadata={
            "help": "Seconds that a job of a pack or an array waits for another one; four times as long "
            "where others keep coming.",
            "env_var": False,
            "required": False,
        },
    )


@dataclass
class SentMember(SubmittedJobInfo):
    """A job that was sent with others. `external_jobid` is that of its task, `7` or `7_1`.

    log: SLURM's of the job. task_log: SLURM's of its task. exit_file: where the job keeps how it has ended.
    """

    log: Path = Path()
    task_log: Path = Path()
    exit_file: Path = Path()


class Executor(slurm.Executor):
    """Sends jobs with the resource `pack`, and those of `array_jobs`, together; others alone."""

    workflow: Any  # the plug-ins' interface lacks half of what Snakemake's has

    def __post_init__(self, test_mode: bool = False) -> None:
        super().__post_init__(test_mode)
        settings = self.workflow.executor_settings
        self._gathering = Gathering(settings.gather_seconds, self._enough, self._send)
        # What the last look at the queue was about.
        self._looked_at: list[SubmittedJobInfo] = []
        # By exit file: when the task of a member was first seen to have ended, and the member not.
        self._missed: dict[Path, float] = {}
        # By folder of a submission: exit files of its members that have not ended well.
        self._left: dict[Path, set[Path]] = {}
        _remove_old(SUBMISSIONS, settings.delete_logfiles_older_than)

    # ---- Sending ----

    def run_jobs(self, jobs: list[Job]) -> None:
        """Send jobs that go alone, and have the others wait for each other."""
        together = [job for job in jobs if not job.is_group() and self._enough(job) > 1]
        alone = [job for job in jobs if job not in together]
        if alone:
            super().run_jobs(alone)
        for job in together:
            self.run_job_pre(job)
        self._gathering.add(together)

    def _tasks(self, job: Job) -> int:
        """How many tasks a submission of jobs like this one may have."""
        return self.max_array_size if self.array_jobs & {"all", job.rule.name} else 1

    def _enough(self, job: Job) -> int:
        return pack_size(job) * self._tasks(job)

    def _send(self, jobs: list[Job]) -> None:
        """Send jobs that ask for the same, unless Snakemake was told to stop while they waited."""
        if _is_stopping(self.workflow.scheduler):
            self._withdraw(jobs)
            return
        for tasks in submissions(jobs, pack_size(jobs[0]), self._tasks(jobs[0])):
            with suppress(RuntimeError):  # cancelled meanwhile: the pool takes nothing more
                if tasks == [[tasks[0][0]]]:
                    self._job_submission_executor.submit(self.run_job, tasks[0][0])
                else:
                    self._job_submission_executor.submit(self._submit, tasks)

    def _withdraw(self, jobs: list[Job]) -> None:
        """Have Snakemake's scheduler forget jobs that it takes for running, and would wait for.

        It has no word for that. Reported as failed, they would lose the outputs of an earlier time.
        """
        self.logger.info(f"{len(jobs)} jobs that waited to be sent with others are not sent any more.")
        scheduler = self.workflow.scheduler
        with scheduler._lock:
            scheduler.running.difference_update(jobs)
        scheduler._open_jobs.release()

    def _submit(self, tasks: list[list[Job]]) -> None:
        members = [job for task in tasks for job in task]
        try:
            self._sbatch(tasks)
        except Exception as error:  # told of each job: one that nobody hears of would be waited for
            for job in members:
                self._report_job_error_threadsafe(
                    SubmittedJobInfo(job), f"Not sent, with {len(members) - 1} others: {error}\n"
                )

    def _sbatch(self, tasks: list[list[Job]]) -> None:
        first: Job = tasks[0][0]
        asked: Job = Asked(tasks[0])
        validate_slurm_extra(first)
        name = uuid.uuid4().hex[:12]
        folder = (SUBMISSIONS / name).resolve()
        write_tasks(folder, [[self._member(job) for job in task] for task in tasks])
        is_array = len(tasks) > 1
        params = {
            "run_uuid": self.run_uuid,
            "slurm_logfile": folder / ("%a.log" if is_array else "1.log"),
            "comment_str": submission_comment(first.rule.name, name),
            "account": next(self.get_account_arg(first)),
            "partition": self.get_partition_arg(asked),
            "workdir": self.workflow.workdir_init,
        }
        settings = self.workflow.executor_settings
        call = get_submit_command(asked, params, settings=settings, failed_nodes=self._failed_nodes)
        call += set_gres_string(asked) + (f" --array=1-{len(tasks)}" if is_array else "") + " /dev/stdin"
        script = SCRIPT.format(
            cpus=get_cpu_setting(asked, bool(first.resources.get("gpu"))),
            python=self.get_python_executable(),
            folder=shlex.quote(str(folder)),
        )
        self.logger.debug(f"sbatch call: {call}\n{script}")
        sent = subprocess.run(call, shell=True, input=script, text=True, capture_output=True)
        if sent.returncode:
            raise WorkflowError(f"sbatch failed: {sent.stderr.strip()}\n    {call}")
        number = str(validate_or_get_slurm_job_id(sent.stdout.strip().split(";")[0], sent.stdout))
        self._note_cluster(first)
        numbers = ", ".join(str(job.jobid) for task in tasks for job in task)
        self.logger.info(f"Jobs {numbers} have been sent as SLURM job {number}, of {len(tasks)} tasks.")
        self._report_members(folder, tasks, number)

    def _report_members(self, folder: Path, tasks: list[list[Job]], number: str) -> None:
        sent = []
        for index, task in enumerate(tasks, start=1):
            external = f"{number}_{index}" if len(tasks) > 1 else number
            for place, job in enumerate(task):
                log, file = self._logs(job) / f"{external}.log", exit_file(folder, index, place)
                sent.append(SentMember(job, external, None, log, folder / f"{index}.log", file))
        self._left[folder] = {member.exit_file for member in sent}
        for member in sent:
            self._report_job_submission_threadsafe(member)

    def _note_cluster(self, job: Job) -> None:
        for name in ("cluster", "clusters", "slurm_cluster"):
            if job.resources.get(name):
                self._submitted_job_clusters.add(job.resources.get(name))

    def _logs(self, job: Job) -> Path:
        """Where the plug-in keeps SLURM's logs of a job."""
        return self.slurm_logdir / f"rule_{job.rule.name}" / get_job_wildcards(job)

    def _member(self, job: Job) -> Member:
        wildcards = get_job_wildcards(job)
        comment = f"rule_{job.rule.name}" + (f"_wildcards_{wildcards}" if wildcards else "")
        # A member's Snakemake runs its job itself: steps of SLURM's would wait for each other's GPU.
        call = self.format_job_exec(job).replace(self.additional_general_args(), "")
        return Member(comment, call, str(self._logs(job)))

    # ---- Watching ----

    async def check_active_jobs(
        self, active_jobs: list[SubmittedJobInfo]
    ) -> AsyncGenerator[SubmittedJobInfo, None]:
        """Report what has ended and yield what has not."""
        self._looked_at = [*active_jobs]
        members = [sent for sent in active_jobs if isinstance(sent, SentMember)]
        alone = [sent for sent in active_jobs if not isinstance(sent, SentMember)]
        pause = self.next_seconds_between_status_checks or 0
        async for sent in super().check_active_jobs(alone):
            yield sent
        if not members:
            return
        left = [member for member in members if not self._report_ended(member)]
        states = await self._states() if left else {}
        left = [member for member in left if not self._report_lost(member, states)]
        for member in left:
            yield member
        first = self.workflow.executor_settings.init_seconds_before_status_checks
        if len(left) < len(members):
            self.next_seconds_between_status_checks = first
        elif not alone:
            self.next_seconds_between_status_checks = min(max(pause, first) + PAUSE_GROWS, LONGEST_PAUSE)

    def _report_ended(self, member: SentMember) -> bool:
        """Whether a member has kept how it ended."""
        code = exit_code(member.exit_file)
        if code:
            self._report_failed(member, f"exit code {code}")
        elif code == 0:
            self.report_job_success(member)
            self._clear(member)
        return code is not None

    def _report_lost(self, member: SentMember, states: dict[str, str]) -> bool:
        """Whether a member has ended with its task, without a word.

        What was written on another node may be seen later than what SLURM says.
        """
        state = states.get(member.external_jobid or "")
        is_requeued = state == "NODE_FAIL" and self.workflow.executor_settings.requeue
        if state is None or state in GOING_ON or is_requeued:
            self._missed.pop(member.exit_file, None)
            return False
        since = self._missed.setdefault(member.exit_file, time.monotonic())
        is_lost = time.monotonic() - since >= self.workflow.execution_settings.latency_wait
        if is_lost:
            self._report_failed(member, f"SLURM says {state}")
        return is_lost

    def _report_failed(self, member: SentMember, how: str) -> None:
        logs = [str(path) for path in (member.log, member.task_log)]
        self.report_job_error(member, msg=f"In SLURM job {member.external_jobid}: {how}. ", aux_logs=logs)

    def _clear(self, member: SentMember) -> None:
        """Remove what nobody needs of a member that has ended well; with the last of them, the submission."""
        if not self.workflow.executor_settings.keep_successful_logs:
            with suppress(OSError):
                member.log.unlink(missing_ok=True)
        folder = member.exit_file.parent
        self._left[folder].discard(member.exit_file)
        if not self._left[folder]:
            shutil.rmtree(folder, ignore_errors=True)

    async def _states(self) -> dict[str, str]:
        """SLURM's state of each task; empty where SLURM does not answer."""
        is_sacct = self.get_status_command() == "sacct"
        query = query_job_status_sacct if is_sacct else query_job_status_squeue
        # `JobIdRaw` numbers the tasks of an array as if they were none; long lists of tasks are cut short.
        command = "env SLURM_BITSTR_LEN=0 " + str(query(self.run_uuid)).replace("JobIdRaw", "JobID")
        async with self.status_rate_limiter:
            found, _ = await query_job_status(command, self.logger)
        # sacct has more to say of what was cancelled: by whom.
        return {task: state.split()[0] for key, state in (found or {}).items() for task in expanded(key)}

    # ---- Ending ----

    def cancel(self) -> None:
        """Cancel what was sent; what waits to be sent, never is."""
        self._gathering.close()
        self._job_submission_executor.shutdown(wait=True, cancel_futures=True)
        super().cancel()

    def cancel_jobs(self, active_jobs: list[SubmittedJobInfo]) -> None:
        """Cancel each task once.

        Those that are looked at, too: Snakemake counts them among no active jobs while SLURM is asked.
        """
        sent = {job.external_jobid: job for job in (*self._looked_at, *active_jobs)}
        super().cancel_jobs([*sent.values()])

    def shutdown(self) -> None:
        """Send nothing more."""
        self._gathering.close()
        super().shutdown()


def expanded(number: str) -> list[str]:
    """The tasks that squeue and sacct mean: by `7_[1,4-5%2]` they mean `7_1`, `7_4` and `7_5`."""
    job, bracket, tasks = number.partition("_[")
    if not bracket:
        return [number]
    found = re.findall(r"(\d+)(?:-(\d+))?(?::(\d+))?", tasks.partition("%")[0])
    ranges = (range(int(start), int(end or start) + 1, int(step or 1)) for start, end, step in found)
    return [f"{job}_{task}" for one in ranges for task in one]


def _is_stopping(scheduler: object) -> bool:
    """Whether Snakemake got SIGTERM: it sends nothing more, and waits for what runs."""
    return getattr(scheduler, "_user_kill", None) is not None


def _remove_old(folder: Path, days: int) -> None:
    """Remove submissions as old as the plug-in's logs may become."""
    for submission in folder.glob("*") if days > 0 else ():
        with suppress(OSError):
            if time.time() - submission.stat().st_mtime > days * DAY:
                shutil.rmtree(submission)
