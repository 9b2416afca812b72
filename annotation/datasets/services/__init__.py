"""What may be done with snapshots: requesting asks for one, building makes it, exporting gives it away."""
