import gc
import sys

import pytest

from training.runtime.loading import quick_imports


def test_what_is_loaded_first_is_looked_through_for_garbage_no_more(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    before = gc.get_freeze_count()
    with quick_imports(unused=()):
        kept = [[] for _ in range(1000)]
    assert gc.get_freeze_count() == before  # transformers is loaded, and models may be
    monkeypatch.delitem(sys.modules, "transformers")
    with quick_imports(unused=()):
        pass
    assert gc.get_freeze_count() > before + len(kept)
