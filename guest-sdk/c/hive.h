/* The C SDK of Hive: a consumer is a function that takes a delivery and returns an answer.
 *
 *     #include "hive.h"
 *
 *     hive_answer hive_handle(const hive_delivery *delivery) {
 *         if (delivery->message.body.size == 0) return hive_reject("the body is empty");
 *         hive_publication *greeting = hive_publish_to_queue("greetings");
 *         hive_body(greeting, delivery->message.body);
 *         return hive_done();
 *     }
 *
 * In C, the contract's types have exactly the memory layout that the component model prescribes
 * (wit/consumer.wit, and "Canonical ABI" of the component model). So there is no generated code, and nothing
 * is copied. Use HIVE_CONSUMER() once in a program to export hive_handle to the host.
 *
 * Memory: all data of one delivery, including its answer, is in one arena, which is emptied before the next
 * delivery. hive_alloc allocates from it and never returns NULL: a component that runs out of memory traps,
 * and the host reports its limit. You free nothing. The SDK needs no libc; a freestanding build is enough.
 *
 * In a native build, the same functions work on ordinary memory, so that a test can call hive_handle from an
 * ordinary main(). */

#ifndef HIVE_H
#define HIVE_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

/* Bytes, or a text in UTF-8; not zero-terminated. */
typedef struct {
    const uint8_t *data;
    size_t size;
} hive_bytes;

typedef struct {
    bool present;
    hive_bytes value;
} hive_optional_text;

typedef struct {
    bool present;
    uint64_t value;
} hive_optional_u64;

typedef struct {
    bool present;
    uint8_t value;
} hive_optional_u8;

typedef enum {
    HIVE_VOID,
    HIVE_BOOLEAN,
    HIVE_INTEGER,
    HIVE_DOUBLE,
    HIVE_TEXT,
    HIVE_BYTES,
    HIVE_TIMESTAMP, /* seconds since the Unix epoch */
    HIVE_NESTED     /* a table or an array, as JSON text */
} hive_kind;

typedef struct {
    uint8_t kind; /* a hive_kind */
    union {
        bool boolean;
        int64_t integer;
        double number;
        hive_bytes bytes; /* of HIVE_TEXT, HIVE_BYTES and HIVE_NESTED */
        uint64_t timestamp;
    } value;
} hive_field;

typedef struct {
    hive_bytes name;
    hive_field field;
} hive_header;

typedef struct {
    hive_header *data;
    size_t size;
} hive_headers;

typedef struct {
    hive_optional_text content_type;
    hive_optional_text content_encoding;
    hive_headers headers;
    bool persistent;
    hive_optional_u8 priority;
    hive_optional_text correlation_id;
    hive_optional_text reply_to;
    hive_optional_u64 expiration_ms;
    hive_optional_text message_id;
    hive_optional_u64 timestamp;
    hive_optional_text type;
    hive_optional_text user_id;
    hive_optional_text app_id;
} hive_properties;

typedef struct {
    hive_properties properties;
    hive_bytes body;
} hive_message;

typedef struct {
    hive_message message;
    hive_bytes queue;
    hive_bytes exchange;
    hive_bytes routing_key;
    bool redelivered;
    uint32_t attempt;
    hive_optional_u64 stream_offset;
} hive_delivery;

typedef struct {
    hive_bytes exchange;
    hive_bytes routing_key;
    hive_message message;
    bool mandatory;
    hive_optional_u64 delay_ms;
} hive_publication;

/* Made by hive_done, hive_retry, hive_retry_after, hive_reject and hive_fail. */
typedef struct {
    enum { HIVE_DONE, HIVE_RETRY, HIVE_REJECT, HIVE_FAIL } what;
    hive_bytes reason;
    hive_optional_u64 delay_ms;
} hive_answer;

/* You write this function. The host calls it for each delivery, one at a time. */
hive_answer hive_handle(const hive_delivery *delivery);

/* Done: the host sends the publications in their order, and acknowledges the delivery when the broker has
 * confirmed all of them. */
