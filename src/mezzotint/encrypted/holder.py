"""The data holder: encrypts a table once, and noise for every job; then it may go offline.

    upload/manifest.json        signed: what the files are, and the facts that they rest on
    upload/cells.bin ...        layout "marginals": the counts and their marks
    upload/scores.bin           if asked for: the counts again, for selection "squared-l2"
    upload/records/*.ct         layout "records": the rows
    upload/keys/                the public keys, as the key holder signed them
    upload/pools/<job>/         noise for one job, with a manifest of its own
    upload/private/             never sent: who signs, and the invitation

Nothing in the upload depends on how many rows there are, beyond their public maximum.
"""

from __future__ import annotations

import hashlib
import hmac
import os
import shutil
from collections.abc import Mapping, Sequence
from contextlib import nullcontext
from math import sqrt
from pathlib import Path
from typing import Any

import numpy as np

from mezzotint.encrypted.choices import SCORES, score_noise
from mezzotint.encrypted.circuit import (
    CELL_MARKS,
    CELLS,
    block_starts,
    noise_marks,
    noise_stream,
)
from mezzotint.encrypted.job import Job, LayoutName, cells_layout
from mezzotint.encrypted.layout import MarginalsLayout
from mezzotint.encrypted.manifest import Identity, Manifest, write_atomic, write_private
from mezzotint.encrypted.marks import BLOCK, Marker, blocks
from mezzotint.encrypted.packing import pack_records
from mezzotint.encrypted.public_folder import Progress, PublicFolder, silent
from mezzotint.encrypted.record_layout import RecordsLayout
from mezzotint.encrypted.requests import REGISTER
from mezzotint.encrypted.scheme import Public, Scheme
from mezzotint.encrypted.scores import PRESET as SCORES_PRESET
from mezzotint.encrypted.scores import ScoresLayout
from mezzotint.encrypted.wire import Message, canonical, pack_parts
from mezzotint.errors import DataError, ParameterError
from mezzotint.privacy.accounting import Budget
from mezzotint.privacy.ledger import Ledger
from mezzotint.privacy.noise import discrete_gaussian
from mezzotint.schema import Schema
from mezzotint.sources import open_source
from mezzotint.sources.fingerprint import fingerprint
from mezzotint.tables.counting import coded, count
from mezzotint.tables.domain import Clique, Domain
from mezzotint.tables.synthesizer import as_schema

LEAST_ROWS = 1024
_POOL_BUDGET = 1000.0


