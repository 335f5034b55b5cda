"""Merkle trees: others' vectors, the RFC's own definitions, and that nothing altered is accepted."""

import base64
import json
from functools import cache
from hashlib import sha256
from typing import Any, NamedTuple

import pytest
from hypothesis import assume, given
from hypothesis import strategies as st

from ledger.domain.merkle import (
    EMPTY_ROOT,
    Node,
    ProofError,
    Range,
    consistency_path,
    fold,
    inclusion_path,
    leaf_hash,
    node_hash,
    nodes,
    verify_consistency,
    verify_inclusion,
)
from tests.plugin import ROOT
from tests.support.log.trees import (
    LARGEST,
    LEAVES,
    leaves_of_a_tree,
    mth,
    pairs_of_sizes,
    rfc_path,
    rfc_subproof,
    split,
)

VECTORS = ROOT / "tests" / "vectors" / "merkle"

Pair = tuple[int, int]


class Claim(NamedTuple):
    """That a leaf is in a tree, or that a tree began as a smaller one: the same arguments but for the names."""

    kind: str
    first: int
    """The leaf's index, or the old size."""
    size: int
    begin: bytes
    """The leaf, or the old root."""
    root: bytes
    proof: list[bytes]

    @property
    def last(self) -> int:
        """The index of the leaf, or of the old tree's last one."""
        return self.first - (self.kind == "consistency")

    def verify(self) -> None:
        if self.kind == "consistency":
            verify_consistency(self.first, self.size, self.begin, self.root, self.proof)
        else:
            verify_inclusion(self.first, self.size, self.begin, self.proof, self.root)

    @property
    def holds(self) -> bool:
        try:
            self.verify()
        except ProofError:
            return False
        return True


def inclusion(place: Pair) -> Claim:
    index, size = place
    proof = [mth(*leaves) for leaves in inclusion_path(index, size)]
    return Claim("inclusion", index, size, LEAVES[index], mth(0, size), proof)


def consistency(pair: Pair) -> Claim:
    old, new = pair
    proof = [mth(*leaves) for leaves in consistency_path(old, new)]
    return Claim("consistency", old, new, mth(0, old), mth(0, new), proof)


claims = leaves_of_a_tree.map(inclusion) | pairs_of_sizes.map(consistency)
hashes = st.binary(min_size=32, max_size=32)


def vectors(kind: str) -> list[Any]:
    return [pytest.param(case, id=case["file"]) for case in json.loads((VECTORS / f"{kind}.json").read_text())]


def decoded(text: str | None) -> bytes:
    return base64.b64decode(text or "")


def flipped(value: bytes, bit: int) -> bytes:
    return (int.from_bytes(value, "big") ^ 1 << bit).to_bytes(len(value), "big")


@pytest.mark.parametrize("case", vectors("inclusion"))
def test_inclusion_is_judged_as_others_judge_it(case: dict[str, Any]) -> None:
    leaf, root, *proof = [decoded(each) for each in (case["leafHash"], case["root"], *(case["proof"] or ()))]
    assert Claim("inclusion", case["leafIdx"], case["treeSize"], leaf, root, proof).holds is not case["wantErr"]


@pytest.mark.parametrize("case", vectors("consistency"))
def test_consistency_is_judged_as_others_judge_it(case: dict[str, Any]) -> None:
    old_root, new_root, *proof = [decoded(each) for each in (case["root1"], case["root2"], *(case["proof"] or ()))]
    assert Claim("consistency", case["size1"], case["size2"], old_root, new_root, proof).holds is not case["wantErr"]


def test_there_are_all_the_vectors() -> None:
    assert (len(vectors("inclusion")), len(vectors("consistency"))) == (98, 98)


def test_hashes_are_those_of_rfc_6962() -> None:
    assert EMPTY_ROOT.hex() == "e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855"
    assert leaf_hash(b"").hex() == "6e340b9cffb37a989ca544e6bb780a2c78901d3fb33738768511a30617afa01d"
    assert leaf_hash(b"entry") == sha256(b"\x00entry").digest()
    assert node_hash(b"left", b"right") == sha256(b"\x01leftright").digest()
    assert fold([]) == EMPTY_ROOT


