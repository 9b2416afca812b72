"""Rollouts: sampling responses from a policy, scoring them, and keeping them for the update."""
