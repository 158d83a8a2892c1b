"""Where the library keeps its files: the profiles, and whatever later parts cache.

Nothing is created here; who writes a file creates its folder.
"""

from __future__ import annotations

import os
from pathlib import Path


def cache_dir() -> Path:
    """Return the folder of everything that is stored between two runs.

    Returns
    -------
    Path
        ``TENSOROPS_CACHE_DIR`` if it is set, else the user's cache folder of this platform.

    Examples
    --------
    >>> cache_dir().is_absolute()
    True
    """
    override = os.environ.get("TENSOROPS_CACHE_DIR", "")
    if override:
        return Path(override).expanduser().absolute()
    # Only a call that touches files pays for this import.
    import platformdirs

    return Path(platformdirs.user_cache_dir("tensorops", appauthor=False))


def profile_dir() -> Path:
    """Return the folder of the dispatcher's profiles, one file per machine.

    Returns
    -------
    Path
        A folder inside `cache_dir`; it need not exist yet.

    Examples
    --------
    >>> profile_dir().name
    'profiles'
    """
    return cache_dir() / "profiles"
