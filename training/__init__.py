"""The training wing: torch, no web framework. It works from a folder, with or without Concord."""
