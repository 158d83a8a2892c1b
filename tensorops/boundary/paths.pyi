"""No Python functions: ``paths.pxd`` declares what other modules cimport."""
