"""What every app stands on: errors, jobs, API manners, artifact storage, text. No tables."""
