from django.apps import AppConfig


class GenerationConfig(AppConfig):
    name = "annotation.generation"
    label = "generation"
