"""The training wing: torch, and no web framework. It works from a folder, with or without Concord around it."""
