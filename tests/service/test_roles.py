"""The roles as programs, over HTTP on loopback: the whole way, and everything that breaks on it."""

from __future__ import annotations

import json
import shutil
import stat
from dataclasses import dataclass
from pathlib import Path

import httpx
import pytest

from mezzotint.cli import main
from mezzotint.privacy.ledger import Ledger
from mezzotint.service.invitation import proof
from mezzotint.service.refusals import REFUSED
from mezzotint.tables.model_file import read_model
from tests.service.roles import Gate, Role, begun, command, write_table

BUDGET = ("--epsilon", "2", "--delta", "1e-9", "--mechanism", "aim")


@dataclass
class Scene:
    """A folder with keys and a table, and both services behind gates."""

    place: Path
    provider: Role
    keyholder: Role
    to_provider: Gate
    to_keyholder: Gate

    def upload(self, name: str, layout: str) -> Path:
        """A new upload of the table."""
        out = self.place / name
        code = main(
            ["encrypt", str(self.place / "data.csv"), "--schema", str(self.place / "schema.yaml"),
             "--keys", str(self.place / "keys/public"), "--layout", layout, "-o", str(out),
             "--quiet"]
        )  # fmt: skip
        assert code == 0
        return out

    def words(self, *uploads: Path, model: str = "model.mezzo") -> list[str]:
        """A submission's words."""
        return [
            "submit", *map(str, uploads), "--provider", self.to_provider.url,
            "--keyholder", self.to_keyholder.url, *BUDGET, "-o", str(self.place / model),
        ]  # fmt: skip


@pytest.fixture(scope="module")
def scene(tmp_path_factory):
    place = tmp_path_factory.mktemp("roles")
    write_table(place)
    assert main(["keys", "create", "--out", str(place / "keys"), "--quiet"]) == 0
    provider = Role("provider", "serve", "--store", place / "provider")
    keyholder = Role("keyholder", "serve", "--keys", place / "keys")
    gates = (
        Gate(provider.url, lambda method, path: method == "PUT"),
        Gate(keyholder.url, lambda method, path: path.endswith("/exchange")),
    )
    yield Scene(place, provider, keyholder, *gates)
    for gate in gates:
        gate.close()
    provider.stop()
    keyholder.stop()


def told(capfd, *words: object) -> dict:
    """A command in this process; its one JSON object."""
    capfd.readouterr()
    code = main([*map(str, words), "--json"])
    out, err = capfd.readouterr()
    assert code == 0, err
    return json.loads(out)


def require_one_account(scene: Scene, said: dict) -> None:
    """Model, key holder's ledger and provider's ledger tell the same story."""
    model = read_model(said["files"]["model"])
    statement = model.privacy
    assert statement.epsilon_spent <= 2
    assert [view.role for view in statement.views][:2] == ["public", "provider"]
    assert said["views"] == [view.to_json() for view in statement.views]
    with Ledger.open(scene.place / "keys/state/ledger.db", read_only=True) as ledger:
        ledger.verify(statement.head)
        (run,) = [run for run in ledger.runs() if run.id == statement.run]
        assert ledger.releases(run.id) == statement.releases
        assert run.state == "closed"
    (folder,) = [
        path.parent
        for path in (scene.place / "provider/jobs").glob("*/files/job.json")
        if said["job"] in (path.parent / "statement.json").read_text()
    ]
    with Ledger.open(folder / "ledger.db", read_only=True) as ledger:
        (run,) = ledger.runs()
        assert run.spent == statement.units
    assert model.sample(50).column_names == ["age", "colour", "member"]


@pytest.mark.parametrize("layout", ["marginals", "records"])
def test_three_programs_make_a_model(scene, layout, capfd):
    upload = scene.upload(f"upload-{layout}", layout)
    said = told(capfd, *scene.words(upload))
    require_one_account(scene, said)
    newest = max((scene.place / "provider").rglob("ledger.db"), key=lambda p: p.stat().st_mtime)
    for ledger in (scene.place / "keys/state/ledger.db", newest):
        shown = told(capfd, "ledger", "show", ledger)
        assert shown["runs"][-1]["views"] == said["views"]
    colours = read_model(said["files"]["model"]).query(["colour", "member"]).counts
    # 900 rows, noise of some tens: who is blue is a member, and nobody else is.
    assert colours[2, 1] > colours[2, 0]
    assert colours[:2, 0].sum() > colours[:2, 1].sum()
    assert said["cost"]["bytes_to_provider"] > 0
    # What a repetition would need is gone or owner-only.
    for path in (upload / "private").rglob("*"):
        assert stat.S_IMODE(path.stat().st_mode) & 0o077 == 0


def test_two_holders_make_a_model_of_all_their_rows(scene, capfd):
    uploads = [scene.upload(f"holder-{number}", "marginals") for number in (1, 2)]
    said = told(capfd, *scene.words(*uploads, model="both.mezzo"))
    require_one_account(scene, said)
    assert [view["role"] for view in said["views"]].count("one holder") == 1
    # The same 900 people twice; noise of some tens.
    assert 1500 < read_model(said["files"]["model"]).model.total < 2100


