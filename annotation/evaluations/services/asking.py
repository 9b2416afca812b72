"""People are asked again where a reward model contradicts them."""

from django.db import transaction

from annotation.accounts.models import User
from annotation.audit.services import record
from annotation.comparisons.models import Batch
from annotation.comparisons.services.again import ask_again
from annotation.comparisons.services.batches import free_name
from annotation.core.errors import Conflict
from annotation.evaluations.disagreements import batch_asked, comparisons_of
from annotation.evaluations.models import ModelCard


@transaction.atomic
def ask_where_it_disagrees(*, card: ModelCard, actor: User) -> Batch:
    """One batch of the comparisons that its model orders against people; each gets one further judgment.

    Raises Conflict where it is open already, or where there is nothing to ask.
    """
    # A second press waits here for the first.
    card = ModelCard.objects.select_for_update().get(pk=card.pk)
    version = card.version
    if (there := batch_asked(card)) is not None:
        raise Conflict(f"People are asked already where {version} disagrees: batch {there.name!r}.")
    keys = comparisons_of(card)
    if not keys:
        raise Conflict(
            f"{version} contradicts people on no comparison that is here; there is nothing to ask."
        )
    batch = ask_again(
        project=version.project,
        name=free_name(version.project, f"Where {version} disagrees with people"),
        comparisons=keys,
        made_from={"card": card.pk},
        actor=actor,
    )
    record("card.asked_again", card, actor=actor, batch=batch.pk)
    return batch
