from django.apps import AppConfig


class RegistryConfig(AppConfig):
    name = "annotation.registry"
    label = "registry"