# RFC 6962, section 2.1.3, names the nodes of a tree of seven leaves.
SEVEN = dict(zip("abcdefj", [Range(leaf, leaf + 1) for leaf in range(7)], strict=True)) | {
    "g": Range(0, 2),
    "h": Range(2, 4),
    "i": Range(4, 6),
    "k": Range(0, 4),
    "l": Range(4, 7),
}


@pytest.mark.parametrize(("index", "expected"), [(0, "bhl"), (3, "cgl"), (4, "fjk"), (6, "ik")])
def test_an_inclusion_path_is_that_of_the_rfcs_example(index: int, expected: str) -> None:
    assert inclusion_path(index, 7) == [SEVEN[name] for name in expected]


@pytest.mark.parametrize(("old", "expected"), [(3, "cdgl"), (4, "l"), (6, "ijk")])
def test_a_consistency_path_is_that_of_the_rfcs_example(old: int, expected: str) -> None:
    assert consistency_path(old, 7) == [SEVEN[name] for name in expected]


@given(leaves_of_a_tree)
def test_any_leaf_of_any_tree_is_proven_as_the_rfc_proves_it(place: Pair) -> None:
    claim = inclusion(place)
    assert claim.proof == rfc_path(place[0], 0, place[1])
    claim.verify()


@given(pairs_of_sizes)
def test_any_two_trees_are_proven_consistent_as_the_rfc_proves_it(pair: Pair) -> None:
    claim = consistency(pair)
    assert claim.proof == rfc_subproof(pair[0], 0, pair[1], known=True)
    claim.verify()


@given(st.integers(1, 2**62).flatmap(lambda size: st.tuples(st.integers(0, size - 1), st.just(size))))
def test_a_leaf_of_a_tree_far_too_large_to_build_is_proven(place: Pair) -> None:
    # All leaves but one are the same, so that trees of one size have one hash.
    @cache
    def same(count: int) -> bytes:
        return LEAVES[1] if count == 1 else node_hash(same(split(count)), same(count - split(count)))

    def root(index: int, count: int) -> bytes:
        if count == 1:
            return LEAVES[0]
        k = split(count)
        if index < k:
            return node_hash(root(index, k), same(count - k))
        return node_hash(same(k), root(index - k, count - k))

    proof = [same(end - begin) for begin, end in inclusion_path(*place)]
    verify_inclusion(*place, LEAVES[0], proof, root(*place))


def test_a_range_divides_into_full_subtrees_from_the_largest_down() -> None:
    assert nodes(Range(0, 0)) == []
    assert nodes(Range(0, 8)) == [Node(3, 0)]
    assert nodes(Range(8, 15)) == [Node(2, 2), Node(1, 6), Node(0, 14)]


@given(pairs_of_sizes)
def test_the_subtrees_of_a_range_make_it_up(pair: Pair) -> None:
    for leaves in (Range(0, pair[1]), *inclusion_path(pair[0] - 1, pair[1]), *consistency_path(*pair)):
        parts = nodes(leaves)
        assert fold([mth(at << level, at + 1 << level) for level, at in parts]) == mth(*leaves)


@given(claims, st.integers(0, 255), st.data())
def test_any_altered_bit_of_a_proof_or_of_what_it_joins_is_refused(claim: Claim, bit: int, data: st.DataObject) -> None:
    parts = [claim.begin, claim.root, *claim.proof]
    at = data.draw(st.integers(0, len(parts) - 1))
    parts[at] = flipped(parts[at], bit)
    begin, root, *proof = parts
    assert not claim._replace(begin=begin, root=root, proof=proof).holds


@given(claims, st.integers(0, LARGEST))
def test_nothing_is_proven_at_another_index_or_from_another_size(claim: Claim, other: int) -> None:
    moved = claim._replace(first=other % claim.size + claim.first - claim.last)
    assume(moved.first != claim.first)
    assert not moved.holds


# Of the size, a verifier reads no more than the way up. That turns right for the last time at the highest bit in which
# the index of the tree's last leaf differs from the one that is proven; how far the subtree on that right hand is
# filled, no proof says. Hence a root is worth nothing without the size that was signed with it.
def fits(claim: Claim, other: int) -> bool:
    """Whether a claim's proof is a proof for another size too."""
    turn = (claim.last ^ (claim.size - 1)).bit_length()
    return claim.last < other and (claim.last ^ (other - 1)).bit_length() == turn


