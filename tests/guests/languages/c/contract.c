/* Does what the header `do` says: the guest of the contract test in C. */

#include "hive.h"

static hive_answer everything(void) {
    static const uint8_t body[] = {0, 255, 128, 10}, bytes[] = {0, 255};
    hive_publication *one = hive_publish(hive_text("everything"), hive_text("every.thing"));
    hive_body(one, (hive_bytes){body, sizeof body});
    hive_add_header(one, "void", (hive_field){.kind = HIVE_VOID});
    hive_add_header(one, "yes", hive_of_boolean(true));
    hive_add_header(one, "no", hive_of_boolean(false));
    hive_add_header(one, "least", hive_of_integer(INT64_MIN));
    hive_add_header(one, "most", hive_of_integer(INT64_MAX));
    hive_add_header(one, "small", hive_of_integer(-5));
    hive_add_header(one, "double", hive_of_double(0.5));
    hive_add_header(one, "whole", hive_of_double(2));
    hive_add_header(one, "text", hive_of_text(hive_text("ünïcode ✓")));
    hive_add_header(one, "bytes", hive_of_bytes((hive_bytes){bytes, sizeof bytes}));
    hive_add_header(one, "when", hive_of_timestamp(1700000000));
    hive_add_header(one, "nested", hive_of_nested(hive_text("{\"list\":[1,\"x\",true]}")));
    hive_add_header(one, "list", hive_of_nested(hive_text("[1,2]")));
    hive_properties *properties = &one->message.properties;
    properties->persistent = false;
    hive_set(&properties->content_type, hive_text("text/plain"));
    hive_set(&properties->content_encoding, hive_text("identity"));
    properties->priority = (hive_optional_u8){true, 7};
    hive_set(&properties->correlation_id, hive_text("correlation"));
    hive_set(&properties->reply_to, hive_text("answers"));
    properties->expiration_ms = (hive_optional_u64){true, 3600000};
    hive_set(&properties->message_id, hive_text("id-1"));
    properties->timestamp = (hive_optional_u64){true, 1700000000};
    hive_set(&properties->type, hive_text("kind"));
    hive_set(&properties->user_id, hive_text("guest"));
    hive_set(&properties->app_id, hive_text("contract"));
    return hive_done();
}

static hive_answer publish(const char *text) {
    hive_body(hive_publish_to_queue("out"), hive_text(text));
    return hive_done();
}

static hive_bytes asked(const hive_delivery *delivery, const hive_field *timeout) {
    static const char *const failures[] = {"not-allowed", "refused",      "unroutable",
                                           "timed-out",   "disconnected", "too-large"};
    hive_publication question = hive_message_to_queue("answers");
    hive_body(&question, delivery->message.body);
    hive_set(&question.message.properties.type, hive_text("question"));
    hive_response reply = timeout == NULL ? hive_request(&question)
                                          : hive_request_within(&question, (uint64_t)timeout->value.integer);
    if (reply.failed) return hive_text(failures[reply.failure]);
    hive_bytes space = hive_text(" ");
    hive_bytes parts[] = {reply.message.body, space, reply.message.properties.type.value, space,
                          hive_decimal(reply.message.properties.headers.data[0].field.value.integer)};
    return hive_join(parts, sizeof parts / sizeof *parts);
}

static hive_bytes told(const hive_delivery *delivery) {
    hive_bytes bar = hive_text("|");
    hive_bytes redelivered = hive_text(delivery->redelivered ? "true" : "false");
    hive_bytes parts[] = {delivery->queue, bar, delivery->exchange, bar, delivery->routing_key,
                          bar, redelivered, bar, hive_decimal(delivery->attempt)};
    return hive_join(parts, sizeof parts / sizeof *parts);
}

static __attribute__((noinline)) hive_answer deep(const hive_delivery *delivery) {
    HIVE_ENSURE(delivery->message.body.size == 0);
    return hive_done();
}

static __attribute__((noinline)) void boom(void) {
    __builtin_trap();
}

hive_answer hive_handle(const hive_delivery *delivery) {
    const hive_field *header = hive_header_of(delivery, "do");
    const hive_field *delay = hive_header_of(delivery, "delay-ms");
    uint64_t delay_ms = delay == NULL ? 0 : (uint64_t)delay->value.integer;
    hive_bytes body = delivery->message.body;
    if (header == NULL || header->kind != HIVE_TEXT) return hive_fail("there is no header `do`");
    hive_bytes what = header->value.bytes;
    if (hive_equal(what, "ack") || hive_equal(what, "publish-none")) return hive_done();
    if (hive_equal(what, "echo")) {
        hive_forward(delivery, "", "out");
        return hive_done();
    }
    if (hive_equal(what, "publish-one")) return publish("only");
    if (hive_equal(what, "publish-several")) {
        publish("first");
        publish("second");
        return publish("third");
    }
    if (hive_equal(what, "publish-everything")) return everything();
    if (hive_equal(what, "publish-delayed")) {
        hive_publication *late = hive_publish_to_queue("out");
        hive_body(late, hive_text("late"));
        late->delay_ms = (hive_optional_u64){true, delay_ms};
        return hive_done();
    }
    if (hive_equal(what, "publish-nowhere")) {
        hive_publish_to_queue("nowhere")->mandatory = false;
        return hive_done();
    }
    if (hive_equal(what, "reply")) {
        hive_bytes parts[] = {hive_text("to "), body};
        hive_publication *reply = hive_reply(delivery);
        if (reply == NULL) return hive_reject("the message says no reply-to");
        hive_body(reply, hive_join(parts, 2));
        return hive_done();
    }
    if (hive_equal(what, "request")) {
        hive_body(hive_publish_to_queue("out"), asked(delivery, delay));
        return hive_done();
    }
    if (hive_equal(what, "json")) {
        hive_bytes parts[] = {hive_text("{\"got\":"), body, hive_text("}")};
        hive_publication *one = hive_publish_to_queue("out");
        hive_set(&one->message.properties.content_type, hive_text("application/json"));
        hive_body(one, hive_join(parts, 3));
        return hive_done();
    }
    if (hive_equal(what, "tell")) {
        hive_body(hive_publish_to_queue("out"), told(delivery));
        return hive_done();
    }
    if (hive_equal(what, "retry")) return hive_retry("not now");
    if (hive_equal(what, "retry-after")) return hive_retry_after("not now", delay_ms);
    if (hive_equal(what, "reject")) return hive_reject("never: ünïcode ✓");
    if (hive_equal(what, "error")) return hive_fail("plain words");
    if (hive_equal(what, "exception")) return deep(delivery);
    if (hive_equal(what, "trap")) boom();
    return hive_fail("nothing is called that");
}

HIVE_CONSUMER()
