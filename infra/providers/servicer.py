"""The engine's provider protocol over our resource types.

The engine gives no hint which request belongs to which run, so nothing is kept between requests and
one provider serves every stack of an environment at once.
"""

from collections.abc import Callable, Iterable, Mapping
from functools import wraps
from typing import Any, NoReturn, TypeVar

import grpc
from google.protobuf import empty_pb2, json_format, struct_pb2
from pulumi.runtime.proto import plugin_pb2, provider_pb2, provider_pb2_grpc

from infra.errors import ProvinceError
from infra.providers.changes import Properties, PropertyChange
from infra.providers.resource_type import ResourceType

VERSION = "0.1.0"

_KINDS = provider_pb2.PropertyDiff.Kind
_DIFFERENCE_KINDS = {
    ("add", False): _KINDS.ADD,
    ("add", True): _KINDS.ADD_REPLACE,
    ("delete", False): _KINDS.DELETE,
    ("delete", True): _KINDS.DELETE_REPLACE,
    ("update", False): _KINDS.UPDATE,
    ("update", True): _KINDS.UPDATE_REPLACE,
}

_Request = TypeVar("_Request")
_Answer = TypeVar("_Answer")
_Method = Callable[["ProvinceProvider", _Request, grpc.ServicerContext], _Answer]


def _sentences(method: _Method[_Request, _Answer]) -> _Method[_Request, _Answer]:
    """Lets the engine show an error's own sentence instead of a traceback."""

    @wraps(method)
    def inner(
        self: "ProvinceProvider", request: _Request, context: grpc.ServicerContext
    ) -> _Answer:
        try:
            return method(self, request, context)
        except ProvinceError as error:
            _abort(context, error.sentence)

    return inner


