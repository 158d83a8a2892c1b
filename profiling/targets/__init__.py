"""What can be profiled: the library's operations, a user's function, a user's script."""

from .code import CodeTarget, FunctionTarget, ScriptTarget, UnknownTargetError, parse_target
from .functions import evaluate_arguments, load_function, run_setup
from .ladder import Rung, Target, TracedCall
from .operations import TARGETS, profile_paths, run_traced, traced_functions, unknown_elsewhere

__all__ = [
    "TARGETS",
    "CodeTarget",
    "FunctionTarget",
    "Rung",
    "ScriptTarget",
    "Target",
    "TracedCall",
    "UnknownTargetError",
    "evaluate_arguments",
    "load_function",
    "parse_target",
    "profile_paths",
    "run_setup",
    "run_traced",
    "traced_functions",
    "unknown_elsewhere",
]
