"""Model cards, written from facts: the same sections as a page and as Markdown."""
