"""The validation rules of SPEC.md: their ids and their classes.

Rules: as in spec_checks.py, a check takes the document's text and returns what is wrong with it; whether a
vector breaks each rule is tests/unit/protocol/test_vectors.py's question.
"""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Callable

from protocol import errors
from tests.architecture import spec_text
from tests.architecture.spec_checks import different, doubles


def rules_have_one_id_each(text: str) -> list[str]:
    """Numbered from 01 within their letters, each with one of the five classes."""
    found = spec_text.rules(text)
    counted: Counter[str] = Counter()
    wrong = doubles([rule.id for rule in found])
    for rule in found:
        counted[rule.id[:4]] += 1
        if rule.id != f"{rule.id[:4]}-{counted[rule.id[:4]]:02}":
            wrong.append(f"{rule.id} is out of order")
    classes = {kind.error_class for kind in errors.ProtocolError.__subclasses__()}
    wrong += [f"{rule.id} is {rule.error_class}" for rule in found if rule.error_class not in classes]
    return wrong + [
        one for one in re.findall(r"V-[A-Z]{2}-\d\d", text) if one not in {rule.id for rule in found}
    ]


def rules_are_listed(text: str) -> list[str]:
    """The table of §14 names every rule, its section and its class, and nothing else."""
    said = []
    for ids, _, section, classes in spec_text.table(text, "rules", "about", "§").rows:
        first, _, last = ids.partition(" to ")
        numbers = range(int(first[-2:]), int((last or first)[-2:]) + 1)
        each = [f"{first[:4]}-{count:02}" for count in numbers]
        said += [
            (one, section, error_class) for one, error_class in zip(each, classes.split(", "), strict=False)
        ]
    return different(said, [(rule.id, rule.section, rule.error_class) for rule in spec_text.rules(text)])


def error_classes_are_those_of_the_code(text: str) -> list[str]:
    classes = [
        kind.error_class for kind in (errors.Malformed, errors.Unexpected, errors.AuthenticationFailed)
    ]
    classes += [errors.LimitExceeded.error_class, errors.Untrusted.error_class]
    return different([row[0] for row in spec_text.table(text, "class", "meaning").rows], classes)


RULE_CHECKS: tuple[Callable[[str], list[str]], ...] = (
    rules_have_one_id_each,
    rules_are_listed,
    error_classes_are_those_of_the_code,
)
