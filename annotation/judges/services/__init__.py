"""What may be done about machine judges: publish constitutions, appoint judges, let them hear and revise."""
