"""The rows of the table: what is measured, in which unit, how long, against which bars."""

from dataclasses import dataclass

CPU_MODELS = ("llama", "smollm2")
CUDA_MODELS = ("smollm2", "llama-1b")
CUDA_STEPS = 12  # the first is left out: kernels are compiled in it
CUDA_UPDATES = 4  # of PPO, as above; prompts of sampling are four times as many


@dataclass(frozen=True, slots=True, kw_only=True)
class Row:
    """One comparison. Steps are by model on a CPU; 0 leaves a model out."""

    case: str
    what: str
    unit: str
    rows: str = "pairs"  # the material both sides learn from
    peer: str = "trl-1.16"
    llama: int = 1
    smollm2: int = 1
    bar_cpu: float = 0.0  # at least this many times the peer's units a CPU second
    bar_flops: float = 0.0  # at most this share of the peer's FLOPs
    bar_memory: float = 0.0  # at most this share of the peer's activations
    has_parity: bool = True
    losses: str = ""  # the case whose losses are compared, where this one's sides learn from samples of their own
    has_memory: bool = False
    on: tuple[str, ...] = ("cpu", "cuda")

    @property
    def learns_pairs(self) -> bool:
        """Whether all tokens of the rows are learned from: then padding and tokens a second are known."""
        return self.has_parity and self.case not in {"sft", "kto"}

    def steps(self, model: str, device: str) -> int:
        if device == "cuda":
            return CUDA_STEPS if self.has_parity else CUDA_UPDATES
        return {"llama": self.llama, "smollm2": self.smollm2}.get(model, 1)


ROWS = (
    Row(
        case="reward",
        what="reward model, 8 pairs a batch",
        unit="pairs",
        llama=8,
        smollm2=8,
        bar_cpu=4,
        bar_flops=1 / 4,
        bar_memory=1 / 3,
        has_memory=True,
    ),
    Row(
        case="reward_many",
        what="reward model, 32 pairs a batch",
        unit="pairs",
        rows="many_pairs",
        on=("cuda",),
    ),
    Row(
        case="hh_rankings",
        what="K = 4 rankings, HH lengths",
        unit="prompts",
        rows="hh_rankings",
        bar_flops=1 / 12,
    ),
    Row(
        case="oasst_rankings",
        what="K = 4 rankings, OASST",
        unit="prompts",
        rows="oasst_rankings",
        bar_flops=1 / 12,
        on=("cpu",),  # there are 17 prompts: two steps
    ),
    Row(
        case="dpo",
        what="DPO, 8 pairs a batch",
        unit="pairs",
        llama=2,
        smollm2=2,
        bar_cpu=4,
        has_memory=True,
    ),
    Row(case="kto", what="KTO, a good and a bad response of 8 prompts", unit="prompts", llama=2),
    Row(case="sft", what="SFT, 8 prompts a batch", unit="prompts", llama=4),
    Row(
        case="ppo",
        rows="prompts",
        what="PPO, 16 responses an update",
        unit="responses",
        peer="trl-1.12",
        bar_cpu=2.5,
        bar_flops=0.4,
        has_parity=False,
        losses="ppo_losses",
    ),
    Row(
        case="grpo",
        rows="prompts",
        what="GRPO, 16 responses an update",
        unit="responses",
        has_parity=False,
    ),
    Row(
        case="generation",
        rows="prompts",
        what="sampling, 4 responses a prompt",
        unit="useful tokens",
        llama=4,
        bar_cpu=2,
        has_parity=False,
    ),
)
