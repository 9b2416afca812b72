"""What may be done with webhooks: keeping them, collecting what they tell of, delivering it."""
