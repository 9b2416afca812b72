"""A run that several tests of a file look at is trained once."""

from collections.abc import Callable
from functools import cache
from pathlib import Path

import pytest

from tests.unit.training.trainers.runs import train
from training.spec.base import RunSpec

RunOf = Callable[[RunSpec], Path]


@pytest.fixture(scope="module")
def run_of(tmp_path_factory: pytest.TempPathFactory) -> RunOf:
    """The folder of a finished run of a spec, which the tests leave as it is."""

    @cache
    def folder_of(spec: RunSpec) -> Path:
        folder = tmp_path_factory.mktemp(spec.kind)
        train(folder, spec)
        return folder

    return folder_of
