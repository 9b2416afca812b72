"""Specs, the frozen, validated instructions of a run, as JSON: by kind, checked, and as a schema.

`spec_from_dict` checks the bounds of the fields, then what must go together (`RunSpec.check`), and
names the field, the value seen and what is allowed.
"""

import json
import types
import typing
from collections.abc import Callable, Mapping, Sequence
from dataclasses import MISSING, Field, asdict, fields
from difflib import get_close_matches
from typing import Any

from training.spec.base import TRACKER_NAMES, RunSpec, names_in
from training.spec.errors import SpecError
from training.spec.preferences import DpoSpec, KtoSpec, RewardModelSpec, SftSpec
from training.spec.presets import PRESETS
from training.spec.rollouts import GrpoSpec, PpoSpec

SPECS: dict[str, type[RunSpec]] = {
    one.kind: one for one in (SftSpec, RewardModelSpec, PpoSpec, DpoSpec, KtoSpec, GrpoSpec)
}
# Fields that list names, and the names that are known.
LISTS: Mapping[str, Callable[[type[RunSpec]], tuple[str, ...]]] = {
    "trackers": lambda _: TRACKER_NAMES,
    "stop_on": lambda cls: cls.guards,
}
TYPES = {str: "a text", int: "a whole number", float: "a number", bool: "true or false"}


def spec_to_dict(spec: RunSpec) -> dict[str, Any]:
    """The JSON object of a spec, with its kind."""
    return {"kind": spec.kind, **asdict(spec)}


def spec_from_dict(row: Mapping[str, Any]) -> RunSpec:
    """The spec of a JSON object. Raises SpecError naming field, value and what is allowed."""
    kind = row.get("kind")
    if not isinstance(kind, str) or kind not in SPECS:
        raise SpecError(f"kind: {kind!r} is not one of {', '.join(SPECS)}.")
    if refused := refused_fields(row):
        name, said = next(iter(refused.items()))
        raise SpecError(f"{name}: {said}")
    cls = SPECS[kind]
    hints = typing.get_type_hints(cls)
    names = [one.name for one in fields(cls) if one.name in row]
    spec = cls(**{name: _coerced(row[name], hints[name]) for name in names})
    _refuse_unused(spec)
    _refuse_bare_quantization(spec)
    spec.check()
    return spec


def refused_fields(row: Mapping[str, Any]) -> dict[str, str]:
    """What is unknown, missing or wrong, by field; the kind must be known."""
    cls = SPECS[row["kind"]]
    known = {one.name: one for one in fields(cls)}
    unknown = sorted(set(row) - set(known) - {"kind"})
    missing = [name for name, one in known.items() if name not in row and one.default is MISSING]
    return {
        **{name: f"{cls.title} has no such field; {_meant(name, list(known))}" for name in unknown},
        **{name: f"this field is required. {known[name].metadata['help']}" for name in missing},
        **wrong_fields(row),
    }


def _meant(name: str, known: Sequence[str]) -> str:
    close = get_close_matches(name, known, n=1)
    return f"is {close[0]} meant?" if close else f"it has {', '.join(known)}."


def wrong_fields(row: Mapping[str, Any]) -> dict[str, str]:
    """What is wrong with each field of a JSON object by itself, in the order of the spec; its kind must be known.

    Fields that are missing, and those that do not go together, are left to `spec_from_dict`.
    """
    cls = SPECS[row["kind"]]
    hints = typing.get_type_hints(cls)
    found = {}
    for one in fields(cls):
        if one.name not in row:
            continue
        try:
            _refuse_value(cls, one, _coerced(row[one.name], hints[one.name]))
        except SpecError as error:
            found[one.name] = str(error)
    return found


def without_unused(row: Mapping[str, Any]) -> dict[str, Any]:
    """A stored spec without the fields that say nothing to its kind: `spec_from_dict` refuses them of a person."""
    kind = row.get("kind")
    unused = SPECS[kind].unused if isinstance(kind, str) and kind in SPECS else {}
    return {name: value for name, value in row.items() if name not in unused}


