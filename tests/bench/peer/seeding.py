"""Read by Label Studio's own interpreter where its code lies: so many users, the first owns all; their tokens."""

import json
import sys

import django

django.setup()

from organizations.models import Organization  # noqa: E402
from users.models import User  # noqa: E402

people = [
    User.objects.create_user(email=f"user-{number}@bench.invalid")
    for number in range(int(sys.argv[1]))
]
organization = Organization.create_organization(
    created_by=people[0], title="Bench", legacy_api_tokens_enabled=True
)
for one in people:
    organization.add_user(one)
    one.active_organization = organization
    one.save(update_fields=["active_organization"])
sys.stdout.write("\n" + json.dumps([one.auth_token.key for one in people]) + "\n")
