"""Convolutions through the packed product: the columns are gathered as they are needed."""
