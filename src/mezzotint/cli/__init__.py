"""The command line: `mezzotint COMMAND`.

app.py        the tree of commands
failures.py   what a failure prints, and its exit code
talk.py       results on stdout, notes and progress on stderr
options.py    options that several commands share
inputs.py     schemas, domains, tables and conditions, as they are written on a command line
places.py     where results go, checked before anything is spent
job.py        fit, draw, write, report: what `fit`, `sample`, `synthesize` and `demo` are made of

schemas.py    schema draft, confirm, check       asking.py: confirm on a terminal
fitting.py    plan, fit, sample, synthesize
reports.py    report
demo.py       demo
images.py     images fit, sample, plan           image_evaluation.py: images evaluate
encrypting.py keys create, encrypt               services.py: provider serve, keyholder serve
submitting.py submit
statements.py statement key, write; verify
auditing.py   audit
ledgers.py    ledger show, cap, verify, export, settle, forget

Exit codes: 0 done; 1 failed; 2 the command or its input is to be mended; 130 interrupted.
"""

from __future__ import annotations

import sys
from collections.abc import Sequence


def main(arguments: Sequence[str] | None = None) -> int:
    """Run a command; returns the exit code.

    Args:
        arguments: the words after `mezzotint`; by default those of this process.
    """
    words = list(sys.argv[1:] if arguments is None else arguments)
    try:
        from mezzotint.cli.app import run

        return run(words, own_process=arguments is None)
    except (Exception, KeyboardInterrupt) as error:
        from mezzotint.cli.failures import report_failure

        return report_failure(error, as_json="--json" in words)