def encrypt_table(
    table: Any,
    schema: Schema | str | Path,
    public: str | Path,
    layout: LayoutName,
    out: str | Path,
    *,
    name: str = "holder",
    dataset: str | None = None,
    rows_at_most: int | None = None,
    attributes: Sequence[str] | None = None,
    shares: Sequence[Sequence[str]] | None = None,
    ways: int = 2,
    scores: bool = False,
    invitation: bytes | None = None,
    progress: Progress = silent,
) -> Manifest:
    """Encrypt a table into an upload folder; nothing about epsilon is decided yet.

    Guarantee: none of its own; the ciphertexts hide what they hold (128-bit security).
    Private and public: rows and counts are private; the schema, ``rows_at_most`` and all sizes are
        public. Without ``rows_at_most`` the number of rows is rounded up to an eighth of a power of
        two, at least 1024, and what that gives is released.
    Units: rows.

    Args:
        table: as `Synthesizer.fit`.
        schema: what is public about it.
        public: the key holder's public folder.
        layout: "marginals" (the holder counts) or "records" (the provider multiplies).
        out: the folder to make; it must not exist or be empty.
        name: this data holder's, for people.
        dataset: the data's name; by default its source's.
        rows_at_most: the public maximum of rows.
        attributes: what this holder has of the schema, where holders have different columns of
            the same people, row for row in one order; by default all.
        shares: what each of these holders has; by default one other one has the rest.
        ways: marginals: attributes in the largest one that is encrypted.
        scores: marginals: also encrypt them for selection "squared-l2", which is much larger.
        invitation: the key holder's; by default it is read beside its public folder.
        progress: told what is done.

    Raises:
        ParameterError, SchemaError, DataError: nothing was written.
    """
    out, folder = Path(out), PublicFolder.open(public)
    if out.exists() and any(out.iterdir()):
        raise ParameterError(f"{out} is not empty: name a new folder for the upload")
    source, schema = open_source(table), as_schema(schema)
    schema.require_confirmed()
    invitation = _invitation(folder) if invitation is None else invitation
    domain = Domain(schema.sizes)
    held = domain.clique(domain.attributes if attributes is None else attributes)
    shares = _shares(domain, held, shares)
    identity, nonce = Identity.create(), os.urandom(16).hex()
    if scores and layout != "marginals":
        raise ParameterError(
            "scores in layout 'records': the products of rows leave no level for squares of "
            "counts. Use layout 'marginals'"
        )
    if layout == "marginals":
        if held != domain.attributes:
            raise ParameterError(
                "layout 'marginals' with a part of the attributes: nobody can count pairs across "
                "holders. Use layout 'records'"
            )
        cliques = cells_layout(layout, domain, [1], ways=ways).cliques
        counts = count(source, schema, cliques)
        most = _rows_at_most(int(counts.marginal(cliques[0]).sum()), rows_at_most)
        place = cells_layout(layout, domain, [most], ways=ways)
        assert isinstance(place, MarginalsLayout)
        preset, packing = place.preset, None
        encryptor = Scheme.of(preset).with_keys(folder.keys(preset.id))
        values = place.flatten({c: counts.marginal(c) for c in cliques})
        marker = Marker(invitation, preset.ring_bits)
        marks = marker.make(_blocked(place, values), stream_name(identity.public, nonce, CELLS))
        names = [
            _write(out, CELLS, encryptor, values, progress),
            _write(out, CELL_MARKS, encryptor, marks, progress),
        ]
        if scores:
            squares = ScoresLayout(domain, cliques, rows=most)
            marginals = {c: counts.marginal(c) for c in cliques}
            names.append(_write_scores(out, squares, marginals, folder, progress))
    else:
        columns = _columns(source, schema, held)
        most = _rows_at_most(len(columns[held[0]]), rows_at_most)
        place = cells_layout(layout, domain, [most], shares=shares)
        assert isinstance(place, RecordsLayout)
        preset, packing = place.preset, [place.left, place.right]
        encryptor = Scheme.of(preset).with_keys(folder.keys(preset.id))
        names = _write_records(out, place, place.shares.index(held), columns, encryptor, progress)
    _keep_keys(folder, {preset.id} | ({SCORES_PRESET} if scores else set()), out)
    facts = {
        "keys": folder.id,
        "key_holder": folder.manifest.identity,
        "preset": preset.id,
        "layout": layout,
        "ways": ways,
        "schema": schema.to_text(),
        "dataset": dataset or source.name,
        "name": name,
        "rows_at_most": most,
        "attributes": list(held),
        "shares": None if shares is None else [list(share) for share in shares],
        "packing": packing,
        "scores": scores,
        "nonce": nonce,
    }
    manifest = Manifest.sign("upload", identity, facts, out, names)
    _keep_private(out, identity, invitation, fingerprint(source))
    manifest.write(out)
    return manifest


def make_pool(
    upload: str | Path,
    job: Job,
    *,
    ledger: Ledger | str | Path | None = None,
    progress: Progress = silent,
) -> Manifest:
    """Draw and encrypt this holder's share of a job's noise; once for a job.

    The holder's own ledger, if one is named, books the job's public budget under the table's
    fingerprint, so that two jobs on one table draw on one budget here as well.

    Guarantee: every entry is discrete Gaussian of its stock's variance divided by the number of
        data holders, independent, and never decrypted but as part of one sum.
    Private and public: the noise is secret; how much there is, and of which scale, is public.
    Source: see `pool` and `mezzotint.privacy.shared`.

    Raises:
        BudgetError: if the holder's ledger does not allow the job.
        ParameterError: if the upload is not one of the job's.
    """
    upload = Path(upload)
    manifest, identity = Manifest.read(upload, "upload"), Identity.load(upload / "private/identity")
    if manifest.id not in {party.upload for party in job.parties}:
        raise ParameterError(f"{upload} is none of the uploads of job {job.id[:16]}")
    folder = upload / "pools" / job.id[:32]
    if (folder / "manifest.json").exists():
        return Manifest.read(folder, "pool")
    _book(upload, job, ledger)
    facts: dict[str, Any] = {"job": job.id, "nonce": os.urandom(16).hex()}
    names: list[str] = []
    preset = job.cells.preset
    encryptor = Scheme.of(preset).with_keys(PublicFolder.open(upload / "keys").keys(preset.id))
    shares = sqrt(len(job.parties))
    marker = None
    if job.integral:
        marker = Marker((upload / "private/invitation").read_bytes(), preset.ring_bits)
    folder.mkdir(parents=True, exist_ok=True)
    with (
        Ledger.memory() as scratch,
        scratch.begin(
            Budget(_POOL_BUDGET, unit=job.budget.unit), mechanism="pool", dataset="noise"
        ) as run,
    ):
        for number, level in enumerate(job.levels):
            spend = run.gaussian(f"stock {number}", level.sigma / shares)
            values = discrete_gaussian(spend, level.entries)
            names.append(_write(folder, noise_stream(number), encryptor, values, progress))
            if marker is not None:
                name = stream_name(identity.public, facts["nonce"], noise_stream(number))
                marks = marker.make(values, name)
                names.append(_write(folder, noise_marks(number), encryptor, marks, progress))
        if job.scored:
            keys = PublicFolder.open(upload / "keys").keys(job.scores.preset.id)
            encryptor = Scheme.of(job.scores.preset).with_keys(keys)
        for number, level in enumerate(job.score_levels if job.scored else ()):
            spend = run.gaussian(f"stock {number} for scores", level.sigma / shares)
            values = discrete_gaussian(spend, level.entries)
            names.append(_write(folder, score_noise(number), encryptor, values, progress))
    made = Manifest.sign("pool", identity, facts, folder, names)
    made.write(folder)
    return made


