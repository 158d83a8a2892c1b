"""Small networks on scikit-learn's digits, trained four ways: ``python -m benchmarks.workloads``."""
