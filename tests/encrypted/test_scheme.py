import ast
import sys
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from mezzotint.encrypted import scheme as scheme_module
from mezzotint.encrypted.library import seal
from mezzotint.encrypted.presets import MOST_SUMMANDS, PRESETS
from mezzotint.encrypted.scheme import PublicKeys, Scheme, galois_elements
from mezzotint.encrypted.secret import SecretKeys
from mezzotint.errors import DataError, MezzotintError, MissingExtraError, ParameterError
from tests.encrypted.kernel import BFV, CKKS, everything, key_pair

KINDS = pytest.mark.parametrize("name", [BFV, CKKS])


@settings(max_examples=12, deadline=None)
@given(name=st.sampled_from(sorted(PRESETS)), seed=st.integers(0, 2**32), data=st.data())
def test_sums_are_integers_of_the_ring_bit_for_bit(name, seed, data):
    secret, public = key_pair(name)
    modulus, rng = 2**secret.preset.ring_bits, np.random.default_rng(seed)
    terms = [
        rng.integers(-modulus // 2, modulus // 2, data.draw(st.integers(1, 300)))
        for _ in range(data.draw(st.integers(1, 4)))
    ]
    encryptors = [data.draw(st.sampled_from([public, secret])) for _ in terms]
    ciphertexts = [public.scheme.load(e.encrypt(t)) for e, t in zip(encryptors, terms, strict=True)]
    total = public.scheme.add_plain(public.scheme.add(ciphertexts), terms[0])
    expected = np.zeros(secret.preset.width, dtype=np.int64)
    for term in [*terms, terms[0]]:
        expected[: len(term)] += term
    decoded = secret.decode(total, np.arange(len(expected)))
    assert np.array_equal(decoded, (expected + modulus // 2) % modulus - modulus // 2)


@KINDS
def test_as_many_summands_as_promised_still_decode(name):
    secret, public = key_pair(name)
    ones = public.scheme.load(public.encrypt(np.ones(50, dtype=np.int64)))
    total = public.scheme.add([ones] * MOST_SUMMANDS)
    assert (secret.decode(total, np.arange(50)) == MOST_SUMMANDS).all()


@KINDS
def test_a_vector_of_cells_takes_as_many_ciphertexts_as_it_needs(name):
    secret, public = key_pair(name)
    cells = np.arange(secret.preset.width + 5) % 1000
    for encryptor in (public, secret):
        pieces = [public.scheme.load(data) for data in encryptor.encrypt_cells(cells)]
        assert len(pieces) == 2
        assert np.array_equal(secret.decode(pieces[1], np.arange(6)), [*cells[-5:], 0])


@KINDS
def test_the_secret_keys_form_is_half_as_long_and_the_bounds_hold(name):
    secret, public = key_pair(name)
    cells = np.arange(secret.preset.width) % 5000
    long, short = public.encrypt(cells), secret.encrypt(cells)
    assert len(short) < 0.55 * len(long)
    assert max(len(long), len(short)) <= secret.preset.cells_bytes


@settings(max_examples=8, deadline=None)
@given(
    name=st.sampled_from(sorted(PRESETS)),
    wanted=st.sets(st.integers(0, 2047), max_size=40),
    seed=st.integers(0, 2**32),
)
def test_a_released_ciphertext_holds_the_wanted_cells_and_nothing_else(name, wanted, seed):
    """Everything that decrypts is looked at: unwanted cells are uniform over the whole modulus.

    For each of at least 2,000 unwanted coefficients, a uniform residue stays within a hundredth
    of the modulus with probability 1/50; 120 or more of them do so with probability below 1e-20.
    """
    secret, public = key_pair(name)
    keep = np.array(sorted(wanted), dtype=np.int64)
    cells = np.random.default_rng(seed).integers(0, 1000, secret.preset.width)
    sent = public.release(public.scheme.load(public.encrypt(cells)), keep)
    received = public.scheme.load(public.scheme.save(sent))
    assert np.array_equal(secret.decode(received, keep), cells[keep])
    rest = np.delete(everything(secret, received), keep)
    half = 2.0 ** (secret.preset.ring_bits - 1)
    distance = np.abs((rest + half) % (2 * half) - half)
    assert (distance < half / 50).sum() < max(120, 0.03 * len(rest))
    assert abs(distance.mean() / half - 0.5) < 0.06


def test_two_releases_of_one_ciphertext_have_nothing_in_common(tmp_path):
    secret, public = key_pair(CKKS)
    ciphertext = public.scheme.load(public.encrypt(np.arange(100)))
    first, second = (public.release(ciphertext, np.arange(10)) for _ in range(2))
    one, other = everything(secret, first), everything(secret, second)
    assert np.abs(one[10:] - other[10:]).min() > 0
    # The wanted cells' errors are drowned too: they differ, and stay within the bound.
    assert 0 < np.abs(one[:10] - other[:10]).max() < 0.25


def test_a_ckks_value_between_integers_is_refused():
    secret, public = key_pair(CKKS)
    half = public.scheme.plain(np.array([7.5]), public.preset.cell_scale, public.scheme.cells_level)
    ciphertext = public.scheme.load(public.encrypt(np.zeros(4, dtype=np.int64)))
    public.scheme.evaluator.add_plain_inplace(ciphertext, half)
    with pytest.raises(DataError, match="not an integer within the proven margin") as caught:
        secret.decode(ciphertext, np.array([0]))
    assert "7" not in str(caught.value)
    assert secret.decode(ciphertext, np.array([1])) == [0]


@KINDS
def test_another_key_decodes_nothing(name):
    _, public = key_pair(name)
    stranger = SecretKeys.create(name)
    ciphertext = public.scheme.load(public.encrypt(np.arange(500)))
    # CKKS: 500 uniform values are all within 3/8 of an integer with probability (3/4)^500.
    with pytest.raises(DataError, match="another key"):
        stranger.decode(ciphertext, np.arange(500))


@KINDS
def test_keys_survive_their_bytes(name):
    secret, public = key_pair(name)
    again = SecretKeys.load(name, secret.to_bytes())
    ciphertext = public.scheme.load(again.encrypt(np.arange(9)))
    assert np.array_equal(secret.decode(ciphertext, np.arange(9)), np.arange(9))


def test_keys_of_another_preset_or_in_pieces_are_refused():
    bfv, ckks = key_pair(BFV)[0].public(), key_pair(CKKS)[0].public()
    scheme = Scheme.of(CKKS)
    for keys, words in (
        (bfv, "made for 'bfv-2048-v1'"),
        (PublicKeys(CKKS, bfv.public, ckks.relin, ckks.galois), "public key"),
        (PublicKeys(CKKS, ckks.public), "evaluation keys are missing"),
        (PublicKeys(CKKS, ckks.public, ckks.galois, ckks.relin), "key"),
        (PublicKeys(CKKS, ckks.public[:-9], ckks.relin, ckks.galois), "truncated"),
        (PublicKeys(CKKS, ckks.public, ckks.relin, b""), "rotation keys"),
    ):
        with pytest.raises(DataError, match=words):
            scheme.with_keys(keys)
    with pytest.raises(DataError, match="secret key"):
        SecretKeys.load(CKKS, key_pair(BFV)[0].to_bytes())


def test_ciphertexts_of_another_kind_or_job_are_refused():
    _, public = key_pair(CKKS)
    cells = public.encrypt(np.arange(5))
    record = public.encrypt_record(np.ones(8), 2.0**43)
    load = public.scheme.load
    load(cells), load(record, scale=2.0**43)
    for data, scale, words in (
        (record, None, "bytes, where at most"),
        (cells, 2.0**43, "level"),
        (record, 2.0**42, "scale"),
        (key_pair(BFV)[1].encrypt(np.arange(5)), None, "truncated, damaged or made with other"),
        (cells[:-1], None, "truncated"),
        (b"", None, "truncated"),
        (b"\0" * 200_000, None, "bytes, where at most"),
    ):
        with pytest.raises(DataError, match=words):
            load(data, scale=scale)


def test_products_that_were_not_brought_back_are_refused():
    _, public = key_pair(CKKS)
    scheme, square = public.scheme, seal().Ciphertext()
    record = scheme.load(public.encrypt_record(np.ones(8), 2.0**43), scale=2.0**43)
    scheme.evaluator.multiply(record, record, square)
    scheme.evaluator.rescale_to_next_inplace(square)
    square.scale = public.preset.cell_scale
    with pytest.raises(DataError):
        scheme.load(scheme.save(square))
    scheme.evaluator.relinearize_inplace(square, public.relin)
    assert scheme.load(scheme.save(square)).size() == 2


@settings(max_examples=60, deadline=None)
@given(name=st.sampled_from([BFV, CKKS]), where=st.floats(0, 1), flip=st.integers(1, 255))
def test_a_damaged_ciphertext_is_refused_or_is_still_a_ciphertext(name, where, flip):
    secret, public = key_pair(name)
    data = bytearray(public.encrypt(np.arange(50)))
    data[min(int(where * len(data)), len(data) - 1)] ^= flip
    try:
        ciphertext = public.scheme.load(bytes(data))
        secret.decode(ciphertext, np.arange(50))
    except MezzotintError:
        return
    assert ciphertext.size() == 2


@KINDS
def test_numbers_out_of_range_are_refused(name):
    secret, public = key_pair(name)
    half = 2 ** (secret.preset.ring_bits - 1)
    for wrong in (np.array([half + 1]), np.zeros(99_999, dtype=int), np.ones(3), np.ones((2, 2))):
        with pytest.raises(ParameterError, match="cells"):
            public.encrypt(wrong)
    ciphertext = public.scheme.load(public.encrypt(np.arange(5)))
    for wrong in ([-1], [secret.preset.width]):
        with pytest.raises(ParameterError, match="coefficients run from 0"):
            public.release(ciphertext, np.array(wrong))
        with pytest.raises(ParameterError, match="coefficients run from 0"):
            secret.decode(ciphertext, np.array(wrong))


def test_the_public_side_never_names_decryption():
    folder = Path(scheme_module.__file__).parent
    public = (
        "library",
        "scheme",
        "layout",
        "record_layout",
        "packing",
        "products",
        "workers",
        "scores",
    )
    for module in public:
        tree = ast.parse((folder / f"{module}.py").read_text(encoding="utf-8"))
        names = {node.attr for node in ast.walk(tree) if isinstance(node, ast.Attribute)}
        imported = {n.module for n in ast.walk(tree) if isinstance(n, ast.ImportFrom)}
        assert not names & {"Decryptor", "SecretKey", "KeyGenerator"}
        assert "mezzotint.encrypted.secret" not in imported


def test_without_the_library_the_message_says_what_to_install(monkeypatch):
    monkeypatch.setitem(sys.modules, "tenseal.sealapi", None)
    with pytest.raises(MissingExtraError, match=r'pip install "mezzotint\[encrypted\]"'):
        seal()


def test_one_rotation_key_for_each_level_of_packing_and_the_mirror():
    elements = galois_elements(PRESETS[CKKS])
    assert len(set(elements)) == 14
    assert elements[0] == 2 * 8192 - 1
    assert elements[-1] == 3
