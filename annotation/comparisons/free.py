"""What is free to be leased, as SQL: in which order, and of which languages."""

from annotation.prompts.languages import PRIMARY_LANGUAGE

FREE = """c.project_id = %(project_id)s AND c.state = 'open' AND c.slots_taken < c.overlap
          AND c.kind <> 'gold'"""
_PRIMARY = PRIMARY_LANGUAGE.format(code="c.language")
READABLE = f"""(cardinality(%(languages)s::text[]) = 0 OR c.language = ''
           OR {_PRIMARY} = ANY(%(languages)s::text[]))"""

# What they were not given, did not judge and did not write themselves, of comparisons ``c``.
NEW_TO_THEM = """
          NOT EXISTS (SELECT 1 FROM comparisons_assignment a WHERE a.comparison_id = c.id
                          AND a.labeler_id = %(labeler_id)s AND NOT a.is_repeat AND a.state <> 'expired')
          AND NOT EXISTS (SELECT 1 FROM comparisons_judgment j WHERE j.comparison_id = c.id
                          AND j.labeler_id = %(labeler_id)s AND NOT j.is_repeat
                          AND j.withdrawn_at IS NULL)
          AND NOT EXISTS (SELECT 1 FROM generation_candidate w WHERE w.id = ANY(c.candidate_ids)
                          AND (w.author_id = %(labeler_id)s OR %(labeler_id)s = ANY(w.also_written_by)))"""


# Served first: higher priority, then fewest places taken (breadth first) or most (depth first), then oldest.
_ORDER = " ORDER BY c.priority DESC, turn, c.id"


def turn_sql(is_depth_first: bool) -> str:
    """What the smaller of goes first, among comparisons of one priority."""
    return "c.slots_taken" + " * -1" * is_depth_first


def free_sql(
    languages: int, *, is_depth_first: bool = False, where: str = "", limit: int | None = None
) -> str:
    """The free comparisons in the order of serving, of any language, or of so many in ``%(languages)s`` and of none.

    Each language is ordered and cut by itself and then merged: so the planner walks its index to where the labeler is
    served, whatever it believes, and looks at nothing that they cannot read.
    """
    end = _ORDER + (f" LIMIT {limit}" if limit else "")
    chosen = f"""SELECT c.id, c.priority, {turn_sql(is_depth_first)} AS turn
        FROM comparisons_comparison c WHERE {FREE}{where}"""  # noqa: S608 - our own
    if not languages:
        return chosen + end
    spoken = ["''", *(f"(%(languages)s::text[])[{place}]" for place in range(1, languages + 1))]
    arms = " UNION ALL ".join(f"({chosen} AND {_PRIMARY} = {one}{end})" for one in spoken)
    return f"SELECT c.id FROM ({arms}) c{end}"  # noqa: S608 - our own
