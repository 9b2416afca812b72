from django.apps import AppConfig


class WebhooksConfig(AppConfig):
    name = "annotation.webhooks"
    label = "webhooks"
