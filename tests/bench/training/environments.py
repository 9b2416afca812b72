"""The peers' own environments, made once under var/bench: TRL 1.16, and 1.12, the last with PPO.

A machine without a network is given them: a folder with trl-1.16/bin/python and trl-1.12/bin/python (`--peers`).
"""

import subprocess
import sys
from pathlib import Path

TORCH = "torch==2.13.0"
SHARED = ["transformers==5.23.0", "accelerate==1.15.0", "peft==0.21.2", "safetensors==0.8.0"]
PEERS = {"trl-1.16": [*SHARED, "trl==1.16.0"], "trl-1.12": [*SHARED, "trl==1.12.0"]}


def python_of(peer: str, folder: Path) -> Path:
    """The interpreter of a peer's environment; what is missing of it is installed first.

    torch comes by pip, which takes a local wheel where it is configured with one; the rest by uv.
    """
    home = folder / peer
    python, ready = home / "bin" / "python", home / ".ready"
    if ready.is_file():
        return python
    _do([sys.executable, "-m", "venv", str(home)])
    _do([str(python), "-m", "pip", "install", "--quiet", "uv", TORCH])
    _do(
        [
            str(home / "bin" / "uv"),
            "pip",
            "install",
            "--quiet",
            "--python",
            str(python),
            *PEERS[peer],
        ]
    )
    ready.touch()
    return python


def given_python(peer: str, folder: Path) -> Path:
    """The interpreter of a peer in a folder that somebody made; ends the run where there is none."""
    python = folder / peer / "bin" / "python"
    if not python.is_file():
        raise SystemExit(
            f"There is no {python}: an interpreter that has {peer} is looked for there."
        )
    return python


def _do(command: list[str]) -> None:
    subprocess.run(command, check=True, stdout=sys.stderr)
