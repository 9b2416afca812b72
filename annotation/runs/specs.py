"""Which models and settings a kind of run takes, and the spec that its process is given."""

from collections.abc import Callable, Mapping
from dataclasses import fields
from typing import Any

from annotation.core.errors import InvalidInput
from annotation.datasets.models import DatasetSnapshot
from annotation.registry.models import ModelVersion
from annotation.runs.models import TrainingRun
from training.spec.base import RunSpec
from training.spec.errors import SpecError
from training.spec.presets import PRESETS
from training.spec.runs import SPECS, spec_from_dict, spec_to_dict

# Filled in from the rows a run points at; never typed by a person.
PLACES = ("model", "data", "reward_model", "held_out_reward_model", "sampler_url")
ROWS = {"sampler_url": "sampler"}  # places whose row is called otherwise
TRAINS = {"reward_model": ModelVersion.Kind.REWARD}  # every other kind trains a policy


def trained_kind(kind: str) -> ModelVersion.Kind:
    """What a run of this kind makes: a policy or a reward model."""
    return TRAINS.get(kind, ModelVersion.Kind.POLICY)


def a_run(kind: str) -> str:
    """`a reward model run`, for within a sentence."""
    title = SPECS[kind].title
    return f"a {title if title.isupper() else title.lower()} run"


def preset_settings(name: str, kind: str) -> dict[str, Any]:
    """The settings of a preset; none where the kind has no such preset."""
    return dict(PRESETS.get(name, {}).get(kind, {}))


def settings_with(preset: str, kind: str) -> dict[str, Any]:
    """All settings of a kind as a run of this preset has them."""
    default = {one.name: one.default for one in fields(SPECS[kind]) if one.name not in PLACES}
    return default | preset_settings(preset, kind)


def settings_of(run: TrainingRun) -> dict[str, Any]:
    """What the form of a new run begins with, so that this one runs again with a change."""
    models = ("snapshot", "base_model", "reward_model", "held_out_reward_model", "sampler")
    return {**run.spec, "name": again(run), **{name: getattr(run, name) for name in models}}


def again(run: TrainingRun) -> str:
    """What a second run of the same is called."""
    return f"{run.name} (again)"[:120]


def needs_reward_model(kind: str) -> bool:
    """Whether this kind of run scores with a reward model."""
    return any(one.name == "reward_model" for one in fields(SPECS[kind]))


def resolved_spec(
    settings: Mapping[str, Any],  # Any: values of many types, checked by the spec
    *,
    snapshot: DatasetSnapshot,
    base_model: ModelVersion,
    reward_model: ModelVersion | None,
    held_out_reward_model: ModelVersion | None = None,
    sampler: ModelVersion | None = None,
    local: Callable[[str], str] = str,
) -> RunSpec:
    """The checked spec with the places of its models and records. Raises InvalidInput at a field.

    ``local`` says where a machine finds a place: `core.storage.local` brings what lies in a bucket.
    """
    kind = str(settings.get("kind", ""))
    if kind not in SPECS:
        raise InvalidInput.at("kind", f"{kind!r} is not one of {', '.join(SPECS)}.")
    row = {name: value for name, value in settings.items() if name not in PLACES}
    row |= {"model": local(base_model.location), "data": local(snapshot.folder)}
    if needs_reward_model(kind):
        row["reward_model"] = local(reward_model.location) if reward_model else ""
        watcher = held_out_reward_model
        row["held_out_reward_model"] = local(watcher.location) if watcher else ""
        row["sampler_url"] = sampler.location if sampler else ""
    try:
        return spec_from_dict(row)
    except SpecError as error:
        said = str(error)
        field = said.partition(":")[0]
        name = ROWS.get(field, field)
        raise InvalidInput.at(name, name + said.removeprefix(field)) from error


def stored_spec(spec: RunSpec) -> dict[str, Any]:
    """The JSON of a spec without its places: those may move, the rows stay."""
    return {name: value for name, value in spec_to_dict(spec).items() if name not in PLACES}
