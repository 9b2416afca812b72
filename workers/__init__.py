"""The corridor above both wings: Celery tasks that claim a row and call one service or one process."""
