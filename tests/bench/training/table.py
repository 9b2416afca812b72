"""The lines of the table: rates, shares, parity, and which bars are met."""

import re
import statistics
from collections.abc import Sequence
from typing import Any, NamedTuple

from tests.bench.training.material import Padding
from tests.bench.training.rows import Row

Told = dict[str, Any]  # Any: JSON, what a measuring process says

# bfloat16 with sums in float32, dense: half of what NVIDIA's data sheets mark "with sparsity". Cards are known by their
# whole names, since those of one chip differ. From nvidia.com/data-center: H100 and H200 with sparsity: SXM 1,979, NVL
# 1,671, PCIe 1,513; A100 624; L4 242; L40S 362.05 dense. RTX 4090 165.2 dense (whitepaper of the Ada architecture).
PEAK_TFLOPS = {
    r"\bH[12]00 NVL\b": 835,
    r"\bH100 PCIe\b": 756,
    r"\bH[12]00\b": 989,
    r"\bA100\b": 312,
    r"\bL40S\b": 362,
    r"\bL4\b": 121,
    r"\bRTX 4090$": 165,
}


def peak_tflops(name: str) -> float | None:
    """The peak of a GPU by the name that torch gives it; None where it is not known."""
    return next((peak for known, peak in PEAK_TFLOPS.items() if re.search(known, name)), None)


class Found(NamedTuple):
    """What ours and the peer told, in this order, by measure; times once a turn.

    ``losses`` are those of one batch, where the others are of samples that each side drew.
    """

    times: Sequence[Sequence[Told]]
    flops: Sequence[Told]
    memory: Sequence[Told]
    losses: Sequence[Told] = ()

    def rate(self, side: int) -> float:
        """Units a second: the median of the turns."""
        rates = [
            one[side]["units"] * one[side]["timed"] / one[side]["seconds"] for one in self.times
        ]
        return statistics.median(rates)

    def flops_a_unit(self, side: int) -> float:
        return float(self.flops[side]["flops"] / self.flops[side]["units"])


def header(device: str) -> str:
    columns = [
        "what", "model", f"ours a {'second' if device == 'cuda' else 'CPU s'}", "peer", "times",
        "FLOPs, share", "padding", "activations, MB (share)", "process, MB",
        "first loss, largest gap", "load", "bars",
    ]  # fmt: skip
    if device == "cuda":
        columns += ["tokens/s", "MFU"]
    rule = "|".join("---" if name in {"what", "model", "bars"} else "---:" for name in columns)
    return f"| {' | '.join(columns)} |\n|{rule}|"


def line(row: Row, model: str, padding: Padding, found: Found, *, device: str) -> str:
    """``padding`` is that of the rows; at most one of the row's bars is of each kind."""
    ours, peer = found.rate(0), found.rate(1)
    share = found.flops_a_unit(0) / found.flops_a_unit(1)
    bars = [
        ("CPU", row.bar_cpu, ours / peer >= row.bar_cpu),
        ("FLOPs", row.bar_flops, share <= row.bar_flops),
    ]
    held = [one["activations_mb"] for one in found.memory]
    if held:
        bars.append(("memory", row.bar_memory, held[0] <= row.bar_memory * held[1]))
    verdicts = [f"{name} {'met' if is_met else 'MISSED'}" for name, bar, is_met in bars if bar]
    last = found.times[-1]
    cells = [
        row.what,
        model,
        f"{ours:.3g} {row.unit}",
        f"{peer:.3g}",
        f"{ours / peer:.1f}",
        f"{share:.3f}",
        f"{padding.padded / padding.tokens:.2f}" if row.learns_pairs else "–",
        f"{held[0]:.0f} / {held[1]:.0f} ({held[0] / held[1]:.2f})" if held else "–",
        f"{last[0]['peak_mb']:.0f} / {last[1]['peak_mb']:.0f}",
        _parity(row, *(found.losses or last)),
        f"{last[0]['load']:.0f}, {last[1]['load']:.0f}",
        ", ".join(verdicts) or "–",
    ]
    if device == "cuda":
        cells += _of_a_gpu(row, padding, found)
    return f"| {' | '.join(cells)} |"


def _parity(row: Row, mine: Told, theirs: Told) -> str:
    """The first loss and the largest gap of any; where both sample, what they sampled."""
    if row.case == "generation":
        return f"mean length {mine['losses'][0]:.0f} and {theirs['losses'][0]:.0f}"
    if row.case == "grpo":
        return "each of its own samples (tests hold the loss)"
    if row.losses:
        value = _gap(mine["value_losses"], theirs["value_losses"])
        return f"policy {_gap(mine['losses'], theirs['losses'])}; value {value}"
    return _gap(mine["losses"], theirs["losses"])


def _gap(mine: Sequence[float], theirs: Sequence[float]) -> str:
    gaps = [abs(a - b) for a, b in zip(mine, theirs, strict=True)]
    return f"{mine[0]:.6f}, {max(gaps):.0e}"


def _of_a_gpu(row: Row, padding: Padding, found: Found) -> list[str]:
    """Tokens a second (each prompt and response once) and MFU, ours and the peer's.

    Useful FLOPs are those of our side for both: padding and repeated prompts are not use.
    """
    peak = peak_tflops(found.times[-1][0]["device"])
    rates = [found.rate(side) for side in (0, 1)]
    useful = found.flops_a_unit(0)
    mfu = [f"{rate * useful / (peak * 1e12):.1%}" if peak else "–" for rate in rates]
    tokens_a_unit = padding.tokens / found.times[-1][0]["units"]
    tokens = [f"{rate * tokens_a_unit:,.0f}" if row.learns_pairs else "–" for rate in rates]
    return [" / ".join(tokens), " / ".join(mfu)]
