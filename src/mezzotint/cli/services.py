"""provider serve, keyholder serve."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from mezzotint.cli import options
from mezzotint.cli.talk import Talk
from mezzotint.errors import MezzotintError, ParameterError

provider = typer.Typer(
    help="Compute on ciphertexts for data holders: sees no rows and no exact counts.",
    no_args_is_help=True,
)
keyholder = typer.Typer(
    help="Hold the secret key: decrypt what a signed plan allows, with noise.",
    no_args_is_help=True,
)

Port = Annotated[int, typer.Option("--port", min=0, max=65535, help="0 takes a free one.")]
Host = Annotated[
    str,
    typer.Option(
        "--host", metavar="ADDRESS", help="Where to listen; this machine only by default."
    ),
]


@provider.callback()
def _provider() -> None:
    pass


@keyholder.callback()
def _keyholder() -> None:
    pass


@provider.command("serve")
def serve_provider(
    *,
    store: Annotated[
        Path, typer.Option("--store", metavar="FOLDER", help="Where uploads and results are kept.")
    ],
    port: Port = 8401,
    host: Host = "127.0.0.1",
    keyholder: Annotated[
        str | None,
        typer.Option(
            "--keyholder",
            metavar="URL",
            help="The only key holder to speak to; by default the one that a job names.",
        ),
    ] = None,
    quota: Annotated[
        float, typer.Option("--quota", metavar="GB", help="The most that uploads may take.")
    ] = 8.0,
    max_jobs: Annotated[
        int, typer.Option("--max-jobs", min=1, help="How many jobs are kept at a time.")
    ] = 64,
    json: options.Json = False,
    quiet: options.Quiet = False,
) -> None:
    """Serve until interrupted; jobs that were under way go on.

    Beyond this machine (--host), whoever makes a job has to show the invitation that is written
    into the store: pass it on, and put a TLS proxy in front.
    """
    from mezzotint.service.connection import check_url
    from mezzotint.service.invitation import FILE, invite
    from mezzotint.service.limits import Limits
    from mezzotint.service.logs import silent, to_stream
    from mezzotint.service.provider import ProviderSettings, provider_app
    from mezzotint.service.serving import LOOPBACK, address, listen, serve

    talk = Talk(json, quiet)
    if not quota > 0:
        raise ParameterError(f"--quota {quota:g}: give a positive number of GB, such as 8")
    if keyholder is not None:
        keyholder = check_url(keyholder, "--keyholder")
    folder = _folder(store, "--store")
    open_to_all = host in LOOPBACK
    settings = ProviderSettings(
        folder,
        None if open_to_all else invite(folder),
        keyholder,
        Limits(store=round(quota * 1e9), jobs=max_jobs),
    )
    app, jobs = provider_app(settings, silent if quiet else to_stream("provider"))
    with listen(host, port) as listener:
        url = address(listener)
        talk.say(f"provider at {url}; store {store}")
        if not open_to_all:
            talk.say(f"invitation: {folder / FILE} (for those who may make jobs)")
        talk.result({"command": "provider serve", "url": url, "store": str(store)})
        _flush()
        jobs.run()
        serve(app, listener, ended=jobs.end)


@keyholder.command("serve")
def serve_keyholder(
    *,
    keys: Annotated[
        Path, typer.Option("--keys", metavar="FOLDER", help="The folder of `keys create`.")
    ],
    port: Port = 8402,
    host: Host = "127.0.0.1",
    state: Annotated[
        Path | None,
        typer.Option(
            "--state",
            metavar="FOLDER",
            help="Where its ledger and its jobs are kept; FOLDER/state by default.",
        ),
    ] = None,
    json: options.Json = False,
    quiet: options.Quiet = False,
) -> None:
    """Serve until interrupted; jobs that were under way go on.

    Whoever opens a job has to hold the invitation that lies beside the keys.
    """
    from mezzotint.service.invitation import FILE, proof
    from mezzotint.service.keyholder import KeyHolderSettings, keyholder_app
    from mezzotint.service.limits import Limits
    from mezzotint.service.logs import silent, to_stream
    from mezzotint.service.serving import address, listen, serve

    talk = Talk(json, quiet)
    folder = _folder(state or keys / "state", "--state") if keys.is_dir() else keys / "state"
    settings = KeyHolderSettings(keys, folder, proof(keys / FILE), Limits())
    app, holder = keyholder_app(settings, silent if quiet else to_stream("key-holder"))
    with listen(host, port) as listener:
        url = address(listener)
        talk.say(f"key holder at {url}; ledger {folder / 'ledger.db'}")
        talk.result({"command": "keyholder serve", "url": url, "state": str(folder)})
        _flush()
        serve(app, listener, ended=holder.close)


def _folder(path: Path, option: str) -> Path:
    """A folder for the service's files, closed to others."""
    from mezzotint.service.files import private_folder

    if path.exists() and not path.is_dir():
        raise ParameterError(f"{option} {path}: this is a file; give a folder's name")
    try:
        return private_folder(path).resolve()
    except OSError as error:
        raise MezzotintError(
            f"{option} {path}: the folder cannot be made ({error.strerror}); give another place"
        ) from error


def _flush() -> None:
    """Whoever started this service in the background reads its address now."""
    import sys

    sys.stdout.flush()
