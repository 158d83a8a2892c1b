"""The compiler's box: Cython and then the C compiler on a file that nobody trusts.

Cython is called directly: comments for distutils, which can add flags and sources, mean nothing here.
"""

from __future__ import annotations

import os
import signal
import subprocess
import sys
from typing import Any

from . import confine, seccomp

FAILED = 3
FILE_BYTES = 64 << 20


def main(configuration: dict[str, Any]) -> None:
    """Confine this process and compile.

    Parameters
    ----------
    configuration : dict
        From the judge's ``compiler.py``.
    """
    if configuration["namespaces"]:
        confine.enter_namespaces()
    confine.leave_privileges()
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    if configuration["confined"]:
        folder = configuration["folder"]
        confine.confine_files(
            [*confine.SYSTEM, configuration["site"]],
            [],
            [folder],
            ["/usr", "/lib", "/lib64", "/bin", *configuration["tools"]],
        )
    confine.limit(
        seconds=configuration["seconds"],
        file_bytes=FILE_BYTES,
        files=256,
        memory=configuration["memory"],
    )
    if configuration["confined"]:
        confine.confine_calls(seccomp.compiling())
    sys.path.append(configuration["site"])
    from Cython.Compiler import Errors, Options
    from Cython.Compiler.Main import CompilationOptions, compile_single, default_options

    options = CompilationOptions(
        default_options,
        language_level=3,
        output_file=configuration["c_file"],
        compiler_directives={"freethreading_compatible": False, **Options.get_directive_defaults()},
        include_path=[],
        module_name=configuration["name"],
    )
    try:
        result = compile_single(configuration["source"], options, full_module_name=configuration["name"])
        errors = result.num_errors
    except (Errors.CompileError, OSError, RecursionError, MemoryError) as error:
        sys.stderr.write(f"{type(error).__name__}: {error}\n")
        errors = 1
    if errors:
        sys.exit(FAILED)
    # Standard input is the null device already.
    done = subprocess.run(configuration["compile"], check=False)
    os._exit(FAILED if done.returncode else 0)
