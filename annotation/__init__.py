"""The annotation wing: what people touch. Django, and no torch."""
