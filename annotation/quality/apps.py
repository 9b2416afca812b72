from django.apps import AppConfig


class QualityConfig(AppConfig):
    name = "annotation.quality"
    label = "quality"
