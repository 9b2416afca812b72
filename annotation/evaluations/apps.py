from django.apps import AppConfig


class EvaluationsConfig(AppConfig):
    name = "annotation.evaluations"
    label = "evaluations"
