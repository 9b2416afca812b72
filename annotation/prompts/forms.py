"""Forms of prompts."""

from django import forms

from annotation.prompts.models import PromptImport
from annotation.prompts.readers.chats import RowForm

CONTENTS: dict[str, str] = {
    PromptImport.Contents.PROMPTS: "Prompts",
    PromptImport.Contents.PREFERENCES: "Preferences: chosen and rejected, or ranked responses",
    PromptImport.Contents.JUDGMENTS: "Judgments: two responses and what labelers said",
    PromptImport.Contents.COMPARISONS: "Responses to compare: labelers judge them here",
    PromptImport.Contents.SIGNALS: "Signals: one response, accepted or rejected",
    PromptImport.Contents.DEMONSTRATIONS: "Demonstrations: one response that a person wrote",
}
PROMPT_FORMS = {
    RowForm.PLAIN: "Plain text: prompt, text or instruction",
    RowForm.CHAT: "Messages: role and content",
    RowForm.SHAREGPT: "ShareGPT: from and value",
    RowForm.HH: "HH: “Human: … Assistant: …”",
}
JUDGED_FORMS = {
    RowForm.TRL: "TRL: prompt, chosen, rejected, margin",
    RowForm.RANKED: "Responses with ranks",
    RowForm.LABELS: "Label table: one labeler a row, or several (PandaLM)",
    RowForm.LABEL_STUDIO: "Label Studio: pairwise or ranker, JSON",
    RowForm.ARGILLA: "Argilla: records with a ranking question",
    RowForm.OASST: "OASST: message trees with ranks",
    RowForm.TULU: "Tulu: evaluation table",
    RowForm.WMT: "WMT: relative rankings",
    RowForm.VOTES: "Votes exported from here",
}
ROW_FORMS = [
    (RowForm.AUTO, "Find out by the columns"),
    ("Prompts", list(PROMPT_FORMS.items())),
    ("Preferences and judgments", list(JUDGED_FORMS.items())),
]


class UploadForm(forms.Form):
    contents = forms.ChoiceField(
        choices=list(CONTENTS.items()), label="What is in the file?", initial="prompts"
    )
    file = forms.FileField(
        label="File",
        help_text="JSON Lines, a JSON array, CSV or Parquet; also packed as .gz.",
        widget=forms.FileInput(attrs={"accept": ".jsonl,.ndjson,.json,.csv,.tsv,.parquet,.gz"}),
    )
    row_form = forms.ChoiceField(
        choices=ROW_FORMS,
        label="What do its rows look like?",
        initial="auto",
    )
