from django.apps import AppConfig


class ComparisonsConfig(AppConfig):
    name = "annotation.comparisons"
    label = "comparisons"
