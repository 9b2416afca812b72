"""The form that registers a model."""

from django import forms

from annotation.registry.models import ModelVersion


class ModelForm(forms.Form):
    """What a person tells about a model; `services.add_model` looks at what it names."""

    name = forms.CharField(max_length=120, help_text="What the team will call it.")
    kind = forms.ChoiceField(choices=ModelVersion.Kind.choices)
    backend = forms.ChoiceField(
        label="Where it runs",
        choices=[("local", "Here: a folder or a hub name"), ("http", "On a server")],
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