def test_a_provider_that_is_killed_and_a_key_holder_that_restarts_lose_nothing(scene):
    """Both die while a job waits for its fourth answer, and nothing is released twice."""
    upload = scene.upload("upload-killed", "marginals")
    gate = scene.to_keyholder
    gate.seen.clear()
    gate._passed, gate.shut_at = 0, 3
    gate.reached.clear()
    submission = begun(*scene.words(upload, model="killed.mezzo"), "--json")
    assert gate.reached.wait(timeout=300), submission.communicate(timeout=10)
    scene.provider.kill()
    scene.keyholder.kill()
    scene.keyholder.start()
    scene.provider.start()
    gate.open()
    out, err = submission.communicate(timeout=300)
    assert submission.returncode == 0, err
    require_one_account(scene, json.loads(out))
    asked = [body for method, path, _, body, _, _ in gate.seen if path.endswith("/exchange")]
    # Sent again byte for byte, or not at all.
    assert len(asked) >= len(set(asked)) > 3


def test_a_submission_that_is_killed_mid_upload_goes_on(scene):
    upload = scene.upload("upload-cut", "marginals")
    gate = scene.to_provider
    gate.seen.clear()
    gate._passed, gate.shut_at = 0, 2
    gate.reached.clear()
    submission = begun(*scene.words(upload, model="cut.mezzo"))
    assert gate.reached.wait(timeout=300), submission.communicate(timeout=10)
    submission.kill()
    submission.communicate()
    gate.open()
    sent = [path for method, path, *_ in gate.seen if method == "PUT"]
    assert len(sent) == 2
    again = command(*scene.words(upload, model="cut.mezzo"), "--json")
    assert again.returncode == 0, again.stderr
    everything = [path for method, path, *_ in gate.seen if method == "PUT"]
    # One job, and nothing that had arrived was sent again.
    assert len({path.split("/parts/")[0] for path in everything}) == 1
    assert not set(sent) & set(everything[2:])
    require_one_account(scene, json.loads(again.stdout))


def test_strangers_and_cheats_get_one_answer_from_the_key_holder(scene, capfd):
    """Requests of an honest job, replayed, changed, and shown with other tokens."""

    def exchanges() -> list[tuple]:
        return [entry for entry in scene.to_keyholder.seen if entry[1].endswith("/exchange")]

    if not exchanges():  # no earlier test has left any
        told(capfd, *scene.words(scene.upload("upload-honest", "marginals"), model="honest.mezzo"))
    method, path, headers, body, status, content = exchanges()[0]
    assert status == 200
    url = scene.keyholder.url
    again = httpx.request(method, url + path, content=body, headers=headers)
    assert again.content == content  # the same request: the same bytes
    invitation = {"authorization": f"Bearer {proof(scene.place / 'keys/invitation')}"}
    with Ledger.open(scene.place / "keys/state/ledger.db", read_only=True) as ledger:
        head = ledger.head
    hostile = [
        (path, headers, body[:-1] + bytes([body[-1] ^ 1])),
        (path, headers, body[: len(body) // 2]),
        (path, headers, body + b"\0"),
        (path, headers, b""),
        (path, headers, b"MZE1\xff\xff\xff\xff"),
        (path, headers, body.replace(b'"number":0', b'"number":9')),
        (path, headers, body.replace(b'"sigma":', b'"sigma":1e-9,"x":')),
        (path, {}, body),
        (path, {"authorization": "Bearer " + "A" * 43}, body),
        (path, invitation, body),
        (path.replace(path.split("/")[3], "0" * 64), headers, body),
        (path.replace(path.split("/")[3], ".."), headers, body),
        (path.removesuffix("/exchange"), headers, b""),
        ("/v1/jobs", {}, body),
        ("/v1/jobs", headers, body),
        ("/v1/jobs", invitation, body),
        ("/v1/jobs", invitation, b"\xff" * 1000),
        ("/v1/secret", invitation, b""),
    ]
    for where, shown, sent in hostile:
        answer = httpx.post(url + where, content=sent, headers=shown, timeout=60)
        assert (answer.status_code, answer.content) == REFUSED, where
    over = httpx.post(url + "/v1/jobs", content=b"x" * (5 << 20), headers=invitation, timeout=60)
    assert over.status_code == 413
    assert scene.keyholder.process.poll() is None
    with Ledger.open(scene.place / "keys/state/ledger.db", read_only=True) as ledger:
        assert ledger.head == head  # nothing was spent


def test_mistakes_are_explained(scene, capfd, tmp_path):
    upload = scene.upload("upload-mistakes", "marginals")

    def fails(*words: object) -> str:
        capfd.readouterr()
        assert main([str(word) for word in words]) in (1, 2)
        error = capfd.readouterr().err
        assert "Traceback" not in error
        return error

    swapped = [*scene.words(upload)]
    swapped[3], swapped[5] = swapped[5], swapped[3]
    assert "swap the addresses" in fails(*swapped)
    words = scene.words(upload)
    words[3] = "ftp://somewhere"
    assert "this is no service's address" in fails(*words)
    assert "manifest" in fails(*scene.words(tmp_path))
    assert "something is there" in fails(
        "encrypt", scene.place / "data.csv", "--schema", scene.place / "schema.yaml",
        "--keys", scene.place / "keys/public", "-o", upload,
    )  # fmt: skip
    assert "never replaced" in fails("keys", "create", "--out", scene.place / "keys")
    shutil.copytree(scene.place / "keys", tmp_path / "keys")
    (tmp_path / "keys/invitation").chmod(0o644)
    assert "may read" in fails("keyholder", "serve", "--keys", tmp_path / "keys", "--port", "0")
    assert "cannot be read" in fails("keyholder", "serve", "--keys", tmp_path / "none")
    port = scene.provider.url.rsplit(":", 1)[1]
    assert "nothing can listen" in fails(
        "provider", "serve", "--store", tmp_path / "store", "--port", port
    )
    (upload / "private/invitation").write_bytes(b"x" * 32)
    assert "refused, and does not say why" in fails(*scene.words(upload))
