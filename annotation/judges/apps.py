from django.apps import AppConfig


class JudgesConfig(AppConfig):
    name = "annotation.judges"
    label = "judges"
