"""Which responses fine-tuning imitates: what people wrote, and the best of the judged candidates."""

from collections import defaultdict

from training.spec.records import CandidateText, Group


def imitated(group: Group, *, includes_chosen: bool) -> list[CandidateText]:
    """The demonstrations, and the best candidate unless one of them says the same."""
    texts = [
        CandidateText(id=f"demonstration {at}", text=one.text, is_finished=one.is_finished)
        for at, one in enumerate(group.demonstrations)
    ]
    best = best_candidate(group) if includes_chosen else None
    is_written = best is not None and group.text_of(best) in {one.text for one in texts}
    return texts if is_written else texts + [one for one in group.candidates if one.id == best]


def best_candidate(group: Group) -> str | None:
    """The candidate with the most (weighted) wins over losses; None if none won, or all are bad."""
    balance: dict[str, float] = defaultdict(float)
    for pair in group.pairs:
        if not pair.is_tie:
            balance[pair.chosen] += pair.weight * (2 * pair.soft_label - 1)
            balance[pair.rejected] -= pair.weight * (2 * pair.soft_label - 1)
    winners = {
        name: won for name, won in balance.items() if won > 0 and name not in group.unacceptable
    }
    return max(sorted(winners), key=winners.__getitem__, default=None)
