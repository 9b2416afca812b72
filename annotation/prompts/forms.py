"""Forms of prompts."""

from django import forms

from annotation.prompts.models import PromptImport
from annotation.prompts.readers.chats import RowForm

CONTENTS = {
    PromptImport.Contents.PROMPTS: "Prompts",
    PromptImport.Contents.PREFERENCES: "Preferences: chosen and rejected, or ranked responses",
    PromptImport.Contents.JUDGMENTS: "Judgments: two responses and what labelers said",
}
ROW_FORMS = {
    RowForm.AUTO: "Find out",
    RowForm.PLAIN: "Plain text: prompt, text or instruction",
    RowForm.CHAT: "Messages: role and content",
    RowForm.SHAREGPT: "ShareGPT: from and value",
    RowForm.HH: "HH: “Human: … Assistant: …”",
}


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
        choices=list(ROW_FORMS.items()),
        label="How do its rows hold a prompt?",
        help_text="For prompts only.",
        initial="auto",
    )
