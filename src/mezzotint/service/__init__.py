"""The roles over HTTP.

limits.py      how much a service takes, and for how long
tokens.py      scoped, expiring tokens; only their hashes are kept
invitation.py  the secret that lets somebody in for the first time
uploads.py     resumable uploads: chunks, a check, a rename, a marker last
progress.py    how far a job is, and how long it will take
refusals.py    what is answered to what is wrong; one constant answer to what is hostile
logs.py        what a service writes down: names of events, ids and sizes
web.py         what both services share: an application, bodies within limits, tokens in headers
provider.py    the provider's application        jobs.py: its jobs on disk
work.py        a job's child process             remote.py: the key holder as that process sees it
keyholder.py   the key holder's application
client.py      what `mezzotint submit` speaks
serving.py     uvicorn

The provider's modules never import decryption; a contract in pyproject.toml says so.
"""
