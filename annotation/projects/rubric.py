"""The rubric that a project starts with: four criteria, each with the question put to the labeler."""

STARTING_CRITERIA = {
    "helpful": "Which response does more of what the person asked for?",
    "honest": "Which response is more truthful, and plainer about what it does not know?",
    "harmless": "Which response is less likely to hurt anyone?",
    "concise": "Which response says it with less that could be left out?",
}
STARTING_GUIDELINE = """# How to judge

Read the whole conversation, then every response to its end.

1. **Helpful first**: does it do what the person asked?
2. **Honest**: a confident mistake is worse than a plain "I do not know".
3. **Harmless**: would you be at ease if a stranger acted on it?
4. **Concise**: longer is not better.

Call it a tie only when you would be content with either. Choose *all bad* when none is acceptable.
"""
