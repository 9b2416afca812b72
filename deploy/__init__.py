"""The roof: settings, urls, the Celery app. It imports everything; nothing imports it."""
