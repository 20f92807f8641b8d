"""`call`: an operator's function, run on the newest value. Pure, as such a function has to be."""

from __future__ import annotations

from client_sdk.contract.errors import StateValueError
from client_sdk.contract.state.operations import Call
from client_sdk.contract.state.values import Value, check_value, copy
from core_api.documents.definitions import Definition
from core_api.documents.refusals import CallRefusedError, refuse


def run_call(definition: Definition, call: Call, current: Value | None) -> Value | None:
    """The function's new value. It is given copies, so it cannot change the originals.

    Args:
        definition: of the document; has the function.
        call: the function's name, and what it is given.
        current: the newest value; None: there is no document.

    Returns:
        The new value; None: the document is deleted.

    Raises:
        RefusedEditError: there is no such function, or it refuses, or it fails. One that fails
            must not hold up all that its client does after it, so that is a refusal, too.
    """
    function = definition.calls.get(call.name)
    if function is None:
        known = ", ".join(sorted(definition.calls)) or "none"
        refuse("forbidden-operation", f"unknown call {call.name}; available: {known}")
    try:
        result = function(copy(current), copy(call.arguments))
    except CallRefusedError as error:
        refuse("call-refused", str(error))
    except Exception as error:
        refuse("call-refused", f"the call {call.name} fails: {type(error).__name__}")
    if result is not None and type(result) is not dict:
        refuse("call-refused", f"the call {call.name} gives no document")
    try:
        check_value(result)
    except StateValueError as error:
        refuse("invalid", str(error), error.pointer)
    return result
