"""A project with one row of everything, for tests that go through every operation of the API."""

from django.db.models import Model
from rest_framework.test import APIClient

from annotation.accounts.services import create_token
from annotation.audit.models import AuditEvent
from annotation.comparisons.models import Batch, Comparison, Flag, GoldItem, Requeue
from annotation.comparisons.services.queue import lease_next_comparison
from annotation.demonstrations.models import Opening
from annotation.demonstrations.services.writing import lease_next
from annotation.evaluations.models import Evaluation
from annotation.generation.models import GenerationRun, PlaygroundRun
from annotation.judges.models import JudgeRun, RevisionRun
from annotation.judges.services.appointing import appoint_judge, publish_constitution
from annotation.projects.models import Guideline, Role
from annotation.projects.services.members import invite
from annotation.projects.services.rubric import remove_criterion, save_criterion
from annotation.prompts.models import PromptImport
from annotation.quality.models import Adjudication, Dispute, LabelerAct, LabelerGroup, Rule
from annotation.registry.models import ScoringRequest
from annotation.rounds.models import Round
from annotation.webhooks.models import Delivery, Event, Webhook
from tests import factories

WORDS = {"{name}": "helpful", "{table}.csv": "statistics.csv", "{step}": "rubric"}


class World:
    """A project with one row of everything, someone with every role, and a client of theirs."""

    def __init__(self) -> None:
        self.project = factories.project()
        self.user = factories.member(self.project, Role.ADMIN)
        for role in (Role.LABELER, Role.ENGINEER):
            self.project.memberships.create(user=self.user, role=role)
        self.rows = self._rows()
        self.client = APIClient(raise_request_exception=False)
        self.client.force_authenticate(self.user)

    def _rows(self) -> dict[str, int]:
        """Ids by the word before them in an address."""
        project, user = self.project, self.user
        prompt, policy = factories.prompt(project), factories.policy(project)
        comparison = factories.comparison(prompt)
        assignment = lease_next_comparison(project=project, labeler=user)
        factories.judgment(factories.comparison(prompt), user)
        own = {"project": project}
        opening = Opening.objects.create(prompt=prompt, **own)
        demonstration = lease_next(project=project, author=user)
        publish_constitution(
            project=project, principles=[{"title": "Kind", "text": "Be kind."}], actor=user
        )
        judge = appoint_judge(project=project, name="Judge", model=policy, actor=user)
        made = {
            "scores": ScoringRequest.objects.create(version=policy, chats=[], **own),
            "judges": judge,
            "judge-runs": JudgeRun.objects.create(judge=judge, **own),
            "revisions": RevisionRun.objects.create(judge=judge, **own),
            "openings": opening,
            "demonstrations": demonstration,
            "mine": demonstration,
            "projects": project,
            "members": user,
            "prompts": prompt,
            "models": policy,
            "comparisons": comparison,
            "assignments": assignment,
            "snapshots": factories.snapshot(project),
            "runs": factories.training_run(project),
            "generation": GenerationRun.objects.create(policy=policy, per_prompt=1, **own),
            "playground": PlaygroundRun.objects.create(
                turns=prompt.turns, policy_ids=[policy.pk], **own
            ),
            "batches": Batch.objects.create(name="Batch", **own),
            "imports": PromptImport.objects.create(filename="a", file_format="jsonl", **own),
            "tokens": create_token(user=user, name="word").token,
            "invitations": invite(project=project, role=Role.LABELER, actor=user).invitation,
        }
        Round.objects.create(number=1, plan={}, policy=policy, **own)
        other = factories.policy(project)
        made["evaluations"] = Evaluation.objects.create(policy=policy, baseline=other, **own)
        made |= self._of_quality(comparison) | self._webhook()
        made |= {"datasets": made["snapshots"], "write": demonstration}  # as their pages say
        numbers = {"rounds": 1, "rules": 1, "guideline": 1}
        return {name: row.pk for name, row in made.items()} | numbers

    def _of_quality(self, comparison: Comparison) -> dict[str, Model]:
        project, user = self.project, self.user
        own = {"project": project, "comparison": comparison}
        mine = {"project": project, "labeler": user}
        Rule.objects.create(
            project=project, series=1, kind="too_fast", params={"seconds": 5, "accuracy_below": 0.6}
        )
        first, second = comparison.candidate_ids
        verdict = {"ranking": [[first], [second]], "strengths": [1]}
        guideline = Guideline.objects.create(project=project, version=1, text="Be brief.")
        gold = {"kind_before": comparison.kind, "state_before": comparison.state}
        pause = LabelerAct.objects.create(kind=LabelerAct.Kind.PAUSE, **mine)
        appeal = {"subject": "pause", "subject_id": pause.pk, "text": "No."}
        return {
            "labelers": user,
            "flags": Flag.objects.create(labeler=user, note="Odd.", **own),
            "undo": self._event_of_a_criterion(),
            "groups": LabelerGroup.objects.create(project=project, name="Experts"),
            "gold": GoldItem.objects.create(**own, **gold),
            "adjudications": Adjudication.objects.create(cause="ambiguous", **verdict, **own),
            "acts": pause,
            "disputes": Dispute.objects.create(**appeal, **mine),
            "requeues": Requeue.objects.create(
                project=project, guideline=guideline, scope="disagreed", comparison_ids=[]
            ),
        }

    def _event_of_a_criterion(self) -> AuditEvent:
        """One that may be undone."""
        named = {"project": self.project, "name": "brief", "actor": self.user}
        save_criterion(question="Which is briefer?", **named)
        remove_criterion(**named)
        return AuditEvent.objects.filter(verb="criterion.removed").latest("pk")

    def _webhook(self) -> dict[str, Model]:
        webhook = Webhook.objects.create(
            project=self.project, url="https://example.org/", events=[Event.RUN], salt="a"
        )
        told = {"event": Event.RUN, "key": "run:1", "payload": {}}
        sent = Delivery.objects.create(webhook=webhook, **told)
        return {"webhooks": webhook, "deliveries": sent}

    def address(self, template: str, *, last: object = None) -> str:
        """The address with ids of rows that exist, or ``last`` in place of the last."""
        parts = template.split("/")
        places = [place for place, part in enumerate(parts) if part.startswith("{")]
        for place in places:
            end = parts[place].rpartition("}")[2]
            parts[place] = WORDS.get(parts[place]) or f"{self.rows[parts[place - 1]]}{end}"
        if last is not None:
            parts[places[-1]] = str(last)
        return "/".join(parts)
