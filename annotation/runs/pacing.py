"""How long a run will take, from the times of earlier ones: a prompt (or rollout) at a time, pauses left out."""

from collections.abc import Iterable, Iterator, Mapping, Sequence
from enum import IntEnum
from itertools import islice, pairwise
from typing import Any, NamedTuple

from django.db.models import QuerySet

from annotation.registry.models import ModelVersion
from annotation.registry.results import number_text
from annotation.runs.lengths import LIMIT, growth
from annotation.runs.looking import POLICIES, HeldOut, a_look, looks_between
from annotation.runs.models import RunEvent, TrainingRun
from annotation.runs.weights import Weights, weights_of
from training.spec.events import EventKind
from training.spec.naming import words_of

PACED_BY = 3  # earlier runs
CONSIDERED = 30  # newest runs of the kind
PACE_SETTINGS = (
    *("max_prompt_tokens", "max_response_tokens", "trainable_layers", "lora_rank", "layers"),
    *("heads", "update_epochs", "tokens_per_forward", "gradient_checkpointing"),
    *("precision", "quantize", "reward_quantize"),
)
BY_WORK = frozenset({"trainable_layers", "lora_rank", "layers"})  # `work` counts them
OF_ZERO = {"trainable_layers": "all", "layers": "all", "lora_rank": "none"}
LAST_KEY = 2**63 - 1


class Timed(NamedTuple):
    """What an earlier run took, in seconds: a prompt (or rollout), and all before its first and after its last step.

    ``an_answer`` of those to held-out prompts is not in ``beside``; None where the run did not tell of any.
    """

    a_unit: float
    beside: float
    an_answer: float | None


class Likeness(IntEnum):
    """How near earlier runs are to the one asked about, the nearest first."""

    SAME = 0  # these settings, and a model of this size
    SETTINGS = 1  # a model of this size
    MODEL = 2  # another model, scaled to this one by the work of a token


class Paced(NamedTuple):
    """An earlier run that a time rests on."""

    pk: int
    name: str


class Basis(NamedTuple):
    """A time, the runs that it rests on, how near these are, and what the newest of them had set otherwise."""

    seconds: float
    runs: tuple[Paced, ...]
    likeness: Likeness
    scaled_for: tuple[str, ...]
    not_scaled_for: tuple[str, ...]


class _Span(NamedTuple):
    """The first and the last step that an attempt told of, and the seconds between."""

    first: int
    last: int
    seconds: float


class _Asked(NamedTuple):
    units: float
    answers: int


class _Earlier(NamedTuple):
    run: TrainingRun
    weights: Weights | None


def seconds_of(
    kind: str,
    spec: Mapping[str, Any],  # Any: settings of many types
    *,
    units: float,
    answers: int = 0,
    base_model: ModelVersion,
    weights: Weights | None,
) -> Basis | None:
    """The mean of the newest runs of the kind in the project that are nearest to this one; None without any.

    Each is scaled by the work of a token, so that other layers or adapters, or a model of another size, count, and
    by the tokens that its responses would have under this limit of them. ``units`` are prompts passed (or rollouts
    drawn), looks at held-out ones among them; ``answers`` those that measuring asks.
    """
    done = TrainingRun.objects.filter(
        project=base_model.project_id, kind=kind, status=TrainingRun.Status.DONE
    ).select_related("base_model", "snapshot")
    groups: dict[Likeness, list[_Earlier]] = {one: [] for one in Likeness}
    for run in done.order_by("-pk")[:CONSIDERED]:
        theirs = weights_of(run.base_model)
        likeness = _likeness(run, spec, is_sized_alike(base_model, weights, run.base_model, theirs))
        if likeness < Likeness.MODEL or (weights and theirs):
            groups[likeness].append(_Earlier(run, theirs))
    for likeness, earlier in groups.items():
        asked = _Asked(units, answers)
        if told := list(islice(_told(earlier, spec, asked, weights), PACED_BY)):
            return _basis(told, likeness, spec, is_weighed=weights is not None)
    return None


def is_sized_alike(
    one: ModelVersion, its: Weights | None, other: ModelVersion, theirs: Weights | None
) -> bool:
    """Whether both are one model, or of one shape, as what a round trained is of that which it began with."""
    same_shape = its is not None and theirs is not None and its.layers == theirs.layers
    return one.pk == other.pk or same_shape


def _likeness(
    run: TrainingRun, spec: Mapping[str, Any], is_alike: bool
) -> Likeness:  # Any: as above
    if not is_alike:
        return Likeness.MODEL
    return Likeness.SETTINGS if _differing(run.spec, spec) else Likeness.SAME


