"""Advice: what the library does better than a hot line of the user's, found, tried out and measured.

`reading` makes trees of expressions, with the assignments before them put in; each file of ``patterns``
holds one idea that looks at such trees; `trial` runs the user's lines and the replacement, in a process of
its own, on arrays like those that the lines had; `advising` keeps what agrees and is measurably faster.
"""
