"""Writes of demonstrations: asking, writing, reviewing."""
