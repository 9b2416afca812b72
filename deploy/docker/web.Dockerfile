# Web, cpu worker and beat: no torch.
FROM python:3.11-slim
ENV PYTHONUNBUFFERED=1 PYTHONDONTWRITEBYTECODE=1 CONCORD_VAR=/var/lib/concord
RUN useradd --system --create-home concord && install -d -o concord /var/lib/concord
WORKDIR /srv/concord
COPY deploy/requirements/base.lock deploy/requirements/base.lock
RUN pip install --no-cache-dir --no-deps --require-hashes -r deploy/requirements/base.lock
COPY . .
RUN SECRET_KEY=build DATABASE_URL=postgres://unused@127.0.0.1:1/unused CONCORD_VAR=/srv/concord/var CONCORD_PRODUCTION=1 \
    python manage.py collectstatic --noinput --skip-checks && chmod -R a+rX /srv/concord
USER concord
EXPOSE 8000
CMD ["gunicorn", "-c", "python:deploy.serving", "--bind", "0.0.0.0:8000"]
