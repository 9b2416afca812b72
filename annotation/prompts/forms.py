"""Forms of prompts."""

from django import forms
from django.utils.functional import Promise
from django.utils.translation import gettext_lazy as _

from annotation.prompts.models import PromptImport
from annotation.prompts.readers.chats import RowForm
from annotation.prompts.readers.rows import EMPTY_FILE

CONTENTS: dict[str, str | Promise] = {
    PromptImport.Contents.PROMPTS: _("Prompts"),
    PromptImport.Contents.PREFERENCES: _("Preferences: chosen and rejected, or ranked responses"),
    PromptImport.Contents.JUDGMENTS: _("Judgments: two responses and what labelers said"),
    PromptImport.Contents.COMPARISONS: _("Responses to compare: labelers judge them here"),
    PromptImport.Contents.SIGNALS: _("Signals: one response, accepted or rejected"),
    PromptImport.Contents.DEMONSTRATIONS: _("Demonstrations: one response that a person wrote"),
}
PROMPT_FORMS = {
    RowForm.PLAIN: _("Plain text: prompt, text or instruction"),
    RowForm.CHAT: _("Messages: role and content"),
    RowForm.SHAREGPT: _("ShareGPT: from and value"),
    RowForm.HH: _("HH: “Human: … Assistant: …”"),
}
JUDGED_FORMS = {
    RowForm.TRL: _("TRL: prompt, chosen, rejected, margin"),
    RowForm.RANKED: _("Responses with ranks"),
    RowForm.LABELS: _("Label table: one labeler a row, or several (PandaLM)"),
    RowForm.LABEL_STUDIO: _("Label Studio: pairwise or ranker, JSON"),
    RowForm.ARGILLA: _("Argilla: records with a ranking question"),
    RowForm.OASST: _("OASST: message trees with ranks"),
    RowForm.TULU: _("Tulu: evaluation table"),
    RowForm.WMT: _("WMT: relative rankings"),
    RowForm.VOTES: _("Votes exported from here"),
    RowForm.GROUPS: _("Groups exported from here"),
}
NO_FILE = _("Choose a file first.")
ROW_FORMS = [
    (RowForm.AUTO, _("Find out by the columns")),
    (_("Prompts"), list(PROMPT_FORMS.items())),
    (_("Preferences and judgments"), list(JUDGED_FORMS.items())),
]


class UploadForm(forms.Form):
    contents = forms.ChoiceField(
        choices=list(CONTENTS.items()), label=_("What is in the file?"), initial="prompts"
    )
    file = forms.FileField(
        label=_("File"),
        error_messages={"required": NO_FILE, "empty": _(EMPTY_FILE)},
        help_text=_("JSON Lines, a JSON array, CSV or Parquet; also packed as .gz."),
        widget=forms.FileInput(attrs={"accept": ".jsonl,.ndjson,.json,.csv,.tsv,.parquet,.gz"}),
    )
    row_form = forms.ChoiceField(
        choices=ROW_FORMS,
        label=_("What do its rows look like?"),
        initial="auto",
    )
