"""Seeds and hashes are the same on every machine."""

from pipeline.seeds import derive_seed, identity_hash, short_hash


def test_a_seed_derives_from_all_of_the_identity():
    """The seed is below 2³², always the same, and another for another identity."""
    assert derive_seed(0, "weights", 3, 17) == 2924492766
    assert len({derive_seed(0, "weights", block, 1) for block in range(100)}) == 100
    assert all(derive_seed("split", block) < 2**32 for block in range(100))


def test_a_hash_does_not_depend_on_the_order_of_keys():
    """Equal values have equal hashes of twelve hex digits, which recorded studies rely on."""
    assert identity_hash({"a": 1, "b": [2.5, None]}) == identity_hash({"b": [2.5, None], "a": 1}) == "fbb68c4db7e0"
    assert identity_hash({"a": 1}) == short_hash('{"a":1}')