def registration(upload: str | Path, job: Job) -> bytes:
    """What the holder tells the key holder about a job, signed, with a proof of its invitation."""
    upload = Path(upload)
    manifest, identity = Manifest.read(upload, "upload"), Identity.load(upload / "private/identity")
    blobs = [job.to_bytes(), manifest.to_bytes()]
    if job.levels:
        blobs.append(Manifest.read(upload / "pools" / job.id[:32], "pool").to_bytes())
    fields = {"job": job.id, "identity": identity.public}
    digests = [hashlib.sha256(blob).hexdigest() for blob in blobs]
    signed = canonical({"register": fields, "blobs": digests})
    invitation = (upload / "private/invitation").read_bytes()
    proof = hmac.new(invitation, signed, hashlib.sha256).hexdigest()
    fields |= {"signature": identity.sign(signed), "proof": proof}
    return Message(REGISTER, fields, tuple(blobs)).to_bytes()


def blobs(upload: str | Path, job: Job) -> dict[str, Path]:
    """What goes to the provider: path in its job folder -> local file. Never the private part."""
    upload = Path(upload)
    manifest = Manifest.read(upload, "upload")
    who = manifest.identity[:16]
    found = {f"uploads/{who}/manifest.json": upload / "manifest.json"}
    found |= {f"uploads/{who}/{file.name}": upload / file.name for file in manifest.files}
    if job.levels:
        folder = upload / "pools" / job.id[:32]
        pool = Manifest.read(folder, "pool")
        found[f"pools/{who}/manifest.json"] = folder / "manifest.json"
        found |= {f"pools/{who}/{file.name}": folder / file.name for file in pool.files}
    for path in sorted((upload / "keys").rglob("*")):
        if path.is_file():
            found[f"keys/{path.relative_to(upload / 'keys').as_posix()}"] = path
    write_atomic(upload / "jobs" / f"{job.id[:32]}.json", job.to_bytes())
    found["job.json"] = upload / "jobs" / f"{job.id[:32]}.json"
    return found


def stream_name(identity: str, nonce: str, stream: str) -> str:
    """The name under which a stream's once-numbers are made: never the same twice."""
    return f"{identity} {nonce} {stream}"


def _blocked(layout: MarginalsLayout, values: np.ndarray) -> np.ndarray:
    """The cells of every marginal in whole blocks, the rest of the last one zero."""
    starts = block_starts(layout.domain, layout.cliques)
    total = sum(blocks(layout.domain.cells(c)) for c in layout.cliques)
    blocked = np.zeros(total * BLOCK, np.int64)
    for clique, start in starts.items():
        cells = values[layout.place(clique).ravel()]
        blocked[start * BLOCK : start * BLOCK + len(cells)] = cells
    return blocked


