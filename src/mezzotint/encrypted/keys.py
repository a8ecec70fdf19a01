"""The key holder's folder: secret keys for the owner's eyes, public ones for everyone else.

    secret/identity.key        signs manifests and statements; Ed25519
    secret/<preset>.key        decrypts; one for each set of parameters
    invitation                 32 bytes that the data holders get and the provider never does
    public/manifest.json       signed: names, sizes and digests of the files below
    public/<preset>/*.bin      encrypts; for products, the evaluation keys

Folders and files of secrets are owner-only from the moment they exist. Who holds the invitation may
open jobs with these keys, and shares the weights of `marks` with the key holder.
"""

from __future__ import annotations

import os
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from mezzotint.encrypted.manifest import Identity, Manifest, write_atomic, write_private
from mezzotint.encrypted.presets import PRESETS
from mezzotint.encrypted.public_folder import PARTS, Progress, PublicFolder, silent
from mezzotint.encrypted.secret import SecretKeys
from mezzotint.errors import DataError, ParameterError

_PRIVATE = 0o077


def create(
    out: Path, *, presets: Sequence[str] = tuple(PRESETS), progress: Progress = silent
) -> KeyFolder:
    """Create keys for every set of parameters, in a folder that must not exist or be empty.

    Raises:
        ParameterError: if the folder holds something.
    """
    if out.exists() and any(out.iterdir()):
        raise ParameterError(
            f"{out} is not empty: keys are never replaced. Name a new folder, or remove this one "
            "if nothing is encrypted for it any more"
        )
    out.mkdir(parents=True, exist_ok=True)
    (out / "secret").mkdir(mode=0o700)
    identity = Identity.create()
    names = []
    for number, name in enumerate(presets):
        progress("creating keys", number, len(presets))
        secret = SecretKeys.create(name)
        write_private(out / "secret" / f"{name}.key", secret.to_bytes())
        public = secret.public()
        for part in PARTS:
            data = getattr(public, part)
            if data is not None:
                write_atomic(out / "public" / name / f"{part}.bin", data)
                names.append(f"{name}/{part}.bin")
    write_private(out / "invitation", os.urandom(32))
    Manifest.sign("keys", identity, {"presets": list(presets)}, out / "public", names).write(
        out / "public"
    )
    # Last: a folder without it is one whose creation was interrupted.
    identity.save(out / "secret" / "identity.key")
    progress("creating keys", len(presets), len(presets))
    return KeyFolder.open(out)


@dataclass(frozen=True)
class KeyFolder:
    """The whole folder: the key holder's own.

    Attributes:
        path: the folder.
        public: its public part.
        identity: who signs.
    """

    path: Path
    public: PublicFolder
    identity: Identity

    @classmethod
    def open(cls, path: str | Path) -> KeyFolder:
        """Open a key folder.

        Raises:
            DataError: if it is incomplete, others may read its secrets, or its manifest is not
                signed by the identity that lies beside it.
        """
        path = Path(path)
        secret = path / "secret"
        if not (secret / "identity.key").is_file():
            raise DataError(
                f"{path}: no complete key folder is there; make one with `mezzotint keys create "
                f"--out {path}`"
            )
        for place in (secret, *secret.iterdir(), path / "invitation"):
            if os.name == "posix" and place.stat().st_mode & _PRIVATE:
                raise DataError(
                    f"{place} can be read by others than its owner: run `chmod -R go= {secret} "
                    f"{path / 'invitation'}`, and think about who has read it"
                )
        public = PublicFolder.open(path / "public")
        identity = Identity.load(secret / "identity.key")
        if public.manifest.identity != identity.public:
            raise DataError(
                f"{path}: the public keys are signed by {public.manifest.identity[:16]}, and this "
                f"folder's identity is {identity.public[:16]}. Put the right public folder back"
            )
        return cls(path, public, identity)

    @property
    def invitation(self) -> bytes:
        """What data holders get, and the provider never does."""
        return (self.path / "invitation").read_bytes()

    def secret(self, preset: str) -> bytes:
        """The bytes of a secret key."""
        try:
            return (self.path / "secret" / f"{preset}.key").read_bytes()
        except OSError as error:
            raise DataError(
                f"{self.path} holds no secret key for {preset!r}: create keys with this version"
            ) from error
