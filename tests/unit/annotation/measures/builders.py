"""Rating tables for tests, from the shapes that papers print."""

from annotation.measures.table import RatingTable, Scale


def from_matrix(matrix, scale=None):
    """Labelers x items, None where a labeler did not judge the item."""
    values = scale or sorted({label for row in matrix for label in row if label is not None})
    rows = [
        (item, labeler, values.index(label))
        for labeler, row in enumerate(matrix)
        for item, label in enumerate(row)
        if label is not None
    ]
    items, labelers, labels = zip(*rows, strict=True)
    return RatingTable.from_columns(
        items, labelers, labels, Scale(tuple(str(value) for value in values))
    )


def from_contingency(cells):
    """Two labelers' cross table, one item a count."""
    answers = [
        (i, j) for i, row in enumerate(cells) for j, many in enumerate(row) for _ in range(many)
    ]
    return from_matrix(
        [[i for i, _ in answers], [j for _, j in answers]], scale=list(range(len(cells)))
    )
