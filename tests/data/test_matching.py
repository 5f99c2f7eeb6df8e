from __future__ import annotations

from pathlib import PurePosixPath

from hypothesis import given
from hypothesis import strategies as st

from autodenoise.data.matching import match, stem

words = st.text("ab.-_ ä", min_size=1, max_size=4).filter(lambda word: word.strip(". ") != "")
names = st.builds(
    lambda folder, word, ending: f"{folder}{word}{ending}",
    st.sampled_from(["", "a/", "b/c/"]),
    words,
    st.sampled_from([".png", ".tif", ".PNG"]),
)
folders = st.lists(names, unique=True, max_size=8)


@given(folders, folders)
def test_every_name_is_told_of_once(ones: list[str], others: list[str]) -> None:
    found = match(ones, others)
    for side, given_names in enumerate((ones, others)):
        told = [pair[side] for pair in found.pairs]
        assert sorted([*told, *found.alone[side], *found.rivals[side]]) == sorted(given_names)


@given(folders, folders)
def test_pairs_are_alike_but_for_their_endings(ones: list[str], others: list[str]) -> None:
    found = match(ones, others)
    for one, other in found.pairs:
        assert PurePosixPath(one).parent == PurePosixPath(other).parent
        assert one.rpartition(".")[0] == other.rpartition(".")[0]
    stems = {stem(name) for name in ones} & {stem(name) for name in others}
    assert not {stem(name) for side in found.alone for name in side} & stems
    assert {stem(name) for side in found.rivals for name in side} <= stems


@given(folders, folders)
def test_which_folder_is_first_makes_no_difference(ones: list[str], others: list[str]) -> None:
    there, back = match(ones, others), match(others, ones)
    assert set(there.pairs) == {(one, other) for other, one in back.pairs}
    assert there.alone == back.alone[::-1]
    assert {*there.rivals[0]} == {*back.rivals[1]}


def test_two_of_one_name_are_rivals() -> None:
    found = match(["a.png", "a.tif", "b.png", "sub/a.png"], ["a.png", "b.jpg", "A.png"])
    assert found.pairs == (("b.png", "b.jpg"),)
    assert found.rivals == (("a.png", "a.tif"), ("a.png",))
    assert found.alone == (("sub/a.png",), ("A.png",))
