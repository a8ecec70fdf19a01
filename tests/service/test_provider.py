"""The provider's application: uploads end whole or not at all, and strangers learn nothing."""

from __future__ import annotations

import json
from dataclasses import replace

import pytest

from mezzotint.service.connection import ObstacleError, RefusedByServiceError
from mezzotint.service.limits import Limits
from mezzotint.service.refusals import REFUSED
from mezzotint.service.requests import write_request
from mezzotint.service.tokens import Scope, Tokens


def nothing(progress):
    """Watches nothing."""


def test_files_arrive_as_they_were_declared(served, files):
    provider = served()
    client = provider.client()
    client.line.require_role()
    place = client.create(files)
    told = []
    client.send(place, files, told.append)
    job = provider.jobs.find(place.job)
    for name, path in files.items():
        assert (job.files / name).read_bytes() == path.read_bytes()
    assert told[-1].done == told[-1].total == sum(p.stat().st_size for p in files.values())
    assert client.status(place)["parts"] == [True]
    client.send(place, files, nothing)  # again: nothing to do
    with pytest.raises(ObstacleError, match="no result yet"):
        client.model(place)


def test_an_upload_that_broke_off_goes_on_in_another_service(served, files, monkeypatch):
    """The client is cut off after every chunk, and the service is a new one each time."""
    monkeypatch.setattr(Limits, "chunk", 20_000)
    monkeypatch.setattr("mezzotint.service.client.Limits.chunk", 20_000)
    place = served().client().create(files)
    for _ in range(40):
        client = served().client()
        sent = []

        def cut(progress, sent=sent):
            sent.append(progress)
            raise ConnectionAbortedError

        try:
            client.send(place, files, cut)
        except ConnectionAbortedError:
            assert len(sent) == 1
        else:
            break
    job = served().jobs.find(place.job)
    assert all((job.files / n).read_bytes() == p.read_bytes() for n, p in files.items())
    assert not list(job.files.rglob("*.part"))


def test_a_file_that_changed_on_the_way_is_sent_anew(served, files):
    provider = served()
    client = provider.client()
    place = client.create(files)
    name = "uploads/ab/c1.ct"
    with pytest.raises(ObstacleError) as caught:
        client.line.ask(
            "PUT", f"{place.path}/parts/0/{name}", token=place.token, content=b"x" * 9,
            query={"offset": 0},
        )  # fmt: skip
    assert caught.value.code == "damaged"
    client.send(place, files, nothing)
    assert (provider.jobs.find(place.job).files / name).read_bytes() == files[name].read_bytes()


def test_nothing_starts_before_everything_is_there(served, files):
    provider = served()
    client = provider.client()
    place = client.create(files)
    with pytest.raises(ObstacleError) as caught:
        client.start(place, "http://127.0.0.1:1", "t" * 43)
    assert caught.value.code == "not_complete"
    with pytest.raises(ObstacleError):
        client.line.ask("POST", f"{place.path}/parts/0/complete", token=place.token)
    client.send(place, files, nothing)
    client.start(place, "http://127.0.0.1:1", "t" * 43)
    job = provider.jobs.find(place.job)
    assert job.started
    assert job.start.stat().st_mode & 0o077 == 0
    assert client.status(place)["state"] == "waiting"


def test_several_clients_send_parts_of_one_job(served, files):
    provider = served()
    client = provider.client()
    lead = client.create(files, parts=2)
    ticket = client.ticket(lead)
    theirs = {"uploads/cd/c0.ct": files["uploads/ab/c1.ct"]}
    other = replace(lead, token=ticket, part=1)
    client.send(lead, files, nothing)
    client.start(lead, "http://127.0.0.1:1", "t" * 43)
    assert not provider.jobs.find(lead.job).started
    assert client.status(other)["parts"] == [True, False]
    client.join(other, theirs)
    client.join(other, theirs)  # the answer was lost, say
    with pytest.raises(RefusedByServiceError):
        client.join(other, files)  # the lead's files
    with pytest.raises(RefusedByServiceError):
        client.join(replace(other, part=2), {"x.ct": files["job.json"]})
    client.send(other, theirs, nothing)
    assert provider.jobs.find(lead.job).started
    for forbidden in ("start", "tickets"):
        with pytest.raises(RefusedByServiceError):
            client.line.ask("POST", f"{lead.path}/{forbidden}", token=ticket, content=b"{}")
    with pytest.raises(RefusedByServiceError):
        client.delete(other)


