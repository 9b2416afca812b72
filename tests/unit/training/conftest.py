"""A tiny random model in a folder, made once. torch is loaded by tests: the process that hands them out needs none."""

from collections.abc import Iterator
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

from training.spec.records import CandidateText, DemonstrationText, Group, Pair, Turn, group_to_json

if TYPE_CHECKING:
    from training.models.load import LoadedModel


@pytest.fixture(scope="session")
def tiny_folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    from training.models.tiny import tiny_llama, tiny_tokenizer

    folder = tmp_path_factory.mktemp("tiny")
    tiny_llama().save_pretrained(folder)
    tiny_tokenizer().save_pretrained(folder)
    return folder


@pytest.fixture
def tiny_policy(tiny_folder: Path) -> "LoadedModel":
    from tests.unit.training.trainers.runs import CPU
    from training.models.load import load_policy

    return load_policy(str(tiny_folder), precision="float32", device=CPU)


@pytest.fixture(scope="module")
def quick_asides() -> Iterator[None]:
    """What runs do beside their steps, and has tests of its own, takes little: fitted heads, excerpts of answers."""
    from training.functional import probe
    from training.rollout import excerpts

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(probe, "PENALTIES", (0.1,))
        patch.setattr(probe, "STEPS_MAX", 5)
        patch.setattr(excerpts, "LONGEST_TOKENS", 2)
        yield


@pytest.fixture(scope="session")
def snapshot(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """24 prompts to train on and 24 held out; 'good' beats 'bad', 'meh' beats 'bad' by 2 of 3."""
    folder = tmp_path_factory.mktemp("snapshot")
    write_groups(folder, [judged_group(number) for number in range(48)])
    return folder


def judged_group(number: int) -> Group:
    words = {"good": "very good", "bad": "quite bad", "meh": "meh"}
    return Group(
        prompt_id=f"p{number:03}",
        prompt=(Turn(role="user", content="Say " + "word " * (number % 5)),),
        split=("train", "validation", "train", "test")[number % 4],
        candidates=tuple(
            CandidateText(id=f"{number}-{name}", text=f"{text} {number}")
            for name, text in words.items()
        ),
        pairs=(
            Pair(chosen=f"{number}-good", rejected=f"{number}-bad", votes_chosen=3),
            Pair(
                chosen=f"{number}-meh",
                rejected=f"{number}-bad",
                votes_chosen=2,
                votes_rejected=1,
                soft_label=2 / 3,
            ),
        ),
        demonstrations=(DemonstrationText(text=f"Word {number}."),),
    )


def write_groups(folder: Path, groups: list[Group]) -> None:
    folder.mkdir(exist_ok=True)
    (folder / "groups.jsonl").write_text("".join(group_to_json(one) + "\n" for one in groups))
