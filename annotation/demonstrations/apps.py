"""App of demonstrations."""

from django.apps import AppConfig


class DemonstrationsConfig(AppConfig):
    name = "annotation.demonstrations"
    label = "demonstrations"