def _write(
    folder: Path, stream: str, encryptor: Public, values: np.ndarray, progress: Progress
) -> str:
    width = encryptor.preset.width
    total = -(-len(values) // width)
    parts = []
    for number in range(total):
        progress(f"encrypting {stream}", number, total)
        piece = values[number * width : (number + 1) * width]
        parts.append(encryptor.encrypt_residues(piece))
    write_atomic(folder / f"{stream}.bin", pack_parts(parts))
    progress(f"encrypting {stream}", total, total)
    return f"{stream}.bin"


def _write_scores(
    out: Path,
    layout: ScoresLayout,
    marginals: Mapping[Clique, np.ndarray],
    folder: PublicFolder,
    progress: Progress,
) -> str:
    """The marginals once more, with a level to spend on squares: ``scores.bin``."""
    encryptor = Scheme.of(layout.preset).with_keys(folder.keys(layout.preset.id))
    total = sum(len(layout.files(clique)) for clique in layout.cliques)
    parts = []
    for number, (_, coefficients) in enumerate(layout.pack(marginals)):
        progress("encrypting for scores", number, total)
        parts.append(encryptor.encrypt_record(coefficients, layout.scale))
    write_atomic(out / f"{SCORES}.bin", pack_parts(parts))
    return f"{SCORES}.bin"


def _write_records(  # noqa: PLR0917 - all of them are needed
    out: Path,
    layout: RecordsLayout,
    share: int,
    columns: Mapping[str, np.ndarray],
    encryptor: Public,
    progress: Progress,
) -> list[str]:
    (out / "records").mkdir(parents=True, exist_ok=True)
    total = sum(1 for _ in layout.files(0, share))
    names = []
    for number, (file, coefficients) in enumerate(pack_records(layout, 0, share, columns)):
        progress("encrypting records", number, total)
        names.append(f"records/{layout.local(file)[2].name}.ct")
        (out / names[-1]).write_bytes(encryptor.encrypt_record(coefficients, layout.scale))
    progress("encrypting records", total, total)
    return names


def _columns(source: Any, schema: Schema, held: Sequence[str]) -> dict[str, np.ndarray]:
    """The coded columns that this holder has."""
    mine = schema if tuple(held) == schema.names else schema.select(held)
    parts: dict[str, list[np.ndarray]] = {a: [np.empty(0, np.int64)] for a in held}
    for batch in coded(source, mine):
        for a in held:
            parts[a].append(batch[a])
    return {a: np.concatenate(part).astype(np.int64) for a, part in parts.items()}


def _shares(
    domain: Domain, held: Clique, shares: Sequence[Sequence[str]] | None
) -> tuple[Clique, ...] | None:
    """What every holder has, in one order for all of them; None if each has everything."""
    if held == domain.attributes:
        return None
    if shares is None:
        shares = [held, [a for a in domain if a not in set(held)]]
    every = sorted((domain.clique(s) for s in shares), key=lambda s: domain.attributes.index(s[0]))
    if held not in every or sorted(a for s in every for a in s) != sorted(domain.attributes):
        raise ParameterError(
            f"shares = {[list(s) for s in shares]}: they must split the schema's attributes among "
            f"the holders, and {list(held)} must be one of them"
        )
    return tuple(every)


def _rows_at_most(rows: int, declared: int | None) -> int:
    if declared is None:
        step = max(LEAST_ROWS, 1 << max(0, rows - 1).bit_length()) // 8
        return max(LEAST_ROWS, step * -(-rows // step))
    if declared < rows:
        raise ParameterError(
            f"rows_at_most = {declared}: the table has more rows than that. Declare a public "
            "maximum that it cannot exceed"
        )
    return declared


def _invitation(folder: PublicFolder) -> bytes:
    try:
        return folder.invitation.read_bytes()
    except OSError as error:
        raise DataError(
            f"{folder.invitation}: the key holder's invitation is not there ({error.strerror}). "
            "Ask the key holder for it, over a channel that the provider cannot read, and lay it "
            "beside the public folder"
        ) from error


def _keep_keys(folder: PublicFolder, presets: set[str], out: Path) -> None:
    (out / "keys").mkdir(parents=True, exist_ok=True)
    folder.manifest.write(out / "keys")
    for file in folder.manifest.files:
        if file.name.split("/")[0] in presets:
            (out / "keys" / file.name).parent.mkdir(parents=True, exist_ok=True)
            shutil.copyfile(folder.path / file.name, out / "keys" / file.name)


def _keep_private(out: Path, identity: Identity, invitation: bytes, content: bytes | None) -> None:
    (out / "private").mkdir(mode=0o700)
    identity.save(out / "private/identity")
    write_private(out / "private/invitation", invitation)
    if content is not None:
        write_private(out / "private/fingerprint", content)


def _book(upload: Path, job: Job, ledger: Ledger | str | Path | None) -> None:
    """The job's budget in the holder's own ledger, if there is one."""
    if ledger is None:
        return
    content = upload / "private/fingerprint"
    mark = content.read_bytes() if content.exists() else None
    book = ledger if isinstance(ledger, Ledger) else Ledger.open(ledger)
    with (
        nullcontext(book) if isinstance(ledger, Ledger) else book,
        book.begin(
            job.budget, mechanism=job.mechanism, dataset=job.dataset, fingerprint=mark
        ) as run,
    ):
        sigma = sqrt(job.budget.unit.l2_squared / (2 * run.total_rho))
        run.gaussian(f"all releases of encrypted job {job.id[:16]}, at most", sigma)
