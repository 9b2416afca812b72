"""Where a model lies: a folder, a hub name, or the address of a server. Looked at before it is registered."""

import ipaddress
import json
import re
import socket
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

from annotation.core import storage
from annotation.core.errors import InvalidInput
from training.spec.backbone import HUB_NAME

KEY_VARIABLE = re.compile(r"[A-Z][A-Z0-9_]*_API_KEY")
PICKLES = {".bin", ".pt", ".pth", ".ckpt", ".pkl"}
KEPT = ("runs", "cache")  # below CONCORD_VAR, of all projects
LONGEST_LOCATION = 500
LARGEST_CONFIG = 5_000_000  # bytes
LARGEST_HEADER = 20_000_000  # bytes; that of the largest models has a tenth
SCORE_HEADS = ("score.weight", "classifier.weight")  # as training.models.reward finds them


def checked_folder_or_hub_name(location: str, *, scores: bool = False) -> str:
    """The location, if it is a model folder on this machine or looks like a hub name.

    ``scores``: whether the model is to score responses, so that a folder must hold a head for it; a policy must not.
    """
    location = _plain(location)
    if HUB_NAME.fullmatch(location) and not Path(location).exists():
        return location
    path = Path(location).expanduser()
    if any(path.resolve().is_relative_to(storage.folder(one).resolve()) for one in KEPT):
        raise InvalidInput(
            f"{path} is where this site keeps what its runs make. A run registers its model itself, in its own "
            "project; copy the folder elsewhere to register it by hand."
        )
    if not path.is_absolute():
        raise InvalidInput(
            f"{location!r} is neither a full path (/models/name) nor a hub name (owner/name)."
        )
    _check_folder(path)
    _check_purpose(path, scores=scores)
    return str(path)


def checked_url(location: str, *, remote_model: str) -> str:
    """The base address of an OpenAI-compatible server, without a slash at its end."""
    location = _plain(location)
    try:
        parts = urlsplit(location)
        is_web = parts.scheme in {"http", "https"} and bool(parts.hostname) and parts.port != 0
    except ValueError as error:
        raise InvalidInput(f"{location!r} is not an address: {error}.") from error
    if not is_web:
        raise InvalidInput(
            f"{location!r} is not an address; it begins with http:// or https:// and names a server."
        )
    _check_host(parts.hostname or "")
    if parts.username or parts.password or parts.query or parts.fragment:
        raise InvalidInput(
            "The address holds a password, a query or a fragment. Leave them out; a key belongs "
            "into an environment variable of the worker."
        )
    if not remote_model.strip():
        raise InvalidInput("Name the model that the server is to answer with, as its list has it.")
    return location.rstrip("/")


def _check_host(host: str) -> None:
    """Refuse addresses where no model is served: link-local ones, where clouds keep the keys of a machine, and none."""
    try:
        ip = ipaddress.ip_address(_written_out(host.partition("%")[0]))
    except ValueError:  # a name, which the worker's network resolves
        return
    ip = getattr(ip, "ipv4_mapped", None) or ip
    if ip.is_link_local or ip.is_multicast or ip.is_unspecified:
        raise InvalidInput(f"{host} is no address of a server that answers with a model.")


def _written_out(host: str) -> str:
    """An address as four numbers where it is one in another form, such as 0xA9FEA9FE or 169.254.43518."""
    try:
        return socket.inet_ntoa(socket.inet_aton(host))
    except OSError:
        return host


def check_key_variable(name: str) -> None:
    """Refuse what is not meant to leave the worker: only *_API_KEY is read and sent."""
    if name and not KEY_VARIABLE.fullmatch(name):
        raise InvalidInput(
            f"{name[:100]!r} is not the name of a key variable; it is in capitals and ends in "
            "_API_KEY, such as VLLM_API_KEY. Give the name, never the key itself."
        )


def _plain(location: str) -> str:
    location = location.strip()
    if not location or "\x00" in location or len(location) > LONGEST_LOCATION:
        raise InvalidInput(
            f"The location must have 1 to {LONGEST_LOCATION} characters and no NUL; "
            f"it has {len(location)}."
        )
    return location


def _check_folder(path: Path) -> None:
    try:
        names = {one.name for one in path.iterdir()}
    except OSError as error:
        reason = error.strerror or "it cannot be read"
        raise InvalidInput(f"{path} is not a folder that can be read: {reason}.") from error
    if "config.json" not in names:
        raise InvalidInput(
            f"{path} has no config.json; choose the folder that a model was saved in."
        )
    _check_weights(path, names)
    _check_config(path / "config.json")


def _check_weights(path: Path, names: set[str]) -> None:
    if any(name.endswith(".safetensors") for name in names):
        return
    pickles = sorted(name for name in names if Path(name).suffix in PICKLES)
    if pickles:
        raise InvalidInput(
            f"The weights in {path} are pickles ({pickles[0]}), which can run code when loaded. "
            "Save the model again as safetensors."
        )
    raise InvalidInput(f"{path} has no *.safetensors weights; save or copy the model there again.")


def _check_purpose(path: Path, *, scores: bool) -> None:
    """Refuse a folder that scores where it is to answer, and the other way round."""
    built_as = _config_of(path / "config.json").get("architectures") or []
    looks = f"it looks like {built_as[0]}" if isinstance(built_as, list) and built_as else ""
    if not scores:
        if looks.endswith("ForSequenceClassification"):
            raise InvalidInput.at(
                "kind",
                f"{path} holds a model that scores and does not answer: {looks}. Register it as a reward model.",
            )
        return
    shapes = [shape for file in sorted(path.glob("*.safetensors")) for shape in _heads_in(file)]
    if not shapes:
        raise InvalidInput.at(
            "kind",
            f"{path} has no head that scores ({' or '.join(SCORE_HEADS)}){looks and f': {looks}'}. Register it as a "
            "policy; a reward model run can start from it.",
        )
    if shapes[0][:1] != [1]:
        raise InvalidInput.at(
            "kind",
            f"The head of {path} has the shape {shapes[0]}; that of a reward model here gives one score, not several.",
        )


def _heads_in(path: Path) -> list[list[int]]:
    """The shapes of the score heads that a file of weights holds, by its header: a length of 8 bytes, then JSON."""
    try:
        header = json.loads(_header_of(path))
        return [list(header[name]["shape"]) for name in SCORE_HEADS if name in header]
    except (OSError, ValueError, KeyError, TypeError, RecursionError) as error:
        raise InvalidInput(
            f"{path} cannot be read as safetensors ({error}); copy the model again."
        ) from error


def _header_of(path: Path) -> bytes:
    """What a file of weights says of itself. Raises ValueError where that is longer than any model's."""
    with path.open("rb") as file:
        length = int.from_bytes(file.read(8), "little")
        if length > LARGEST_HEADER:
            raise ValueError(f"its header would have {length} bytes")
        return file.read(length)


def _check_config(path: Path) -> None:
    config = _config_of(path)
    if "model_type" not in config:
        raise InvalidInput(f"{path} names no model_type; it is not the config of a model.")


def _config_of(path: Path) -> dict[str, Any]:  # Any: JSON
    try:
        if path.stat().st_size > LARGEST_CONFIG:
            raise InvalidInput(
                f"{path} has more than {LARGEST_CONFIG} bytes; it is no model config."
            )
        config = json.loads(path.read_text(encoding="utf-8"))
    except (OSError, ValueError) as error:
        raise InvalidInput(
            f"{path} cannot be read as JSON ({error}); copy the model again."
        ) from error
    return config if isinstance(config, dict) else {}