def _refuse_unused(spec: RunSpec) -> None:
    for one in fields(spec):
        if one.name in spec.unused and getattr(spec, one.name) != one.default:
            why = spec.unused[one.name]
            raise SpecError(f"{one.name}: {spec.title} {why}. Leave {one.name} at {one.default}.")


def _refuse_bare_quantization(spec: RunSpec) -> None:
    if spec.quantize != "none" and not spec.lora_rank:
        raise SpecError(
            f"quantize: {spec.quantize} freezes the weights in 4 bits, and something must be trained; "
            "set lora_rank, for example to 16, or quantize to none."
        )
    if spec.quantize != "none" and spec.sharding != "none":
        raise SpecError(
            "sharding: weights in 4 bits cannot be sharded; set sharding to none, or quantize to none."
        )


def _refuse_value(cls: type[RunSpec], one: "Field[Any]", value: Any) -> None:  # Any: as above
    low, high, choices = (one.metadata[name] for name in ("low", "high", "choices"))
    if choices is not None and value not in choices:
        raise SpecError(f"{value!r} is not one of {', '.join(choices)}.")
    if low is not None and not low <= value <= high:
        raise SpecError(f"{value!r} is outside {low} to {high}.")
    if one.name in LISTS:
        known = LISTS[one.name](cls)
        if strange := [name for name in names_in(value) if name not in known]:
            raise SpecError(f"{strange[0]!r} is not one of {', '.join(known)}.")


def _coerced(value: Any, wanted: Any) -> Any:
    if wanted is float and isinstance(value, int) and not isinstance(value, bool):
        try:
            return float(value)
        except OverflowError as error:
            raise SpecError(f"A number of {len(str(value))} digits is too large.") from error
    if isinstance(wanted, types.UnionType):
        return value
    if wanted is int and isinstance(value, float) and value.is_integer():
        return int(value)  # 1e4
    if type(value) is not wanted:
        raise SpecError(f"{value!r} is not {TYPES[wanted]}.")
    return value


def settings_text(kind: str) -> str:
    """Every setting of a kind for a terminal: its default, its presets, its bounds, its sentence."""
    cls = SPECS[kind]
    lines = [f"{cls.title}. {(cls.__doc__ or '').strip().splitlines()[0]}", ""]
    for one in cls.used_fields():
        lines += [f"  {one.name}: {_values_text(kind, one)}", f"      {one.metadata['help']}"]
    return "\n".join(lines) + "\n"


def _values_text(kind: str, one: "Field[Any]") -> str:  # Any: the type of a spec's field
    given = "required" if one.default is MISSING else f"default {json.dumps(one.default)}"
    presets = [
        f"{name} {json.dumps(preset[kind][one.name])}"
        for name, preset in PRESETS.items()
        if one.name in preset[kind]
    ]
    low, high, choices = (one.metadata[name] for name in ("low", "high", "choices"))
    bounds = f"from {low:,} to {high:,}" if low is not None and high is not None else ""
    words = f"one of {', '.join(choices)}" if choices else ""
    return "; ".join(filter(None, [given, ", ".join(presets), bounds, words]))


def json_schema(kind: str) -> dict[str, Any]:
    """JSON schema (draft 2020-12) of one spec, for the API, the form and the frozen snapshot."""
    cls = SPECS[kind]
    names = {str: "string", int: "integer", float: "number", bool: "boolean"}
    hints = typing.get_type_hints(cls)
    properties: dict[str, Any] = {"kind": {"const": kind}}
    for one in fields(cls):
        rule = {"type": names[hints[one.name]], "description": one.metadata["help"]}
        bounds = {"minimum": "low", "maximum": "high", "enum": "choices"}
        rule |= {
            key: one.metadata[ours]
            for key, ours in bounds.items()
            if one.metadata[ours] is not None
        }
        if one.default is not MISSING:
            rule["default"] = one.default
        properties[one.name] = rule
    required = ["kind", *(one.name for one in fields(cls) if one.default is MISSING)]
    return {
        "title": cls.title,
        "type": "object",
        "properties": properties,
        "required": required,
        "additionalProperties": False,
    }
