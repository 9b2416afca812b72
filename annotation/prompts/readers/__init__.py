"""Readers of the usual files: bytes become rows (`files`), rows become chats (`chats`) or judged responses (`judged`).

Nothing here knows the database. A row that cannot be taken is answered with the reason; a file that cannot be read at
all raises UnreadableFile.
"""
