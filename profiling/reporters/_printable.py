"""Make text from elsewhere (source lines, file names) safe to show."""

from __future__ import annotations


def printable(text: str) -> str:
    r"""Return text with everything that is no visible character written as an escape.

    A control character in a source line would change the reader's terminal, a newline in a file name
    would break a table, and a bidirectional override would show other code than the one that runs.

    Parameters
    ----------
    text : str
        Any text; tabs become spaces.

    Returns
    -------
    str
        One line, without control characters, format characters or lone surrogates.

    Examples
    --------
    >>> printable("\tx = '\x1b[31m'"), printable("plain")
    ("        x = '\\x1b[31m'", 'plain')
    """
    if text.isprintable():
        return text
    return "".join(
        char if char.isprintable() else char.encode("unicode_escape").decode("ascii")
        for char in text.expandtabs(8)
    )
