"""prefmem in OpenTelemetry: spans and metrics of recalls, learning and feedback, without content.

end = prefmem_otel.instrument(memory)  # pip install "prefmem[otel]"
"""

from collections.abc import Callable
from typing import TYPE_CHECKING

from prefmem import ConfigError, MissingExtraError

if TYPE_CHECKING:
    from opentelemetry.metrics import MeterProvider
    from opentelemetry.trace import TracerProvider

    from prefmem import PreferenceMemory

__all__ = ["instrument"]


def instrument(
    memory: "PreferenceMemory",
    *,
    tracer_provider: "TracerProvider | None" = None,
    meter_provider: "MeterProvider | None" = None,
    content: bool = False,
    key: bytes | None = None,
) -> Callable[[], None]:
    """Make spans and metrics of all that a memory does from now on, in every tenant.

    A span is a child of the caller's current one, over worker threads and in async twins, too; what
    is learned in the background has a root span of its own, named `prefmem.job`.

    Args:
        memory: The memory.
        tracer_provider: Where spans go; the global one unless given.
        meter_provider: Where metrics go; the global one unless given.
        content: Whether spans hold the query and the rules that are shown. They are personal.
        key: Key of the hashes that stand for users, 16 to 64 bytes; the same in every process
            that shares it. Random unless given: then a hash holds for this process alone.

    Returns:
        What ends it.

    Raises:
        ConfigError: The key is too short to keep anybody from guessing users, or too long.
        MissingExtraError: The API of OpenTelemetry is not installed.
    """
    if key is not None and not 16 <= len(key) <= 64:
        raise ConfigError(
            f"key has {len(key)} bytes, 16 to 64 are needed; pass secrets.token_bytes(32), the "
            "same in every process, or none"
        )
    try:
        from prefmem_otel.metrics import Meters
        from prefmem_otel.spans import Spans
    except ModuleNotFoundError as error:
        if (error.name or "").partition(".")[0] != "opentelemetry":
            raise
        raise MissingExtraError(
            'prefmem_otel needs the API of OpenTelemetry: pip install "prefmem[otel]"'
        ) from error
    meters = Meters(memory, meter_provider)
    spans = Spans(tracer_provider, content=content, key=key, basis=memory.embedder.basis)
    ends = (memory.listen(spans), memory.listen(meters), meters.end)

    def end() -> None:
        for each in ends:
            each()

    return end
