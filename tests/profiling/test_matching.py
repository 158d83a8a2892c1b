"""Lines of two versions of a source, matched by function and text."""

from operator import itemgetter

from hypothesis import given
from hypothesis import strategies as st

from profiling.measure.matching import match_lines

lines = st.lists(
    st.tuples(st.sampled_from("fg"), st.sampled_from(["a = 1", "b = a", "for i in r:", "c += i"]))
)


def matched(before, after):
    return match_lines(before, after, itemgetter(0), itemgetter(1))


def in_function(name, *texts):
    return [(name, text) for text in texts]


@given(lines)
def test_a_source_matches_itself(source):
    assert all(match.kind == "same" and match.before == match.after for match in matched(source, source))


@given(lines, lines)
def test_every_line_stands_in_one_match(before, after):
    matches = matched(before, after)
    assert sorted(match.before for match in matches if match.before) == sorted(before)
    assert sorted(match.after for match in matches if match.after) == sorted(after)
    for match in matches:
        if match.kind in ("same", "moved"):
            assert match.before[1] == match.after[1]


def test_an_edited_line_is_matched_with_its_old_text():
    before = in_function("f", "total = 0", "y = np.dot(x, w)", "return y")
    after = in_function("f", "total = 0", "y = np.dot(x, w.copy())", "return y")
    assert [match.kind for match in matched(before, after)] == ["same", "same", "edited"]


def test_another_line_in_its_place_is_new():
    before, after = in_function("f", "y = np.dot(x, w)"), in_function("f", "log('begin')")
    assert sorted(match.kind for match in matched(before, after)) == ["gone", "new"]


def test_a_renamed_function_moves_its_lines():
    before, after = in_function("f", "a = 1", "b = a"), in_function("g", "a = 1", "b = a")
    assert [match.kind for match in matched(before, after)] == ["moved", "moved"]


def test_an_inserted_line_moves_nothing_else():
    before = in_function("f", "a = 1", "a = 1", "b = a")
    after = in_function("f", "c = 2", "a = 1", "a = 1", "b = a")
    kinds = [match.kind for match in matched(before, after)]
    assert kinds.count("same") == 3
    assert kinds.count("new") == 1