def hostile(place, token):
    """Requests that no honest client makes: method, path, token, body."""
    good = f"{place.path}/parts/0"
    yield "GET", place.path, None, b""
    yield "GET", place.path, "A" * 43, b""
    yield "GET", place.path, token + "A", b""
    yield "GET", "/v1/jobs/" + "0" * 32, token, b""
    yield "GET", "/v1/jobs/..", token, b""
    yield "GET", "/v1/jobs/%2e%2e%2f%2e%2e", token, b""
    yield "GET", f"{place.path}/parts/1", token, b""
    yield "GET", f"{place.path}/parts/-1", token, b""
    yield "GET", f"{place.path}/parts/{'9' * 400}", token, b""
    yield "GET", f"{place.path}/parts/٣", token, b""
    yield "PUT", f"{good}/../../tokens.json?offset=0", token, b"[]"
    yield "PUT", f"{good}/%2e%2e/%2e%2e/tokens.json?offset=0", token, b"[]"
    yield "PUT", f"{good}/unknown.ct?offset=0", token, b"x"
    yield "PUT", f"{good}/job.json", token, b"x"
    yield "PUT", f"{good}/job.json?offset=-1", token, b"x"
    yield "PUT", f"{good}/job.json?offset=1e9", token, b"x"
    yield "PUT", f"{good}/job.json?offset=0", token, b"x" * 301
    yield "POST", f"{place.path}/start", token, b"{}"
    yield "POST", f"{place.path}/start", token, b"\xff\xfe"
    yield "POST", f"{place.path}/start", token, b'{"keyholder": "file:///etc", "token": "x"}'
    yield "POST", f"{place.path}/start", token, b"[" * 100_000
    yield "POST", "/v1/jobs", None, b""
    yield "POST", "/v1/jobs", None, b"null"
    yield "POST", "/v1/jobs", None, b"{}"
    yield "POST", "/v1/jobs", None, b"[" * 100_000
    yield "POST", "/v1/jobs", None, json.dumps({"wire": 2, "parts": 1, "files": []}).encode()
    for bad in (
        [],
        [["a", 1]],
        [["../a", 1, "0" * 64]],
        [["a", 1.5, "0" * 64]],
        [["a", True, "0" * 64]],
        [["a", -1, "0" * 64]],
        [["a", 1, "0" * 63]],
        [["a", 1, "0" * 64], ["a", 2, "0" * 64]],
    ):
        yield "POST", "/v1/jobs", None, json.dumps({"wire": 1, "parts": 1, "files": bad}).encode()
    yield "POST", "/v1/jobs", None, b'{"wire": 1, "parts": 1e3, "files": [["a", 1, "00"]]}'
    yield "DELETE", place.path, "A" * 43, b""
    yield "PATCH", place.path, token, b""
    yield "GET", "/openapi.json", None, b""
    yield "GET", "/docs", None, b""


def contents(folder):
    """Every byte that lies there."""
    found = {path: path.read_bytes() for path in folder.rglob("*") if path.is_file()}
    return {path: held for path, held in found.items() if held}


def test_everything_hostile_gets_one_answer(served, files):
    provider = served()
    place = provider.client().create(files)
    before = contents(provider.store)
    http = provider.http()
    for method, path, token, content in hostile(place, place.token):
        headers = {} if token is None else {"authorization": f"Bearer {token}"}
        answer = http.request(method, path, content=content, headers=headers)
        assert (answer.status_code, answer.content) == REFUSED, (method, path)
    assert contents(provider.store) == before
    provider.client().send(place, files, nothing)  # and the honest client goes on


