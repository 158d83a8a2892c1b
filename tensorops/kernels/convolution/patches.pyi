"""No Python functions: ``patches.pxd`` declares what other modules cimport."""
