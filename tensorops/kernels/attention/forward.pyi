"""No Python functions: ``forward.pxd`` declares what other modules cimport."""
