"""The rows of the operation registry, a module for each class of operations."""
