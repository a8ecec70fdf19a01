"""Selection by squared distances under encryption: exact, paid for, or refused."""

import numpy as np
import pytest

import mezzotint as mz
from mezzotint.encrypted import holder, keys
from mezzotint.encrypted.blinding import unblind
from mezzotint.encrypted.choices import CHOOSE, Choice, offset
from mezzotint.encrypted.job import Job
from mezzotint.encrypted.keyholder import KeyHolder
from mezzotint.encrypted.keys import KeyFolder
from mezzotint.encrypted.local import InProcess
from mezzotint.encrypted.plan import plan
from mezzotint.encrypted.refusal import Refusal
from mezzotint.encrypted.score_ladder import l2_squared, sigma_of
from mezzotint.encrypted.scoring import Scorer
from mezzotint.encrypted.secret import SecretKeys
from mezzotint.encrypted.wire import Message
from mezzotint.errors import ParameterError
from mezzotint.tables.curator import Candidate
from mezzotint.tables.graphical import Query
from tests.encrypted import roles


@pytest.fixture(scope="module")
def scored_keys(tmp_path_factory):
    out = tmp_path_factory.mktemp("scores") / "keys"
    keys.create(out, presets=["bfv-2048-v1", "ckks-8192-scores-v1"])
    return out


@pytest.fixture(scope="module")
def scored_upload(tmp_path_factory, scored_keys):
    out = tmp_path_factory.mktemp("scores") / "upload"
    holder.encrypt_table(
        roles.table(),
        roles.schema(),
        scored_keys / "public",
        "marginals",
        out,
        dataset="people",
        scores=True,
    )
    return out


@pytest.fixture
def world(tmp_path, scored_keys, scored_upload):
    return roles.World(
        tmp_path, scored_keys, scored_upload, mz.MST(epsilon=2.0), selection="squared-l2"
    )


def candidates(job):
    rng = np.random.default_rng(5)
    cliques = [query for query in job.scored if len(query) == 2]
    return [
        Candidate(Query(c), 1 + i, rng.uniform(0, 40, job.domain.shape(c)), 10.0 * i)
        for i, c in enumerate(cliques)
    ]


def test_what_the_key_holder_decrypts_is_the_distance_and_the_holders_noise(world):
    """Bit for bit: sums less the entries, decrypted on their own, are the plain distances."""
    job, asked = world.job, candidates(world.job)
    scorer = Scorer(world.provider())
    choice, circuit = scorer.ask(0, asked, 0.01)
    message = Message.from_bytes(scorer.request(choice, circuit, asked), CHOOSE)
    secret = SecretKeys.load(
        "ckks-8192-scores-v1", KeyFolder.open(world.keys).secret("ckks-8192-scores-v1")
    )
    scheme = scorer._public.scheme
    decoded = [
        secret.decode(scheme.load(blob), term.coefficients)
        for blob, term in zip(message.blobs, circuit.terms, strict=True)
    ]
    sums = unblind(circuit, decoded, secret.preset)
    noise = np.zeros(len(asked), np.int64)
    for term in circuit.terms[len(asked) :]:
        level = next(n for n in scorer._noise if term.stream.endswith(f"-{n}"))
        stock = scheme.load(scorer._noise[level][0][term.ciphertext])
        noise[term.outputs] += secret.decode(stock, term.coefficients)
    assert np.abs(noise).max() > 0
    for i, candidate in enumerate(asked):
        counts = roles.counts(roles.table(), candidate.query.clique)
        estimate = job.scores.estimate(candidate.query.clique, candidate.estimate)
        assert sums[i] - noise[i] == ((counts - estimate) ** 2).sum()
    # Each distance on its own is hidden by a uniform number of 37 bits.
    alone = [int(values[0]) for values in decoded[: len(asked)]]
    assert alone != sums.tolist()


@pytest.mark.parametrize("mechanism", [mz.MST(epsilon=2.0), mz.AIM(epsilon=0.3, max_model_mb=0.5)])
def test_a_mechanism_runs_within_its_budget(tmp_path, scored_keys, scored_upload, mechanism):
    if mechanism.name == "aim":
        pytest.importorskip("tenseal")
    world = roles.World(tmp_path, scored_keys, scored_upload, mechanism, selection="squared-l2")
    fitted = world.run()
    assert fitted.privacy.epsilon_spent <= mechanism.epsilon
    choices = [r for r in fitted.privacy.releases if "squared distances" in r.about]
    assert choices
    assert all(r.parameters["l2_squared"] == l2_squared(world.job) for r in choices)
    public, provider, cheating, curious, *_ = fitted.privacy.views
    assert public.epsilon == provider.epsilon == fitted.privacy.epsilon_spent
    assert public.rho < curious.rho <= 4.1 * public.rho
    assert "products carry no marks" in " ".join(cheating.sees)
    assert "squared distance" in " ".join(curious.sees)
    assert not any("copies" in r.about for r in fitted.privacy.releases)


