from django.apps import AppConfig


class RoundsConfig(AppConfig):
    name = "annotation.rounds"
    label = "rounds"
