"""Numbers keep their point: tables, charts and fields of the site mix them with English texts and with code."""

DECIMAL_SEPARATOR = "."
THOUSAND_SEPARATOR = " "
