"""No Python functions: ``backward.pxd`` declares what other modules cimport."""