class ProvinceProvider(provider_pb2_grpc.ResourceProviderServicer):
    """Serves resource types to any number of engines.

    Args:
        types: the types that this process can serve.
    """

    # Names of methods are the protocol's.
    # ruff: noqa: N802

    def __init__(self, types: Iterable[ResourceType]) -> None:
        self._types: Mapping[str, ResourceType] = {one.token: one for one in types}

    def Handshake(
        self, _request: provider_pb2.ProviderHandshakeRequest, _context: grpc.ServicerContext
    ) -> provider_pb2.ProviderHandshakeResponse:
        """Says that plain values are all that we take: no property of ours is a secret.

        An engine that has shaken hands asks Create and Update in a preview too.
        """
        return provider_pb2.ProviderHandshakeResponse()

    def GetPluginInfo(
        self, _request: empty_pb2.Empty, _context: grpc.ServicerContext
    ) -> plugin_pb2.PluginInfo:
        """Says which version this is."""
        return plugin_pb2.PluginInfo(version=VERSION)

    def Attach(
        self, _request: plugin_pb2.PluginAttach, _context: grpc.ServicerContext
    ) -> empty_pb2.Empty:
        """Accepts an engine that found us running."""
        return empty_pb2.Empty()

    def CheckConfig(
        self, request: provider_pb2.CheckRequest, _context: grpc.ServicerContext
    ) -> provider_pb2.CheckResponse:
        """Accepts the provider's own settings, of which there are none."""
        return provider_pb2.CheckResponse(inputs=request.news)

    def DiffConfig(
        self, _request: provider_pb2.DiffRequest, _context: grpc.ServicerContext
    ) -> provider_pb2.DiffResponse:
        """Sees no difference between settings that do not exist."""
        return provider_pb2.DiffResponse(changes=provider_pb2.DiffResponse.DIFF_NONE)

    def Configure(
        self, _request: provider_pb2.ConfigureRequest, _context: grpc.ServicerContext
    ) -> provider_pb2.ConfigureResponse:
        """Says the same to engines that shake no hands."""
        return provider_pb2.ConfigureResponse(supportsPreview=True)

    def Cancel(self, _request: empty_pb2.Empty, _context: grpc.ServicerContext) -> empty_pb2.Empty:
        """Lets what runs come to its end: half a machine helps nobody."""
        return empty_pb2.Empty()

    @_sentences
    def Check(
        self, request: provider_pb2.CheckRequest, context: grpc.ServicerContext
    ) -> provider_pb2.CheckResponse:
        """Answers what is wrong with inputs, property by property."""
        failures = self._type(request.urn, context).check(_values(request.news))
        return provider_pb2.CheckResponse(
            inputs=request.news,
            failures=[
                provider_pb2.CheckFailure(property=one.property, reason=one.sentence)
                for one in failures
            ],
        )

    @_sentences
    def Diff(
        self, request: provider_pb2.DiffRequest, context: grpc.ServicerContext
    ) -> provider_pb2.DiffResponse:
        """Answers which inputs differ from the inputs before; outputs do not count."""
        one = self._type(request.urn, context)
        changes = one.compare(_values(request.old_inputs), _values(request.news))
        return _difference(changes)

    @_sentences
    def Create(
        self, request: provider_pb2.CreateRequest, context: grpc.ServicerContext
    ) -> provider_pb2.CreateResponse:
        """Makes or adopts a resource, or only says what it would be; its name is its identity."""
        if request.preview:
            return provider_pb2.CreateResponse(properties=request.properties)
        inputs = _values(request.properties)
        outputs = self._type(request.urn, context).create(inputs)
        return provider_pb2.CreateResponse(id=inputs["name"], properties=_struct(outputs))

    @_sentences
    def Read(
        self, request: provider_pb2.ReadRequest, context: grpc.ServicerContext
    ) -> provider_pb2.ReadResponse:
        """Answers what is there; an empty answer says that nothing is."""
        inputs = _values(request.inputs)
        if not inputs:
            _abort(
                context,
                f"{request.urn}: cannot be imported by its name alone; declare it and let an "
                "update adopt what is there",
            )
        seen = self._type(request.urn, context).read(inputs, _values(request.properties))
        if seen is None:
            return provider_pb2.ReadResponse()
        return provider_pb2.ReadResponse(
            id=request.id, inputs=_struct(seen.inputs), properties=_struct(seen.outputs)
        )

    @_sentences
    def Update(
        self, request: provider_pb2.UpdateRequest, context: grpc.ServicerContext
    ) -> provider_pb2.UpdateResponse:
        """Changes what differs, or only says what it would be."""
        if request.preview:
            return provider_pb2.UpdateResponse(properties=request.news)
        old, new = _values(request.old_inputs), _values(request.news)
        outputs = self._type(request.urn, context).update(old, new)
        return provider_pb2.UpdateResponse(properties=_struct(outputs))

    @_sentences
    def Delete(
        self, request: provider_pb2.DeleteRequest, context: grpc.ServicerContext
    ) -> empty_pb2.Empty:
        """Removes a resource."""
        # Older states know the outputs only; all inputs are among them.
        inputs = _values(request.old_inputs) or _values(request.properties)
        self._type(request.urn, context).delete(inputs)
        return empty_pb2.Empty()

    def _type(self, urn: str, context: grpc.ServicerContext) -> ResourceType:
        token = urn.split("::")[2].rpartition("$")[2]
        if token not in self._types:
            _abort(
                context,
                f"{urn}: this provider knows no type {token}; known are "
                f"{', '.join(sorted(self._types))}",
            )
        return self._types[token]


def _difference(changes: tuple[PropertyChange, ...]) -> provider_pb2.DiffResponse:
    answer = provider_pb2.DiffResponse
    replaced = sorted({one.property for one in changes if one.replaces})
    return answer(
        changes=answer.DIFF_SOME if changes else answer.DIFF_NONE,
        replaces=replaced,
        # Two machines of one name cannot stand beside each other.
        deleteBeforeReplace=bool(replaced),
        diffs=sorted({one.property for one in changes}),
        detailedDiff={
            one.path: provider_pb2.PropertyDiff(
                kind=_DIFFERENCE_KINDS[one.kind, one.replaces], inputDiff=True
            )
            for one in changes
        },
        hasDetailedDiff=True,
    )


def _abort(context: grpc.ServicerContext, sentence: str) -> NoReturn:
    context.abort(grpc.StatusCode.FAILED_PRECONDITION, sentence)
    raise AssertionError(sentence)


def _values(struct: struct_pb2.Struct) -> dict[str, Any]:
    """Answers JSON values; the protocol's only number is a float, so whole ones become int."""
    values: dict[str, Any] = _whole(json_format.MessageToDict(struct))
    return values


def _whole(value: Any) -> Any:  # noqa: ANN401 - JSON in, JSON out
    if isinstance(value, dict):
        return {key: _whole(inner) for key, inner in value.items()}
    if isinstance(value, list):
        return [_whole(inner) for inner in value]
    if isinstance(value, float) and value.is_integer():
        return int(value)
    return value


def _struct(values: Properties) -> struct_pb2.Struct:
    return json_format.ParseDict(dict(values), struct_pb2.Struct())
