"""A job's own process: `python -m mezzotint.service.work JOBFOLDER`.

It ends when its stdin does, so that it never outlives the service that started it. Whatever it has
finished lies in the job's folder: the next process goes on from there.

Exit codes: 0 the outcome is written; 75 the key holder does not answer, try again later; 1 what
nobody foresaw.
"""

from __future__ import annotations

import json
import os
import resource
import sys
import threading
import traceback
from pathlib import Path
from typing import Any

from mezzotint.encrypted.provider import ChannelError, ProviderJob
from mezzotint.encrypted.refusal import Refusal
from mezzotint.errors import MezzotintError
from mezzotint.service.connection import Connection
from mezzotint.service.jobs import JobFolder, Outcome, State
from mezzotint.service.logs import to_stream
from mezzotint.service.progress import Pace, Stages, write_progress
from mezzotint.service.remote import RemoteKeyHolder
from mezzotint.service.wire import KEY_HOLDER

LATER = 75
_PATIENCE = 600.0


def main(folder: str) -> int:
    """Work on a job until it has an outcome, or the key holder is away for too long."""
    threading.Thread(target=_end_with_parent, daemon=True).start()
    job, log = JobFolder(Path(folder)), to_stream("provider")
    given = json.loads(job.start.read_text())
    with Connection(given["keyholder"], KEY_HOLDER, patience=_PATIENCE) as line:
        try:
            outcome = _work(job, line, given["token"])
        except ChannelError:
            log("key-holder-away", job=job.id)
            return LATER
        except Refusal as error:
            # The text is the same for every reason; the reason holds ids and sizes.
            log("refused", job=job.id, reason=error.reason)
            outcome = Outcome(State.FAILED, str(error))
        except MezzotintError as error:
            # Everything that a provider sees is public, and so is what its errors say.
            outcome = Outcome(State.FAILED, str(error))
        except Exception as error:
            # Nobody foresaw it: its text stays out of the log, and the service tries again.
            if os.environ.get("MEZZOTINT_DEBUG"):
                raise
            log("failed", job=job.id, reason=f"{type(error).__name__}{_where(error)}")
            return 1
    job.end(outcome)
    return 0


def _work(job: JobFolder, line: Connection, token: str) -> Outcome:
    stages = Stages(Pace(lambda progress: write_progress(job.progress, progress)))
    provider = ProviderJob.open(job.files)
    keyholder = RemoteKeyHolder(line, provider.job.id, token)
    provider.run(keyholder, stages)
    return Outcome(State.DONE, facts=_cost(line, keyholder, stages))


def _cost(line: Connection, keyholder: RemoteKeyHolder, stages: Stages) -> dict[str, Any]:
    """Of this process; a job that was resumed had others before."""
    own, children = (
        resource.getrusage(who) for who in (resource.RUSAGE_SELF, resource.RUSAGE_CHILDREN)
    )
    return {
        "stages": stages.ended(),
        "cpu_seconds": round(sum(u.ru_utime + u.ru_stime for u in (own, children)), 3),
        "peak_mb": round(max(own.ru_maxrss, children.ru_maxrss) * 1024 / 1e6, 1),
        "exchanges": keyholder.exchanges,
        "bytes_to_keyholder": line.sent,
        "bytes_from_keyholder": line.received,
    }


def _where(error: Exception) -> str:
    """The file and the line: enough for a report of a bug."""
    frames = traceback.extract_tb(error.__traceback__)
    return f":{Path(frames[-1].filename).name}:{frames[-1].lineno}" if frames else ""


def _end_with_parent() -> None:
    # Unbuffered: a thread that sits in a buffered read cannot be ended with the process.
    while os.read(sys.stdin.fileno(), 1):
        pass
    os._exit(1)


if __name__ == "__main__":
    sys.exit(main(sys.argv[1]))
