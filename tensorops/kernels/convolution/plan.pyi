"""No Python functions: ``plan.pxd`` declares what other modules cimport."""
