from django.apps import AppConfig


class DeployConfig(AppConfig):
    name = "deploy"

    def ready(self) -> None:
        import deploy.checks  # noqa: F401 - registers the checks
        from deploy.celery import make_broker_folders

        make_broker_folders()
