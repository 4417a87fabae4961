"""Operations whose arguments are not for people to see.

pyinfra puts an operation's arguments behind its name where it was given none, and prints both.
"""

from __future__ import annotations

from collections.abc import Callable
from functools import wraps
from typing import Any, TypeVar

T = TypeVar("T", bound=Callable[..., Any])


def secret_arguments(title: str) -> Callable[[T], T]:
    """A decorator above ``@operation()``: a call without a name gets *title* for one.

    + title: such as ``containerd.registry_hosts``
    """

    def decorate(operation: T) -> T:
        @wraps(operation)
        def call(*args: Any, **arguments: Any) -> Any:
            if not arguments.get("name"):
                arguments["name"] = title
            return operation(*args, **arguments)

        return call  # type: ignore[return-value]

    return decorate
