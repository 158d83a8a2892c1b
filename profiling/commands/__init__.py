"""One verb per file, found by listing this folder.

``<verb>.py`` holds ``<Verb>Command``; the class's docstring is the verb's help.
"""
