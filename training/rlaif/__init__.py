"""RLAIF: what a machine judge is asked, and how its answers are read. Text in, text out; no torch."""
