"""Loading modules for a run and no more: before its first step it does little else."""

import gc
import sys
from collections.abc import Iterator, Sequence
from contextlib import contextmanager

# Extras of transformers, loaded whole wherever they are installed: for weights in 4 bits and sharding of another
# kind than ours, for losses of object detection, for assisted generation.
UNUSED = ("accelerate", "scipy", "sklearn")


@contextmanager
def quick_imports(*, unused: Sequence[str]) -> Iterator[None]:
    """Inside, transformers loads as where ``unused`` are not installed; afterwards they can be imported.

    Nothing is left out in a process that has loaded transformers already. Modules that load leave no
    garbage to speak of, and looking for it takes an eighth of their time: that waits too. What is loaded
    then stays, and is looked through no more: each look would take a quarter of a second.
    """
    has_begun = "transformers" in sys.modules
    hidden = [] if has_begun else [name for name in unused if name not in sys.modules]
    for name in hidden:
        sys.modules[name] = None  # type: ignore[assignment] # how Python is told that there is no such module
    gc.disable()
    try:
        yield
    finally:
        gc.enable()
        for name in hidden:
            del sys.modules[name]
        if not has_begun:
            gc.freeze()
