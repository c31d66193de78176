"""Names of a contract in Python."""

from __future__ import annotations

import pytest

from kratos.tools.codegen.names import client_class, constant, error_class_name, method, service_class


@pytest.mark.parametrize(
    ("rpc", "expected"),
    [
        ("SayHello", "say_hello"),
        ("GetURL", "get_url"),
        ("GetUrl", "get_url"),
        ("GetHTTPInfo", "get_http_info"),
        ("HTTPGet", "http_get"),
        ("ListURLs", "list_urls"),
        ("ListIDsByName", "list_ids_by_name"),
        ("GetV2Item", "get_v2_item"),
        ("say_hello", "say_hello"),
        ("Get_Item", "get_item"),
        ("A", "a"),
        ("Import", "import_"),
        ("None", "none"),
        ("Close", "close"),
        ("Self", "self"),
        ("__init__", "pb___init__"),
        ("_invoker", "pb__invoker"),
        ("pb__invoker", "pb_pb__invoker"),
    ],
)
def test_methods(rpc: str, expected: str) -> None:
    """An RPC is a method in snake_case, acronyms are one word, and what Python or we keep is escaped."""
    assert method(rpc) == expected
    assert expected.isidentifier()


@pytest.mark.parametrize(
    ("service", "base", "client"),
    [
        ("Greeter", "GreeterService", "GreeterClient"),
        ("GreeterService", "GreeterService", "GreeterServiceClient"),
        ("Service", "Service", "ServiceClient"),
        ("KV", "KVService", "KVClient"),
        ("import", "importService", "importClient"),
        ("_Hidden", "pb__HiddenService", "pb__HiddenClient"),
    ],
)
def test_classes(service: str, base: str, client: str) -> None:
    """A service has a base class that ends in Service, and a client."""
    assert (service_class(service), client_class(service)) == (base, client)


def test_constants() -> None:
    """A constant starts with the service, so two services may have methods of one name."""
    assert constant("Greeter", "SayHello") == "GREETER_SAY_HELLO"
    assert constant("KV", "Range") == "KV_RANGE"
    assert constant("_Hidden", "Get") == "PB__HIDDEN_GET"


@pytest.mark.parametrize(
    ("value", "expected"),
    [
        ("USER_NOT_FOUND", "UserNotFound"),
        ("ERROR_REASON_USER_NOT_FOUND", "UserNotFound"),
        ("SystemBroken", "SystemBroken"),
        ("systemBroken", "SystemBroken"),
        ("system_broken", "SystemBroken"),
        ("System_Broken", "SystemBroken"),
        ("ERROR_REASON_404", "ErrorReason404"),
        ("ERROR_REASON_", "ErrorReason"),
        ("NOT_FOUND", "NotFoundError"),
        ("ERROR", "ErrorError"),
        ("TIMEOUT_ERROR", "TimeoutErrorError"),
        ("NONE", "NoneError"),
        ("_HIDDEN", "Hidden"),
    ],
)
def test_error_classes(value: str, expected: str) -> None:
    """An enum value is a class without the enum's prefix; what kratos.errors or Python has gets a suffix."""
    assert error_class_name("ErrorReason", value) == expected
