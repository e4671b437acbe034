"""Options that several commands take together: a command names the bundle, and is called with all of it."""

from __future__ import annotations

import functools
import inspect
from collections.abc import Callable, Iterator
from dataclasses import fields, is_dataclass
from typing import Any, get_type_hints


def bundled(command: Callable[..., Any]) -> Callable[..., Any]:
    """The command with, in place of each parameter whose type is a dataclass, an option for each of its fields."""
    hints = get_type_hints(command, include_extras=True)
    bundles = {name: kind for name, kind in hints.items() if is_dataclass(kind)}

    @functools.wraps(command)
    def unbundled(**given: Any) -> Any:
        made = {
            name: kind(**{field.name: given.pop(field.name) for field in fields(kind)})  # type: ignore[operator]
            for name, kind in bundles.items()
        }
        return command(**given, **made)

    signature = inspect.signature(command)
    options = [option for each in signature.parameters.values() for option in _options(each, hints[each.name])]
    unbundled.__signature__ = signature.replace(parameters=options)  # type: ignore[attr-defined]
    unbundled.__annotations__ = {option.name: option.annotation for option in options}
    return unbundled


def _options(parameter: inspect.Parameter, kind: Any) -> Iterator[inspect.Parameter]:
    if not is_dataclass(kind):
        yield parameter.replace(kind=inspect.Parameter.KEYWORD_ONLY, annotation=kind)
        return
    hints = get_type_hints(kind, include_extras=True)
    for field in fields(kind):
        option, keyword = hints[field.name], inspect.Parameter.KEYWORD_ONLY
        yield inspect.Parameter(field.name, keyword, default=field.default, annotation=option)
