from django.apps import AppConfig


class PromptsConfig(AppConfig):
    name = "annotation.prompts"
    label = "prompts"
