"""Attention without the matrix of scores: blocks of them, softened one after the other."""
