"""Stored texts as their labelers read them."""

from django import template

from annotation.projects import pauses

register = template.Library()
register.filter("told", pauses.told)
