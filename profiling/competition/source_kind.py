"""When two submissions are the same source: what comments, blank lines and spacing differ in is one kind.

Samples of one kind are pooled, so that handing the same kernel in again and again only makes its
score surer, never luckier.
"""

from __future__ import annotations

import hashlib
import io
import re
import tokenize

DIRECTIVE = re.compile(r"#\s*cython\s*:\s*((\w|[.])+\s*=.*)$")
"""A comment that Cython reads, as its own parser finds it."""
_LAYOUT = {
    tokenize.COMMENT,
    tokenize.NL,
    tokenize.NEWLINE,
    tokenize.INDENT,
    tokenize.DEDENT,
    tokenize.ENCODING,
}


def kind(code: bytes, suffix: str) -> str:
    r"""Return the hash of a source without what means nothing.

    Parameters
    ----------
    code : bytes
        Contents of the file, UTF-8.
    suffix : str
        Of its name.

    Returns
    -------
    str
        Hexadecimal; of the very bytes where the source cannot be read as tokens.

    Examples
    --------
    >>> kind(b"x = 1", ".py") == kind(b"x  =  1  # one", ".py")
    True
    >>> kind(b"x = 1", ".pyx") == kind(b"#cython : cdivision=True\nx = 1", ".pyx")
    False
    """
    text = code.decode("utf-8", "replace")
    try:
        words = []
        for token in tokenize.generate_tokens(io.StringIO(text).readline):
            if token.type in (tokenize.INDENT, tokenize.DEDENT):
                words.append("\x01" if token.type == tokenize.INDENT else "\x02")
            elif token.type == tokenize.NEWLINE:
                words.append("\n")
            elif token.type not in _LAYOUT:
                words.append(token.string)
        content = "\0".join(words)
    except (tokenize.TokenError, SyntaxError, IndentationError):
        content = text
    # Cython reads some comments: those are not without meaning.
    if suffix == ".pyx":
        content += "".join(found[1] for line in text.splitlines() if (found := DIRECTIVE.match(line.strip())))
    return hashlib.sha256(f"{suffix}\0{content}".encode()).hexdigest()
