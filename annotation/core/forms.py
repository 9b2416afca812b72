"""What the services refuse, said where people read it: in the form that they sent."""

from types import TracebackType

from django.forms import BaseForm

from annotation.core.errors import DomainError


class refusals_in:  # noqa: N801 - reads as contextlib.suppress does
    """Whatever a service refuses within is an error of the form: at its field, or above the form where it has none."""

    def __init__(self, form: BaseForm) -> None:
        self.form = form

    def __enter__(self) -> None:
        pass

    def __exit__(
        self,
        _kind: type[BaseException] | None,
        error: BaseException | None,
        _at: TracebackType | None,
    ) -> bool:
        if not isinstance(error, DomainError):
            return False
        field = getattr(error, "field", "")
        self.form.add_error(field if field in self.form.fields else None, str(error))
        return True
