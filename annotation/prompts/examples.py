"""What the import page shows: each form with what to know of it and a row as it stands in a file."""

from django.utils.translation import gettext_lazy as _

EXAMPLES = (
    (
        _("Prompts"),
        _("Found by the columns: text, messages, ShareGPT, or an HH dialogue."),
        (
            '{"id": "q1", "text": "Name three colors."}\n'
            '{"messages": [{"role": "user", "content": "Hello"}]}\n'
            '{"conversations": [{"from": "human", "value": "Hello"}]}'
        ),
    ),
    (
        _("Responses to compare"),
        _("Two to nine responses; labelers judge them here."),
        (
            '{"prompt": "Hello", "responses": [{"text": "Hi!", "model": "m1"},\n'
            '  {"text": "No.", "model": "m2"}]}'
        ),
    ),
    (
        _("TRL and HH: chosen, rejected"),
        _("Texts, messages or transcripts. margin: 1 slightly, 2 better, 3 much better."),
        '{"prompt": "Hello", "chosen": "Hi!", "rejected": "No.", "margin": 2}',
    ),
    (
        _("Responses with ranks"),
        _("The smallest rank is best; equal ranks are a tie."),
        '{"prompt": "Hello", "responses": ["Hi!", "No.", "Go."], "ranks": [1, 2, 2]}',
    ),
    (
        _("Label table, PandaLM"),
        _("One labeler a row, or several in columns. Labels: a, b, tie, all_bad."),
        (
            "prompt,response_a,response_b,labeler,label\nHello,Hi!,No.,ann,a\n\n"
            '{"instruction": "Hello", "response1": "Hi!", "response2": "No.",\n'
            '  "annotator1": 1, "annotator2": 0}'
        ),
    ),
    (
        "Label Studio",
        _("The JSON export: a Pairwise of two columns, or a Ranker of a list."),
        (
            '[{"data": {"prompt": "Hello", "answer1": "Hi!", "answer2": "No."},\n'
            '  "annotations": [{"completed_by": 7, "result": [\n'
            '    {"type": "pairwise", "value": {"selected": "left"}}]}]}]'
        ),
    ),
    (
        "Argilla",
        _("Records with a ranking question."),
        (
            '{"fields": {"prompt": "Hello", "response-1": "Hi!", "response-2": "No."},\n'
            '  "responses": [{"user_id": "u1", "status": "submitted", "values": {"ranking":\n'
            '    {"value": [{"value": "response-1", "rank": 1},\n'
            '               {"value": "response-2", "rank": 2}]}}}]}'
        ),
    ),
    (
        _("OASST trees"),
        _("A comparison wherever a prompt has two ranked replies."),
        (
            '{"prompt": {"role": "prompter", "text": "Hello", "replies": [\n'
            '  {"role": "assistant", "text": "Hi!", "rank": 0},\n'
            '  {"role": "assistant", "text": "No.", "rank": 1}]}}'
        ),
    ),
    (
        _("Tulu evaluations"),
        _("Five steps, from a-is-better to b-is-better."),
        (
            '{"prompt": "Hello", "model_a": "m1", "completion_a": "Hi!", "model_b": "m2",\n'
            '  "completion_b": "No.", "preference": "a-is-slightly-better", "evaluator": "ann"}'
        ),
    ),
    (
        _("WMT rankings"),
        _("Join the texts first; a rank of -1 is none."),
        (
            "source_text,judgeID,system1Id,system1rank,system1Text,system2Id,system2rank,system2Text\n"
            "Ahoj.,j1,x,2,Ahoi.,y,1,Hello."
        ),
    ),
    (
        _("Signals of a product"),
        _("One response that somebody accepted or rejected; KTO learns from it."),
        '{"prompt": "Hello", "response": "Hi!", "accepted": true, "labeler": "u1"}',
    ),
    (
        _("Demonstrations"),
        _("One response that a person wrote, for SFT."),
        '{"prompt": "Hello", "completion": "Hi!"}',
    ),
)
