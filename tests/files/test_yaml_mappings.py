"""YAML of users: what its libraries pass over in silence is refused, with the line."""

import pytest
import yaml

from enct5.files.yaml_mappings import MappingError, TextLoader, read_mapping


def test_values_come_with_the_lines_of_their_keys() -> None:
    values, lines = read_mapping("# first\na: 1\n\nb:\n- x\n- 'no'\nyes: no\n1: 2.5\n")
    assert values == {"a": 1, "b": ["x", "no"], "yes": False, "1": 2.5}
    assert lines == {"a": 2, "b": 4, "yes": 7, "1": 8}
    assert yaml.load("yes: no\na: 1", TextLoader) == {"yes": "no", "a": "1"}


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("a: 1\nb: 2\na: 3", "line 3: `a` stands there for the second time"),
        ("a:\n  b: 2\n  b: 3", "line 3: `b` stands there for the second time"),
        ("a: [1", "line 1: expected ',' or ']'"),
        ("a: 1\n b: 2", "line 2: mapping values are not allowed here"),
        ("a: &x [1]\nb: *x", "line 2: aliases are not read here"),
        ("[a]: 1", "line 1: a key is one word or text"),
        ("a: 1\n---\nb: 2", "line 2: but found another document"),
        ("a: !!python/object/apply:os.getcwd []", "line 1: could not determine a constructor for the tag"),
        ("- a\n- b", "holds `['a', 'b']`, not a mapping"),
        ("", "holds nothing, not a mapping"),
        ("a: 2024-13-45", "month must be in 1..12"),
        ("a: \x07", "unacceptable character"),
        ("a: " + "[" * 3000, "nested too deeply"),
    ],
)
def test_anything_else_is_refused(text: str, message: str) -> None:
    with pytest.raises(MappingError) as caught:
        read_mapping(text)
    assert message in str(caught.value)
    assert "\n" not in str(caught.value)
