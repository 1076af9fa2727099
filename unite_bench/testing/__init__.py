"""The conformance kit for adapters, and embedders whose answers are known beforehand, to test tasks and the harness with.

No result of those embedders is ever tabled.
"""

from unite_bench.testing.checks import CHECKS, parametrize_with_checks, run_checks

__all__ = ["CHECKS", "parametrize_with_checks", "run_checks"]
