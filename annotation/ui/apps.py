from django.apps import AppConfig


class UiConfig(AppConfig):
    name = "annotation.ui"
    label = "ui"
