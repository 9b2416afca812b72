"""The form that registers a model."""

from typing import Any, cast

from django import forms

from annotation.registry.models import ModelVersion

HERE = ("local", "Here: a folder or a hub name")


class ModelForm(forms.Form):
    """What a person tells about a model; `services.add_model` looks at what it names."""

    name = forms.CharField(max_length=120, help_text="What the team will call it.")
    kind = forms.ChoiceField(choices=ModelVersion.Kind.choices)
    backend = forms.ChoiceField(
        label="Where it runs",
        choices=[HERE, ("http", "On a server")],
        help_text="A server speaks the OpenAI API: vLLM, transformers serve, a provider.",
    )
    location = forms.CharField(
        max_length=500,
        help_text="A full path with config.json and safetensors, owner/name of a hub, "
        "or the server's address with /v1 at its end.",
    )
    remote_model = forms.CharField(
        label="Model on the server",
        required=False,
        max_length=200,
        help_text="Only for a server: the name its list of models has.",
    )
    api_key_variable = forms.CharField(
        label="Variable with the key",
        required=False,
        max_length=100,
        help_text="Only for a server that asks for one: the worker's environment variable, "
        "such as VLLM_API_KEY. The key itself is never stored here.",
    )

    def __init__(self, *args: Any, has_servers: bool, **options: Any) -> None:
        """``has_servers``: whether who fills it in may register servers."""
        super().__init__(*args, **options)  # Any: Django's own signature
        if not has_servers:
            place = cast("forms.ChoiceField", self.fields["backend"])
            place.choices = [HERE]
            place.help_text = "An admin of this project registers models on servers."
            for name in ("remote_model", "api_key_variable"):
                del self.fields[name]
