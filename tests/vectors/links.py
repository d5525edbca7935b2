"""Makes the vectors of links: first what succeeds, then what is refused before and after OPEN.

Rules: the order of groups and tests fixes the ids; what is new stands at the end.
"""

from __future__ import annotations

from protocol.vectors.frame import Json
from protocol.vectors.links import AREA
from tests.vectors.files import Seed, build_file
from tests.vectors.links_edges import edge_groups
from tests.vectors.links_lives import living_groups
from tests.vectors.links_notes import NOTES
from tests.vectors.links_open import open_groups
from tests.vectors.links_wrong import wrong_groups


def build(phrase: str) -> Json:
    """The whole file of this area."""
    groups = [*living_groups(phrase), *wrong_groups(phrase), *open_groups(phrase), *edge_groups(phrase)]
    return build_file(Seed(phrase, AREA), NOTES, groups)
