"""Elementwise kernels: one formula per operation over the compiler's vector type, built once per row."""