def test_a_restart_comes_to_the_same_choices(world):
    fitted = world.run()
    (world.folder / "model.mezzo").unlink()
    with KeyHolder.open(world.keys, world.place / "state") as role:
        again = world.provider().run(InProcess(role))
    assert again.privacy == fitted.privacy
    assert np.array_equal(again.model.marginal(("a", "b")), fitted.model.marginal(("a", "b")))


def test_the_sensitivity_is_met(world):
    """Brute force: a row more changes no squared distance by more than the bound."""
    most = world.job.rows_at_most
    worst = max(
        abs((x + 1 - e) ** 2 - (x - e) ** 2)
        for x in (0, 1, most // 2, most - 1)
        for e in (0, 1, most // 2, most)
    )
    bound = 2 * most + 1
    assert worst <= bound
    assert l2_squared(world.job) == len(world.job.scored) * bound**2
    sigma = sigma_of(world.job, 0.01)
    assert l2_squared(world.job) / (2 * sigma**2) <= 0.01


def test_the_offset_is_the_noise_of_the_squares():
    sigma, estimate = 7.0, np.zeros((3, 4))
    penalty = np.sqrt(2 / np.pi) * sigma * estimate.size
    assert offset(Candidate(Query(("a", "b")), 1, estimate, penalty)) == round(12 * sigma**2)


def test_weights_and_offsets_decide():
    choice = Choice(0, (("a",), ("b",), ("c",)), (1, 3, 1), (0, 90, 0), 1.0)
    assert choice.best(np.array([50, 100, 20])) == 0
    assert choice.best(np.array([20, 100, 19])) == 1


@pytest.mark.parametrize(
    "change",
    [
        {"weights": [0, 1, 1]},
        {"weights": [1, 1]},
        {"offsets": [0, 0, 1 << 60]},
        {"cliques": [["a"], ["a"], ["b"]]},
        {"cliques": [["a"], ["z"], ["b"]]},
        {"sigma": -1.0},
        {"sigma": 1e-3},
        {"number": 1},
        {"number": None},
    ],
)
def test_choices_that_cannot_be_meant_are_refused(world, change):
    choice, _ = Scorer(world.provider()).ask(0, candidates(world.job)[:3], 0.01)
    fields = choice.to_fields(world.job) | change
    with world.keyholder() as role:
        with pytest.raises(Refusal):
            role.answer(Message(CHOOSE, fields, ()).to_bytes())
        assert role.job(world.job.id)["releases"] == 0


def test_scores_without_noise_break_the_job_or_are_not_the_planned_circuit(world):
    asked = candidates(world.job)
    scorer = Scorer(world.provider())
    choice, circuit = scorer.ask(0, asked, 0.01)
    message = Message.from_bytes(scorer.request(choice, circuit, asked), CHOOSE)
    with world.keyholder() as role:
        with pytest.raises(Refusal) as caught:
            short = Message(CHOOSE, message.fields, message.blobs[: len(asked)])
            role.answer(short.to_bytes())
        assert "are planned" in caught.value.reason
        assert role.job(world.job.id)["releases"] == 0


def test_what_squared_distances_do_not_serve_is_refused(tmp_path, key_folder, uploaded):
    plain = holder.Manifest.read(uploaded)
    with pytest.raises(ParameterError, match="no ciphertexts for scores"):
        Job.create([plain], mz.AIM(epsilon=1.0), selection="squared-l2")
    options = {"rows_at_most": 1024, "selection": "squared-l2"}
    with pytest.raises(ParameterError, match="layout 'records'"):
        plan(roles.schema(), "records", mz.AIM(epsilon=1.0), **options)
    with pytest.raises(ParameterError, match="own keys"):
        plan(roles.schema(), "marginals", mz.AIM(epsilon=1.0), keyholder="holder", **options)
    with pytest.raises(ParameterError, match="AIM and MST"):
        plan(roles.schema(), "marginals", mz.Mezzotint(epsilon=1.0), **options)
    with pytest.raises(ParameterError, match="layout 'records'"):
        holder.encrypt_table(
            roles.table(),
            roles.schema(),
            key_folder / "public",
            "records",
            tmp_path / "x",
            scores=True,
        )
    with pytest.raises(ParameterError, match="rows"):
        plan(
            roles.schema(),
            "marginals",
            mz.AIM(epsilon=1.0),
            selection="squared-l2",
            rows_at_most=10**6,
        )
    assert plan(roles.schema(), "marginals", mz.AIM(epsilon=1.0), **options).products > 0
