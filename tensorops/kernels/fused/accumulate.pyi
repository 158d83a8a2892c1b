"""No Python functions: the ``.pxd`` beside it declares what other modules cimport."""
