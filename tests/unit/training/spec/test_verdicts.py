"""Which single responses KTO takes for good and for bad."""

from training.spec.records import CandidateText, Group, Pair, Signal, Turn
from training.spec.verdicts import verdicts_of


def group(**facts):
    candidates = tuple(CandidateText(id=name, text=name) for name in "abcd")
    turn = Turn(role="user", content="Say.")
    return Group(prompt_id="p", prompt=(turn,), candidates=candidates, **facts)


def test_wins_make_good_losses_and_unacceptable_bad():
    pairs = (
        Pair(chosen="a", rejected="b"),
        Pair(chosen="a", rejected="c", weight=0.5),
        Pair(chosen="c", rejected="d", is_tie=True),
    )
    found = verdicts_of(group(pairs=pairs, unacceptable=("d",)))
    assert found == {"a": True, "b": False, "c": False, "d": False}


def test_an_unacceptable_winner_is_bad():
    pair = Pair(chosen="a", rejected="b")
    assert verdicts_of(group(pairs=(pair,), unacceptable=("a", "b")))["a"] is False


def test_signals_of_a_product_count_beside_pairs():
    """b lost one pair and was accepted by two; c was accepted as often as rejected."""
    pair = Pair(chosen="a", rejected="b")
    signals = (
        Signal(candidate="b", accepted=2),
        Signal(candidate="c", accepted=1, rejected=1),
        Signal(candidate="d", rejected=1),
    )
    assert verdicts_of(group(pairs=(pair,), signals=signals)) == {"a": True, "b": True, "d": False}
