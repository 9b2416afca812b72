from django.apps import AppConfig


class AuditConfig(AppConfig):
    name = "annotation.audit"
    label = "audit"
