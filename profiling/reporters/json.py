"""Documents as JSON, for programs: the data with its schema version and the raw samples."""

from __future__ import annotations

import json
import math
from collections.abc import Mapping
from typing import Any

from ..document import Document
from . import Reporter


class JsonReporter(Reporter):
    """Renders a document's data as JSON."""

    help_text = "also write all figures and raw samples to FILE, as JSON"

    def render(self, document: Document, width: int) -> str:
        r"""Return the data as JSON text.

        Parameters
        ----------
        document : Document
            What to render; its sections are for people and are left out.
        width : int
            Not used: JSON has no page.

        Returns
        -------
        str
            One JSON object. JSON has no NaN and no infinity: they become null, "not available".

        Raises
        ------
        TypeError
            For data that has no place in JSON.

        Examples
        --------
        >>> JsonReporter().render(Document("Title", (), {"schema": 1}), 80)
        '{\n "schema": 1\n}'
        """
        return json.dumps(_finite(document.data), indent=1, allow_nan=False)


def _finite(value: Any) -> Any:
    if isinstance(value, float):
        return value if math.isfinite(value) else None
    if isinstance(value, Mapping):
        return {key: _finite(entry) for key, entry in value.items()}
    if isinstance(value, list | tuple):
        return [_finite(entry) for entry in value]
    return value
