"""The key holder's last word on a job: its ledger's releases and everybody's view, signed."""

from __future__ import annotations

import json
from dataclasses import replace

from mezzotint.encrypted.job import Job
from mezzotint.encrypted.manifest import Identity, signed_by
from mezzotint.encrypted.refusal import Refusal
from mezzotint.encrypted.views import views
from mezzotint.encrypted.wire import canonical
from mezzotint.errors import ModelFileError
from mezzotint.privacy.run import Run
from mezzotint.privacy.statement import Statement


def statement_of(job: Job, run: Run) -> Statement:
    """The statement of a job's run, with a view for every party."""
    statement = Statement.of(run)
    return replace(statement, views=views(job, statement.releases))


def signed_statement(job: Job, statement: Statement, identity: Identity) -> bytes:
    """A statement as the key holder sends it."""
    body = canonical({"job": job.id, "statement": statement.to_json()})
    return canonical({"signed": json.loads(body), "signature": identity.sign(body)})


def verified_statement(job: Job, data: bytes) -> Statement:
    """A statement that is the key holder's, and about this job.

    Raises:
        Refusal: if it is not.
    """
    try:
        document = json.loads(data)
        body = canonical(document["signed"])
        right = signed_by(job.key_holder, document["signature"], body)
        if not right or document["signed"]["job"] != job.id:
            raise Refusal("a statement is not the key holder's, or about another job")
        return Statement.from_json(document["signed"]["statement"])
    except (ValueError, KeyError, TypeError, ModelFileError) as error:
        raise Refusal(f"a statement is damaged ({type(error).__name__})") from None