def test_a_token_opens_its_own_job_only(served, files):
    client = served().client()
    one, other = client.create(files), client.create(files)
    for path in (other.path, f"{other.path}/parts/0"):
        with pytest.raises(RefusedByServiceError):
            client.line.ask("GET", path, token=one.token)
    tokens = Tokens(served().store / "tokens.json")
    decrypt = tokens.issue(Scope.DECRYPT, one.job, 1)
    with pytest.raises(RefusedByServiceError):
        client.line.ask("GET", one.path, token=decrypt)


def test_beyond_the_machine_an_invitation_is_asked_for(served, files):
    client = served(invitation="i" * 43).client()
    for wrong in (None, "i" * 42, "I" * 43):
        with pytest.raises(RefusedByServiceError):
            client.create(files, invitation=wrong)
    client.create(files, invitation="i" * 43)


def test_a_provider_may_be_tied_to_one_key_holder(served, files):
    client = served(keyholder="http://127.0.0.1:8402").client()
    place = client.create(files)
    client.send(place, files, nothing)
    for other in ("http://127.0.0.1:8403", "http://127.0.0.1:8402/x"):
        with pytest.raises(RefusedByServiceError):
            client.start(place, other, "t" * 43)
    client.start(place, "http://127.0.0.1:8402/", "t" * 43)


def test_there_is_a_limit_to_everything(served, files):
    client = served(Limits(jobs=1)).client()
    client.create(files)
    with pytest.raises(ObstacleError) as caught:
        client.create(files)
    assert caught.value.code == "full"
    for limits, code in (
        (Limits(store=1000), "full"),
        (Limits(blob=69_999), "too_large"),
        (Limits(blobs=2), "too_large"),
        (Limits(small=100), "too_large"),
    ):
        with pytest.raises(ObstacleError) as caught:
            served(limits).client().create(files)
        assert caught.value.code == code
    provider = served(Limits(chunk=1000))
    place = provider.client().create({"a": files["job.json"]})
    answer = provider.http().put(
        f"{place.path}/parts/0/a?offset=0",
        content=iter([b"x" * 600, b"x" * 600]),  # of no announced length
        headers={"authorization": f"Bearer {place.token}"},
    )
    assert answer.status_code == 413


def test_a_job_that_is_deleted_is_gone(served, files):
    provider = served()
    client = provider.client()
    place = client.create(files)
    client.send(place, files, nothing)
    client.delete(place)
    assert [path.name for path in (provider.store / "jobs").iterdir()] == []
    with pytest.raises(RefusedByServiceError):
        client.status(place)


def test_uploads_that_are_left_lying_make_room(served, files):
    provider = served(Limits(jobs=1, idle_hours=0))
    client = provider.client()
    first = client.create(files)
    second = client.create(files)
    assert [job.id for job in provider.jobs.all()] == [second.job]
    with pytest.raises(RefusedByServiceError):
        client.status(first)


def test_the_log_holds_ids_and_sizes_only(served, files):
    provider = served()
    client = provider.client()
    place = client.create(files)
    client.send(place, files, nothing)
    for method, path, token, content in hostile(place, place.token):
        headers = {} if token is None else {"authorization": f"Bearer {token}"}
        provider.http().request(method, path, content=content, headers=headers)
    told = repr(provider.log)
    assert place.job in told
    assert place.token not in told
    assert "etc" not in told
    for event, facts in provider.log:
        assert set(facts) <= {"job", "bytes", "files", "file", "part", "reason"}, event


def test_declarations_round_trip(files):
    from mezzotint.service.client import declare
    from mezzotint.service.requests import read_request

    declaration = declare(files, parts=3)
    assert read_request(write_request(declaration)) == declaration
