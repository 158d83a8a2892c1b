"""No Python functions: ``arrays.pxd`` declares what other modules cimport."""