def _differing(theirs: Mapping[str, Any], ours: Mapping[str, Any]) -> list[str]:  # Any: as above
    """Names of settings on which the time of a prompt hangs and that are not the same."""
    both = [name for name in PACE_SETTINGS if name in theirs and name in ours]
    return [name for name in both if theirs[name] != ours[name]]


def _told(
    earlier: Iterable[_Earlier],
    spec: Mapping[str, Any],  # Any: as above
    asked: _Asked,
    weights: Weights | None,
) -> Iterator[tuple[TrainingRun, float]]:
    """The seconds that each run speaks for; none of those that told of too few steps."""
    for run, theirs in earlier:
        timed = timed_of(run)
        factor = work(weights, spec) / work(theirs, run.spec) if weights and theirs else 1.0
        if timed is not None:
            grown = growth(run, spec)
            factor *= grown.factor if grown else 1.0
            worked = timed.a_unit * asked.units + (timed.an_answer or 0.0) * asked.answers
            yield run, worked * factor + timed.beside


def _basis(
    told: Sequence[tuple[TrainingRun, float]],
    likeness: Likeness,
    spec: Mapping[str, Any],  # Any: as above
    *,
    is_weighed: bool,
) -> Basis:
    newest = told[0][0]
    grown = growth(newest, spec)
    scaled = (BY_WORK if is_weighed else frozenset()) | ({LIMIT} if grown else frozenset())
    texts = {name: _difference(name, newest.spec, spec) for name in _differing(newest.spec, spec)}
    if grown and LIMIT in texts:
        texts[LIMIT] = f"{texts[LIMIT]} ({100 * grown.cut:.0f} % of its responses were cut)"
    return Basis(
        seconds=sum(seconds for _, seconds in told) / len(told),
        runs=tuple(Paced(run.pk, run.name) for run, _ in told),
        likeness=likeness,
        scaled_for=tuple(text for name, text in texts.items() if name in scaled),
        not_scaled_for=tuple(text for name, text in texts.items() if name not in scaled),
    )


def _difference(name: str, theirs: Mapping[str, Any], ours: Mapping[str, Any]) -> str:  # Any: above
    """`layers 16 there, all here`."""
    there, here = (_value_text(name, one[name]) for one in (theirs, ours))
    return f"{words_of(name)} {there} there, {here} here"


def _value_text(name: str, value: Any) -> str:  # Any: as above
    return number_text(value) if value else OF_ZERO.get(name, number_text(value))


def work(weights: Weights, spec: Mapping[str, Any]) -> int:  # Any: as above
    """Floating point operations a token: 2 a weight forward, 2 back through those passed, 2 for those trained."""
    kept = weights.of_reward_model(int(spec["layers"])) if "layers" in spec else weights
    return 2 * (kept.count + kept.passed(spec) + kept.trained(spec))


def timed_of(run: TrainingRun) -> Timed | None:
    """From the steps that it told of, attempt by attempt: the time between two attempts is nobody's."""
    said = RunEvent.objects.filter(run=run)
    starts = said.filter(kind=EventKind.STARTED).order_by("pk").values_list("pk", flat=True)
    spans = [
        _span(said, after, before) for after, before in pairwise([0, *starts, LAST_KEY])
    ]  # the first is that of a run without such an event
    steps = sum(one.last - one.first for one in spans)
    seconds = sum(one.seconds for one in spans)
    per_step = run.spec.get("rollouts_per_update" if "updates" in run.spec else "groups_per_step")
    if not steps or not per_step:
        return None
    looks = sum(looks_between(run.spec, one.first, one.last) for one in spans)
    units = steps * float(per_step) + looks * a_look(run.spec, HeldOut.of(run.snapshot.splits))
    took = run.result.get("seconds")  # of its last attempt
    beside = max(0.0, took - spans[-1].seconds) if isinstance(took, (int, float)) else 0.0
    answers, on_answers = _answered(said)
    an_answer = on_answers / answers if answers else None
    return Timed(seconds / units, max(0.0, beside - on_answers), an_answer)


def _answered(said: QuerySet[RunEvent]) -> tuple[int, float]:
    """Answers to held-out prompts that measuring asked last, and seconds that they took."""
    told = said.filter(kind=EventKind.LOG, data__has_keys=["answers", "seconds"]).order_by("-pk")
    rows = told.values_list("data__answers", "data__seconds")[:POLICIES]
    return sum(row[0] for row in rows), sum(row[1] for row in rows)


def _span(said: QuerySet[RunEvent], after: int, before: int) -> _Span:
    """That of one attempt, which lies between two events."""
    told = said.filter(kind=EventKind.METRICS, pk__gt=after, pk__lt=before).order_by("pk")
    first, last = told.first(), told.last()
    if first is None or last is None:
        return _Span(0, 0, 0.0)
    return _Span(first.step, last.step, (last.at - first.at).total_seconds())
