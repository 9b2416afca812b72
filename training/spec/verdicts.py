"""Which single responses people found good and which bad: what KTO learns from."""

from training.spec.records import Group


def verdicts_of(group: Group) -> dict[str, bool]:
    """Candidates that won more than they lost (by weight), or were accepted more often alone, are good.

    Those with less, or judged unacceptable, are bad; the others have no verdict.
    """
    balance: dict[str, float] = {}
    for pair in group.pairs:
        won = 0.0 if pair.is_tie else pair.weight * (2 * pair.soft_label - 1)
        balance[pair.chosen] = balance.get(pair.chosen, 0.0) + won
        balance[pair.rejected] = balance.get(pair.rejected, 0.0) - won
    for signal in group.signals:
        alone = signal.accepted - signal.rejected
        balance[signal.candidate] = balance.get(signal.candidate, 0.0) + alone
    verdicts = {name: won > 0 for name, won in balance.items() if won}
    return verdicts | dict.fromkeys(group.unacceptable, False)