def test_a_proof_fits_just_those_other_sizes_that_share_its_way_up() -> None:
    small = [(at, size) for size in range(1, 20) for at in range(size)]
    for claim in [*map(inclusion, small), *(consistency((at + 1, size)) for at, size in small)]:
        fitting = [other for other in range(-1, 70) if claim._replace(size=other).holds]
        assert fitting == [other for other in range(-1, 70) if fits(claim, other)]


@given(claims, st.integers(0, 2 * LARGEST))
def test_a_proof_in_a_large_tree_fits_no_more_sizes_either(claim: Claim, other: int) -> None:
    assert claim._replace(size=other).holds is fits(claim, other)


def test_the_last_leaf_is_proven_at_its_own_size_alone() -> None:
    assert [other for other in range(100) if inclusion((12, 13))._replace(size=other).holds] == [13]


@given(claims, st.data())
def test_a_proof_that_lacks_a_hash_is_refused(claim: Claim, data: st.DataObject) -> None:
    assume(claim.proof)
    at = data.draw(st.integers(0, len(claim.proof) - 1))
    with pytest.raises(ProofError, match="too short"):
        claim._replace(proof=claim.proof[:at] + claim.proof[at + 1 :]).verify()


@given(claims, hashes, st.data())
def test_a_proof_with_a_hash_too_many_is_refused(claim: Claim, more: bytes, data: st.DataObject) -> None:
    at = data.draw(st.integers(0, len(claim.proof)))
    with pytest.raises(ProofError, match=r"too long|only if they are the same"):
        claim._replace(proof=[*claim.proof[:at], more, *claim.proof[at:]]).verify()


@given(claims, st.data())
def test_a_proof_with_two_hashes_swapped_is_refused(claim: Claim, data: st.DataObject) -> None:
    assume(len(claim.proof) > 1)
    places = st.lists(st.integers(0, len(claim.proof) - 1), min_size=2, max_size=2, unique=True)
    one, two = data.draw(places)
    proof = claim.proof[:]
    proof[one], proof[two] = proof[two], proof[one]
    assert not claim._replace(proof=proof).holds


def test_the_old_root_is_not_part_of_the_proof_where_the_old_tree_is_a_subtree() -> None:
    claim = consistency((4, 7))
    assert not claim._replace(proof=[mth(0, 4), *claim.proof]).holds


@pytest.mark.parametrize("moved", [-1, 1])
def test_a_byte_moved_between_two_hashes_is_refused_though_it_hashes_the_same(moved: int) -> None:
    both = LEAVES[0] + LEAVES[1]
    left, right = both[: 32 + moved], both[32 + moved :]
    assert node_hash(left, right) == mth(0, 2)
    for claim in (inclusion((0, 2)), consistency((1, 2))):
        with pytest.raises(ProofError, match="32 bytes"):
            claim._replace(begin=left, proof=[right]).verify()


def test_another_old_tree_and_another_new_tree_are_told_apart() -> None:
    claim = consistency((3, 7))
    with pytest.raises(ProofError, match="does not lead to the old root"):
        claim._replace(begin=mth(0, 2)).verify()
    with pytest.raises(ProofError, match="does not begin with the old one"):
        claim._replace(root=mth(0, 6)).verify()


@pytest.mark.parametrize(("index", "size"), [(0, 0), (1, 1), (-1, 3), (7, 5)])
def test_a_tree_has_no_leaf_beyond_its_size(index: int, size: int) -> None:
    with pytest.raises(ValueError, match=f"A tree of {size} leaves has no leaf {index}"):
        inclusion_path(index, size)
    with pytest.raises(ProofError, match=f"A tree of {size} leaves has no leaf {index}"):
        verify_inclusion(index, size, LEAVES[0], [], LEAVES[0])


@pytest.mark.parametrize(("old", "new"), [(0, 0), (0, 3), (4, 3), (-1, 3)])
def test_there_is_no_consistency_from_nothing_or_backwards(old: int, new: int) -> None:
    with pytest.raises(ValueError, match=f"no consistency proof from size {old} to {new}"):
        consistency_path(old, new)
    with pytest.raises(ProofError, match=f"no consistency proof from size {old} to {new}"):
        verify_consistency(old, new, EMPTY_ROOT, EMPTY_ROOT, [])
