"""Put this library's operations under a course-style library, and take them away again.

The library's products (nested loops, ``@`` between arrays, ``np.matmul``), its linear layers and its
activations are computed here then, without a change of its source and wherever they are bound; its
tensors, its errors and its automatic differentiation stay its own.
"""

from __future__ import annotations

from tensorops.adapters.installation import Installation, Site, install, uninstall

__all__ = ["Installation", "Site", "install", "uninstall"]
