"""Documents as JSON, for programs: the data with its schema version and the raw samples."""

from __future__ import annotations

import json

from ..document import Document


class JsonReporter:
    """Renders a document's data as JSON."""

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
            One JSON object.

        Examples
        --------
        >>> JsonReporter().render(Document("Title", (), {"schema": 1}), 80)
        '{\n "schema": 1\n}'
        """
        return json.dumps(dict(document.data), indent=1, allow_nan=False)