hive_answer hive_done(void);
/* Not now: the delivery comes again after the delay of the consumer's retry policy. */
hive_answer hive_retry(const char *reason);
/* The same, after this many milliseconds. */
hive_answer hive_retry_after(const char *reason, uint64_t delay_ms);
/* Never: the delivery is dead-lettered now. */
hive_answer hive_reject(const char *reason);
/* An error: retried by the consumer's policy. The text includes file and line. */
#define hive_fail(reason) hive_fail_at(__FILE__, __LINE__, (reason))
/* Fails the delivery if the condition is false; use it instead of assert. */
#define HIVE_ENSURE(condition)                                                                         \
    do {                                                                                               \
        if (!(condition)) return hive_fail("this does not hold: " #condition);                         \
    } while (0)
hive_answer hive_fail_at(const char *file, unsigned line, const char *reason);

/* Adds a publication to this delivery: empty, persistent and mandatory. Set its fields. If the delivery ends
 * with a retry, a rejection or an error, its publications are not sent. */
hive_publication *hive_publish(hive_bytes exchange, hive_bytes routing_key);
hive_publication *hive_publish_to_queue(const char *queue);
/* A publication with the unchanged properties, headers and body of the delivery. */
hive_publication *hive_forward(const hive_delivery *delivery, const char *exchange, const char *routing_key);
/* A publication to the reply-to of the delivery with its correlation id, not mandatory. NULL if the delivery
 * has no reply-to. */
hive_publication *hive_reply(const hive_delivery *delivery);

/* A message that is not published with the answer: for hive_request. Set its fields. */
hive_publication hive_message_to(hive_bytes exchange, hive_bytes routing_key);
hive_publication hive_message_to_queue(const char *queue);

/* Why a request has no reply; wit/consumer.wit says more of each. */
typedef enum {
    HIVE_NOT_ALLOWED,
    HIVE_REFUSED,
    HIVE_UNROUTABLE,
    HIVE_TIMED_OUT,
    HIVE_DISCONNECTED,
    HIVE_TOO_LARGE
} hive_failure;

typedef struct {
    bool failed;
    hive_message message; /* the reply, unless it failed */
    hive_failure failure; /* if it failed */
    hive_bytes text;      /* the same in words */
} hive_response;

/* Publishes a message and waits for the reply to it, at most this many milliseconds and at most for the time of the
 * call. The world of the component must import hive:consumer/requests, as requesting-consumer does. */
hive_response hive_request(const hive_publication *request);
hive_response hive_request_within(const hive_publication *request, uint64_t timeout_ms);

/* The header with this name, or NULL. */
const hive_field *hive_header_of(const hive_delivery *delivery, const char *name);
/* Adds a header. A publication has each name once. */
void hive_add_header(hive_publication *publication, const char *name, hive_field field);
hive_field hive_of_text(hive_bytes text);
hive_field hive_of_integer(int64_t integer);
hive_field hive_of_double(double number);
hive_field hive_of_boolean(bool boolean);
hive_field hive_of_bytes(hive_bytes bytes);
hive_field hive_of_timestamp(uint64_t seconds);
hive_field hive_of_nested(hive_bytes json);

void hive_body(hive_publication *publication, hive_bytes body);
void hive_set(hive_optional_text *property, hive_bytes text);

/* Texts. The results are valid until the next delivery. */
hive_bytes hive_text(const char *text); /* of a C string; not copied */
bool hive_equal(hive_bytes one, const char *other);
hive_bytes hive_join(const hive_bytes *parts, size_t count);
hive_bytes hive_decimal(int64_t number);
void *hive_alloc(size_t size);

#ifdef __wasm__
#define HIVE_EXPORT(name) __attribute__((export_name(name)))
#else
#define HIVE_EXPORT(name)
#endif

/* Exports hive_handle. Use it once in a program, outside of any function. */
#define HIVE_CONSUMER()                                                                                \
    HIVE_EXPORT("cabi_realloc")                                                                        \
    void *hive_export_realloc(void *old, size_t old_size, size_t align, size_t size) {                 \
        return hive_abi_realloc(old, old_size, align, size);                                           \
    }                                                                                                  \
    HIVE_EXPORT("hive:consumer/handler@0.1.0#handle")                                                  \
    const void *hive_export_handle(const hive_delivery *delivery) { return hive_abi_handle(delivery); }

void *hive_abi_realloc(void *old, size_t old_size, size_t align, size_t size);
const void *hive_abi_handle(const hive_delivery *delivery);

/* For unit tests: the publications of the delivery so far, and a reset for the next delivery. */
size_t hive_published(const hive_publication **first);
void hive_start_over(void);
#ifndef __wasm__
/* Answers hive_request in unit tests; without it, no queue takes a request. */
extern hive_response (*hive_answer_requests)(const hive_publication *request);
#endif

#endif
