"""YAML of users: a mapping and the line of each key; what YAML would pass over in silence is a mistake."""

from collections.abc import Hashable
from typing import Any

import yaml

from enct5.errors import show


class MappingError(ValueError):
    """What is wrong with the text, and on which line where that is known."""


class _Strict:
    """For a loader: refuses a key that stands twice, of which YAML keeps the last, and aliases, which can grow huge."""

    def compose_node(self: Any, parent: yaml.Node | None, index: Any) -> yaml.Node | None:
        if self.check_event(yaml.AliasEvent):
            raise yaml.composer.ComposerError(None, None, "aliases are not read here", self.peek_event().start_mark)
        return super().compose_node(parent, index)  # type: ignore[misc]

    def compose_mapping_node(self: Any, anchor: Any) -> yaml.MappingNode:
        node = super().compose_mapping_node(anchor)  # type: ignore[misc]
        known: set[Hashable] = set()
        for key, _ in node.value:
            if not isinstance(key, yaml.ScalarNode):
                raise yaml.constructor.ConstructorError(None, None, "a key is one word or text", key.start_mark)
            if key.value in known:
                raise yaml.constructor.ConstructorError(
                    None, None, f"{show(key.value)} stands there for the second time", key.start_mark
                )
            known.add(key.value)
        return node


class PlainLoader(_Strict, yaml.SafeLoader):
    """The loader to which `yes` is true and `1` a number."""


class TextLoader(_Strict, yaml.BaseLoader):
    """The loader to which every value is a text."""


def read_mapping(text: str) -> tuple[dict[str, Any], dict[str, int]]:
    """Read a mapping.

    Args:
        text: what a YAML file holds.

    Returns:
        The values by key, which is a text whatever it looks like, and the line of each key, from 1.

    Raises:
        MappingError: for anything else than one mapping whose keys differ.
    """
    try:
        opened: Any = PlainLoader(text)
        try:
            node = opened.get_single_node()
            if not isinstance(node, yaml.MappingNode):
                found = "nothing" if node is None else show(opened.construct_document(node))
                raise MappingError(f"it holds {found}, not a mapping of names to values")
            values = {key.value: opened.construct_object(value, deep=True) for key, value in node.value}
            return values, {key.value: key.start_mark.line + 1 for key, _ in node.value}
        finally:
            opened.dispose()
    except yaml.MarkedYAMLError as error:
        mark = error.problem_mark
        raise MappingError(f"{'' if mark is None else f'line {mark.line + 1}: '}{error.problem}") from error
    except RecursionError as error:
        raise MappingError("it is nested too deeply") from error
    except MappingError:
        raise
    except (yaml.YAMLError, ValueError) as error:  # a character that YAML may not hold, or no day of the calendar
        raise MappingError(show(error, 200)) from error
