"""No Python functions: ``loops.pxd`` declares what other modules cimport."""
