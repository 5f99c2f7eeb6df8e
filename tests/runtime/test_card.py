from __future__ import annotations

import dataclasses
import json
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from autodenoise.errors import InputError
from autodenoise.runtime import Card
from autodenoise.runtime.card import _RULES

CARD = Card(
    "a",
    "conv",
    1,
    28_353,
    arguments={"width": 32},
    size=(28, 28),
    halo=10,
    range=(-2.5, 900.0),
    bytes_per_pixel=300,
    noise=[{"kind": "gaussian", "sigma": [0.1, 0.4], "clip": True}],
    scores={"val_loss": 0.1},
)


def card_json(**changes: Any) -> str:
    return json.dumps({**json.loads(CARD.to_json()), **changes})


def test_card_round_trips() -> None:
    assert Card.from_json(CARD.to_json()) == CARD
    inner = {"kind": "mixture", "parts": [{"weight": 0.5, "noise": CARD.noise}, {"weight": 1.0}]}
    outer = {"kind": "mixture", "parts": [{"weight": 1.0, "noise": [inner]}]}
    mixed = dataclasses.replace(CARD, noise=[outer])
    assert Card.from_json(mixed.to_json()) == mixed
    assert Card.from_json(card_json(from_the_future={"a": ["\x1b"]})) == CARD
    minimal = '{"name": "a", "network": "b", "channels": 1, "parameters": 0}'
    assert Card.from_json(minimal) == Card("a", "b", 1, 0)


def test_every_field_has_a_rule() -> None:
    assert set(_RULES) == {field.name for field in dataclasses.fields(Card)}


@pytest.mark.parametrize(
    ("field", "value"),
    [
        ("name", ""),
        ("name", 7),
        ("name", "../etc"),
        ("name", "a\\b"),
        ("name", "x" * 256),
        ("name", "\x1b[2Jgone"),
        ("name", "a\nb"),
        ("name", "abc\u202ecba"),
        ("name", "\ud800"),
        ("network", None),
        ("precision", "float16"),
        ("precision", ["int8"]),
        ("parent", 7),
        ("calibration", "\x1b"),
        ("channels", 0),
        ("channels", 65),
        ("channels", True),
        ("channels", 1.0),
        ("channels", "1"),
        ("parameters", -1),
        ("parameters", 10**4000),
        ("arguments", []),
        ("arguments", {"a": [[[[[[[[[[[[[[[[[[]]]]]]]]]]]]]]]]]]}),
        ("arguments", {"\x07": 1}),
        ("arguments", {"a": float("inf")}),
        ("size", [28]),
        ("size", [28, 0]),
        ("size", [28, 28.0]),
        ("size", "28"),
        ("range", 5),
        ("range", [1]),
        ("range", [3, 3]),
        ("range", [4, 3.0]),
        ("range", [0, True]),
        ("range", [0, "1"]),
        ("range", [0.0, float("inf")]),
        ("range", [float("nan"), 1.0]),
        ("size_multiple", 0),
        ("size_multiple", 1025),
        ("halo", -1),
        ("halo", 10_001),
        ("bytes_per_pixel", 0),
        ("bytes_per_pixel", 1.5),
        ("noise", {"kind": "gaussian"}),
        ("noise", ["gaussian"]),
        ("noise", [{"kind": "\x9b31m"}]),
        ("data", "a\rb"),
        ("scores", {"psnr": "31"}),
        ("scores", {"psnr": float("nan")}),
        ("scores", {"psnr": True}),
        ("source", "x" * 1001),
        ("license", ["MIT"]),
        ("version", 1),
    ],
)
def test_invalid_value_names_its_field(field: str, value: object) -> None:
    with pytest.raises(InputError, match=f"card's {field} is .*; expected ") as raised:
        Card.from_json(card_json(**{field: value}))
    assert str(raised.value).isprintable()
    assert len(str(raised.value)) < 300


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("", "not JSON"),
        ("[" * 60_000, "not JSON"),
        ("[]", "expected an object"),
        ("1" * 5000, "not JSON"),
        ("{}", "has no name"),
        ('{"name": "a", "network": "b", "channels": 1}', "has no parameters"),
        ('{"name": ' + "[" * 500 + "]" * 500 + "}", "card's name is"),
        (" " * 65_537, "at most 65,536"),
    ],
)
def test_invalid_card_is_an_error(text: str, message: str) -> None:
    with pytest.raises(InputError, match=message):
        Card.from_json(text)


ANYTHING = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(max_size=9),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=5), inner),
    max_leaves=6,
)


@given(st.dictionaries(st.sampled_from([*_RULES]), ANYTHING))
def test_any_value_loads_or_is_an_input_error(changes: dict[str, Any]) -> None:
    try:
        card = Card.from_json(card_json(**changes))
    except InputError:
        return
    assert Card.from_json(card.to_json()) == card


def test_card_with_old_key_loads() -> None:
    text = CARD.to_json().replace('"license": ""', '"licence": "CC0-1.0"')
    card = Card.from_json(text)
    assert card == dataclasses.replace(CARD, license="CC0-1.0")
    assert '"license": "CC0-1.0"' in card.to_json()
    with pytest.warns(DeprecationWarning, match=r"now Card\.license"):
        assert card.licence == "CC0-1.0"
