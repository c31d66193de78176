"""An OpenAPI 3.1 document from services: what their HTTP bindings take and answer.

Everything comes from the contract: operations, messages, comments, error enums and options. The document is plain data;
``text`` writes it as JSON or YAML.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from types import MappingProxyType
from typing import Any, Final

from kratos.codec.base import CodecSet
from kratos.codec.default import DEFAULT_CODECS
from kratos.codec.json import JsonCodec, JsonOptions
from kratos.openapi.comments import base_of, of_method, of_service, split
from kratos.openapi.failures import Failures
from kratos.openapi.media import Media, Wrapping
from kratos.openapi.parameters import path_parameters, query_parameters
from kratos.openapi.paths import PathTemplate
from kratos.openapi.schema import Schemas
from kratos.operation import AnyOperation, Http
from kratos.service import Service

__all__ = ["OPENAPI", "Info", "Security", "document"]

OPENAPI: Final = "3.1.1"
"""The version of OpenAPI that documents follow."""

_VERBS: Final = ("get", "put", "post", "delete", "options", "head", "patch", "trace")
_ANY: Final = ("get", "put", "post", "delete", "patch")
"""What a rule for every verb is listed under."""


_STREAMED: Final = (
    "Replies, one after the other: events `message`, each with a reply as JSON, or with "
    "`Accept: application/x-ndjson` one reply per line. The schema is that of one event or line. A failure after the "
    "first one is an event `error`, or a last line with a member `error`."
)


@dataclass(frozen=True, slots=True)
class Info:
    """What a document says about the API as a whole.

    Attributes:
        title: Its name.
        version: The version of the API, not of OpenAPI.
        description: What it is for, in Markdown.
    """

    title: str
    version: str = ""
    description: str = ""


@dataclass(frozen=True, slots=True)
class Security:
    """Who may call.

    Attributes:
        schemes: Security schemes of OpenAPI, by name.
        of: Returns the requirements of an operation, each of which is enough; none of them: anybody may call.
    """

    schemes: Mapping[str, Mapping[str, Any]] = field(default_factory=lambda: MappingProxyType({}))
    of: Callable[[AnyOperation], Sequence[Mapping[str, Sequence[str]]]] = lambda _: ()


def document(
    services: Iterable[Service | type[Service]],
    *,
    info: Info,
    servers: Iterable[str] = (),
    codecs: CodecSet = DEFAULT_CODECS,
    json: JsonOptions | None = None,
    wrapping: Wrapping = lambda _: None,
    security: Security | None = None,
    exact: bool = False,
) -> dict[str, Any]:
    """Returns the document of services.

    Args:
        services: What is served; RPCs without an HTTP binding are left out.
        info: About the API.
        servers: URLs at which it answers; relative ones start from where the document was found.
        codecs: The encodings that the server speaks.
        json: How messages look in JSON; what the JSON codec says if not given.
        wrapping: What is put around the replies and errors of an operation, in JSON.
        security: Who may call.
        exact: Describe every value that can be on the wire, see ``Schemas``: for tools that check bytes.
    """
    classes = list(dict.fromkeys(base_of(each if isinstance(each, type) else type(each)) for each in services))
    if json is None:
        codec = codecs.named(JsonCodec.name)
        json = codec.options if isinstance(codec, JsonCodec) else None
    schemas = Schemas(json, exact=exact)
    media = Media(schemas, codecs, wrapping)
    writer = _Writer(classes, media, Failures(media), security)
    for service in classes:
        writer.add(service)
    about = {"title": info.title, "version": info.version}
    components: dict[str, Any] = {
        "schemas": schemas.components,
        "responses": dict(sorted(writer.failures.responses.items())),
    }
    if security is not None and security.schemes:
        components["securitySchemes"] = {name: dict(scheme) for name, scheme in security.schemes.items()}
    urls = [{"url": url} for url in servers]
    return {
        "openapi": OPENAPI,
        "info": {**about, **({"description": info.description} if info.description else {})},
        **({"servers": urls} if urls else {}),
        "tags": writer.tags,
        "paths": writer.paths,
        "components": {kind: found for kind, found in components.items() if found},
    }


class _Writer:
    """Collects the paths of a document.

    Args:
        services: The generated bases of all services.
        media: How messages become bodies.
        failures: The error responses.
        security: Who may call.
    """

    def __init__(
        self, services: Sequence[type[Service]], media: Media, failures: Failures, security: Security | None
    ) -> None:
        self.failures = failures
        self.tags: list[dict[str, Any]] = []
        self.paths: dict[str, dict[str, Any]] = {}
        self._media = media
        self._security = security
        self._shapes: dict[str, PathTemplate] = {}
        self._ids: set[str] = set()
        names = [_full_name(service) for service in services]
        short = [name.rpartition(".")[2] for name in names]
        self._tags = {
            name: last if short.count(last) == 1 else name for name, last in zip(names, short, strict=True)
        }  # fmt: skip

    def add(self, service: type[Service]) -> None:
        """Adds the bindings of a service."""
        operations = [pair for pair in service.__operations__ if pair[1].http]
        if not operations:
            return
        comment = of_service(service)
        tag = {"name": self._tags[_full_name(service)]}
        self.tags.append({**tag, "description": comment} if comment else tag)
        for name, operation in operations:
            comment = of_method(service, name, operation)
            opened: set[str] = set()
            for http in operation.http:
                # A WebSocket begins with GET, whatever the rule says.
                rule = Http("GET", http.path, http.body, http.response_body) if _upgrades(operation) else http
                if not (rule is not http and http.path in opened):
                    self._bind(service, operation, comment, rule)
                opened.add(http.path)

    def _bind(self, service: type[Service], operation: AnyOperation, comment: str, http: Http) -> None:
        template = PathTemplate(http.path)
        first = self._shapes.setdefault(template.shape, template)
        # Paths that differ in the names of variables alone are one path.
        parameters = template.renamed([each.name for each in first.parameters])
        item = self.paths.setdefault(first.text, {})
        verbs = _ANY if http.method == "*" else (http.method.lower(),)
        for verb in verbs:
            written = self._operation(service, operation, comment)
            bound = {*template.variables, *({http.body} - {"", "*"})}
            listed = path_parameters(self._media.schemas, operation.request, parameters)
            if http.body != "*" or operation.client_streams:
                listed += query_parameters(self._media.schemas, operation.request, without=bound)
            written |= {"parameters": listed} if listed else {}
            written |= self._exchange(service, operation, http, template.variables)
            if verb in _VERBS and verb not in item:
                item[verb] = written
            else:  # Verbs that OpenAPI has no place for, and the less specific of two rules for the same paths.
                item.setdefault("x-kratos-operations", []).append({"method": verb.upper(), **written})

    def _operation(self, service: type[Service], operation: AnyOperation, comment: str) -> dict[str, Any]:
        summary, description = split(comment)
        if _upgrades(operation):
            told = "Opens a WebSocket; each message is one text frame of JSON."
            description = f"{description or comment}\n\n{told}".strip()
        return {
            "tags": [self._tags[_full_name(service)]],
            **({"summary": summary} if summary else {}),
            **({"description": description} if description else {}),
            "operationId": self._id(service, operation),
            **({"deprecated": True} if operation.deprecated else {}),
            **self._secured(operation),
            "x-kratos-operation": operation.name,
        }

    def _id(self, service: type[Service], operation: AnyOperation) -> str:
        name = f"{self._tags[_full_name(service)].replace('.', '_')}_{operation.method}"
        unique, count = name, 2
        while unique in self._ids:
            unique, count = f"{name}_{count}", count + 1
        self._ids.add(unique)
        return unique

    def _secured(self, operation: AnyOperation) -> dict[str, Any]:
        if self._security is None:
            return {}
        needed = self._security.of(operation)
        return {"security": [{name: list(scopes) for name, scopes in each.items()} for each in needed]}

    def _exchange(
        self, service: type[Service], operation: AnyOperation, http: Http, variables: Sequence[str]
    ) -> dict[str, Any]:
        """Returns what comes in the body and what goes out."""
        media = self._media
        reads_body = bool(http.body) and not _upgrades(operation)
        failures = self.failures.of(service, operation, reads_body=reads_body)
        if _upgrades(operation):
            opened = {"description": "The WebSocket is open."}
            frames = media.frames(operation, http.body, http.response_body)
            return {"responses": {"101": opened, **failures}, "x-websocket": frames}
        if operation.server_streams:
            content = media.events(operation, http.response_body)
            reply = {"description": _STREAMED, "content": content}
        else:
            content = {} if http.method == "HEAD" else {"content": media.reply(operation, http.response_body)}
            reply = {"description": "The reply.", **content}
        body = {"requestBody": media.request(operation, http, variables)} if reads_body else {}
        return {**body, "responses": {"200": reply, **failures}}


def _upgrades(operation: AnyOperation) -> bool:
    return operation.client_streams


def _full_name(service: type[Service]) -> str:
    return next((operation.service for _, operation in service.__operations__), service.__name__)
