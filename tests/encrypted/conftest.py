"""Keys and an upload, made once for all tests of the roles."""

import pytest

from mezzotint.encrypted import holder, keys
from tests.encrypted import roles


@pytest.fixture(scope="session")
def key_folder(tmp_path_factory):
    out = tmp_path_factory.mktemp("roles") / "keys"
    keys.create(out, presets=["bfv-2048-v1"])
    return out


@pytest.fixture(scope="session")
def uploaded(tmp_path_factory, key_folder):
    out = tmp_path_factory.mktemp("roles") / "upload"
    holder.encrypt_table(
        roles.table(), roles.schema(), key_folder / "public", "marginals", out, dataset="people"
    )
    return out


@pytest.fixture
def world(tmp_path, key_folder, uploaded):
    return roles.World(tmp_path, key_folder, uploaded)
