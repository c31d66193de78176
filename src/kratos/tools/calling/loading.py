"""An operation as Python has it: imported from the project that says it."""

from __future__ import annotations

import os
import sys
from importlib import import_module

from kratos.errors import KnownErrors, by_reason
from kratos.operation import AnyOperation
from kratos.service import Service
from kratos.tools.calling.operations import Known
from kratos.tools.codegen.project import Project
from kratos.tools.failure import Failure

__all__ = ["load"]


def load(project: Project, known: Known) -> tuple[AnyOperation, KnownErrors]:
    """Imports an operation from the project, and the error classes of its service.

    Raises:
        Failure: The module that Python finds by that name is not the project's.
        Exception: Whatever the import raises.
    """
    root = str(project.root)
    if root not in sys.path:
        sys.path.insert(0, root)
    module = import_module(known.module)
    file = module.__file__ or ""
    if not os.path.realpath(file).startswith(os.path.join(os.path.realpath(root), "")):
        raise Failure(
            f"{known.module} is imported from {file}, not from {root}: another package has its name",
            hint="kratos doctor",
        )
    operation: AnyOperation = getattr(module, known.constant)
    return operation, _errors(module, operation)


def _errors(module: object, operation: AnyOperation) -> KnownErrors:
    services = [each for each in vars(module).values() if isinstance(each, type) and issubclass(each, Service)]
    owners = [each for each in services if any(has is operation for _, has in each.__operations__)]
    return by_reason(error for owner in owners for error in owner.__errors__)
