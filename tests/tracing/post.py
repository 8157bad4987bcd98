"""A client that is traced by OpenTelemetry's own SDK, and posts one message over HTTP.

Arguments: URL COLLECTOR MESSAGE-ID, where COLLECTOR is the address of an OTLP receiver. Prints the ids of the trace and of
its span.
"""

import sys

import requests
from opentelemetry import baggage, context, propagate, trace
from opentelemetry.exporter.otlp.proto.http.trace_exporter import OTLPSpanExporter
from opentelemetry.sdk.resources import Resource
from opentelemetry.sdk.trace import TracerProvider
from opentelemetry.sdk.trace.export import SimpleSpanProcessor

url, collector, message_id = sys.argv[1:]
provider = TracerProvider(resource=Resource.create({"service.name": "shop"}))
provider.add_span_processor(SimpleSpanProcessor(OTLPSpanExporter(endpoint=f"{collector}/v1/traces")))
trace.set_tracer_provider(provider)

context.attach(baggage.set_baggage("tenant", "a"))
with trace.get_tracer("shop").start_as_current_span("POST /orders", kind=trace.SpanKind.CLIENT) as span:
    headers = {"Content-Type": "application/json", "Idempotency-Key": message_id}
    propagate.inject(headers)
    answer = requests.post(url, data="{}", headers=headers, timeout=60)
    answer.raise_for_status()
    ids = span.get_span_context()
provider.shutdown()
print(trace.format_trace_id(ids.trace_id), trace.format_span_id(ids.span_id))
