"""One forward pass of a policy over a pack: log-probabilities of its response tokens."""

from training.data.packing import Pack
from training.functional.logprobs import TILE, TokenLogprobs, token_logprobs
from training.models.attention import tree_hidden
from training.models.load import LoadedModel, head_of


def response_logprobs(
    policy: LoadedModel, pack: Pack, *, temperature: float = 1.0, tile: int = TILE
) -> TokenLogprobs:
    """Log-probability and entropy of every response token, by the hidden state before it."""
    hidden_RD = tree_hidden(
        policy.backbone, pack.tree, is_tree=policy.is_tree, at_N=pack.predictor_R
    )
    return token_logprobs(
        hidden_RD,
        pack.targets_R,
        head_of(policy),
        temperature=temperature,
        tile=tile,
    )
