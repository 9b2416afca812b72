#!/usr/bin/env bash
# Creates the environment from the hashed lock. torch stays outside: a local wheel where pip is configured with one,
# otherwise the build that fits this machine (CUDA where nvidia-smi answers, CPU else).
set -euo pipefail
PYTHON=${PYTHON:-python3.11} VENV=${VENV:-.venv} LOCK=${LOCK:-deploy/requirements/dev.lock} TORCH=2.13.0
command -v "$PYTHON" >/dev/null || { echo "Concord needs Python 3.11 or newer; '$PYTHON' is not on the PATH. Set PYTHON=/path/to/python." >&2; exit 1; }
[ -x "$VENV/bin/python" ] || "$PYTHON" -m venv "$VENV"
PY="$VENV/bin/python"
"$PY" -m pip install --quiet --disable-pip-version-check uv==0.13.8
if ! "$PY" -c "import torch" 2>/dev/null; then
  "$PY" -m pip install --quiet --disable-pip-version-check --no-index --no-deps "torch==$TORCH" 2>/dev/null \
    || "$VENV/bin/uv" pip install --python "$PY" --torch-backend auto "torch==$TORCH"
fi
"$VENV/bin/uv" pip install --quiet --python "$PY" --no-deps --require-hashes -r "$LOCK"
