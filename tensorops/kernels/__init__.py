"""The kernels and the table of their builds."""
