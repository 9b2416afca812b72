# gpu worker: torch with CUDA from its official image; transformers and the rest from the lock.
FROM pytorch/pytorch:2.13.0-cuda13.0-cudnn9-runtime
ENV PYTHONUNBUFFERED=1 PYTHONDONTWRITEBYTECODE=1 CONCORD_VAR=/var/lib/concord
RUN useradd --system --create-home concord && install -d -o concord /var/lib/concord
WORKDIR /srv/concord
COPY deploy/requirements/train.lock deploy/requirements/train.lock
RUN pip install --no-cache-dir --no-deps --require-hashes -r deploy/requirements/train.lock
COPY . .
USER concord
CMD ["celery", "-A", "deploy.celery", "worker", "-Q", "gpu", "--concurrency", "1", "-n", "gpu@%h"]
