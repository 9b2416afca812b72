"""Writing projects: their settings, members, invitations, guideline and criteria. Every write is audited."""
