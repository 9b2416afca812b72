"""Where a labeler works: the project with its rubric, their membership, how far they are; read by one query."""

from collections.abc import Sequence
from typing import Any, NamedTuple

from django.utils.translation import gettext as _

from annotation.accounts.models import User
from annotation.comparisons.progress import DONE_COLUMNS, Done
from annotation.core import statements
from annotation.core.errors import NotFound
from annotation.core.statements import columns, row_of, width
from annotation.projects.models import Membership, Project, Role
from annotation.projects.selectors import project_for


class Asked(NamedTuple):
    """A criterion of the rubric, as it is asked."""

    name: str
    question: str
    title: str = ""

    @property
    def label(self) -> str:
        """What a labeler reads of it."""
        return self.title or self.name.replace("-", " ").capitalize()


class Station(NamedTuple):
    """A labeler at work in a project."""

    project: Project
    member: Membership
    criteria: tuple[Asked, ...]
    guideline_version: int  # the newest; 0 without one
    done: Done

    @property
    def is_in_training(self) -> bool:
        """Must qualify, and has not yet."""
        return self.project.must_qualify and self.member.qualified_at is None


_CRITERIA = """(SELECT json_agg(json_build_array(one.name, one.question, one.title) ORDER BY one.position, one.id)
    FROM projects_criterion one WHERE one.project_id = p.id)"""
_VERSION = """(SELECT COALESCE(max(g.version), 0) FROM projects_guideline g
    WHERE g.project_id = p.id)"""
STATION = f"""{columns(Project, "p")}, {columns(Membership, "m")}, {_CRITERIA}, {_VERSION},
    {DONE_COLUMNS}"""
_STATION = f"""
SELECT {STATION}
FROM projects_membership m JOIN projects_project p ON p.id = m.project_id
LEFT JOIN comparisons_queueposition q ON q.project_id = m.project_id AND q.labeler_id = m.user_id
WHERE m.user_id = %(labeler_id)s AND m.project_id = %(project_id)s AND m.role = 'labeler'
"""  # noqa: S608 - only names of columns


def station_of(*, labeler: User, project_id: int) -> Station:
    """Where a labeler works: one query. Raises as `project_for` does for those who do not label here."""
    rows = statements.run(_STATION, {"labeler_id": labeler.pk, "project_id": project_id})
    if not rows:
        project_for(labeler, project_id, Role.LABELER)
        raise NotFound(_("You are not a labeler of this project any more; ask one of its admins."))
    return station_from(rows[0], labeler)


def station_from(values: Sequence[Any], labeler: User) -> Station:  # Any: columns differ
    """The station in the columns that ``STATION`` names."""
    cut, end = width(Project), width(Project) + width(Membership)
    project, member = row_of(Project, values[:cut]), row_of(Membership, values[cut:end])
    member.project, member.user = project, labeler
    criteria = tuple(Asked(*one) for one in values[end] or ())
    return Station(project, member, criteria, values[end + 1], Done._make(values[end + 2 :]))
