"""Goal: a broken text is refused with the place and what was expected there.

Method: a table of texts, each broken in one way, with the line, the column and words of the error.
"""

import pytest

from brickwork.core.errors import WorkflowError
from brickwork.graph.parse import parse

GOOD = "workflow demo\ninput %seed : int\n%a = noise(seed=%seed) : x latent[4] float32\nreturn x=%a.x\n"

BROKEN = [
    ("graph demo", "line 1, column 1: expected 'workflow', found graph"),
    ("workflow demo\nreturn", "line 2, column 7: expected a word, found the end of the text"),
    ("workflow demo\ninput seed : int\n", "line 2, column 7: expected a value, found seed"),
    (GOOD.replace("%seed)", "%sed)"), "line 3, column 17: %sed is not defined before this line"),
    (GOOD.replace("[4]", "[4.5]"), "line 3, column 35: expected an integer, found 4.5"),
    (GOOD.replace(" : int", " : int {bound=3}"), "line 2, column 27: there is no option 'bound'"),
    (GOOD.replace(" : int", ' : int {doc="\\q"}'), "line 2, column 24: the string is broken"),
    (GOOD.replace("return", "return §"), "line 4, column 8: '§' begins nothing that is known here"),
    (GOOD + "x", "line 5, column 1: expected the end of the text, found x"),
    (GOOD.replace("noise(", "noise<m("), "line 3, column 13: expected '>', found ("),
]


@pytest.mark.parametrize(("text", "expected"), BROKEN, ids=[expected for _, expected in BROKEN])
def test_a_broken_text_tells_where(text: str, expected: str) -> None:
    with pytest.raises(WorkflowError) as caught:
        parse(text)
    assert str(caught.value).startswith(expected)


def test_the_good_text_is_good() -> None:
    assert parse(GOOD).outputs == (("x", "a.x"),)
