#include "hive.h"

/* The answer as the component model lays it out: result<action, string>. */

typedef struct {
    hive_bytes reason;
    hive_optional_u64 delay_ms;
} abi_retry;

typedef struct {
    uint8_t tag; /* ack, publish, retry, reject */
    union {
        struct {
            const hive_publication *data;
            size_t size;
        } publish;
        abi_retry retry;
        hive_bytes reject;
    } value;
} abi_action;

typedef struct {
    uint8_t is_error;
    union {
        abi_action action;
        hive_bytes error;
    } value;
} abi_result;

/* The arguments and the result of `request`: result<message, request-error>. */

typedef struct {
    hive_bytes exchange, routing_key;
    hive_message message;
    hive_optional_u64 timeout_ms;
} abi_request;

typedef struct {
    uint8_t is_error;
    union {
        hive_message message;
        struct {
            uint8_t failure;
            hive_bytes text;
        } error;
    } value;
} abi_response;

#ifdef __wasm__
_Static_assert(sizeof(abi_request) == 192 && sizeof(abi_response) == 168, "request");
_Static_assert(sizeof(hive_optional_text) == 12, "option<string>");
_Static_assert(sizeof(hive_field) == 16 && sizeof(hive_header) == 24, "tuple<string, field-value>");
_Static_assert(offsetof(hive_properties, expiration_ms) == 64, "properties");
_Static_assert(sizeof(hive_properties) == 152 && sizeof(hive_message) == 160, "message");
_Static_assert(offsetof(hive_delivery, attempt) == 188 && sizeof(hive_delivery) == 208, "delivery");
_Static_assert(offsetof(hive_publication, delay_ms) == 184 && sizeof(hive_publication) == 200, "publication");
_Static_assert(sizeof(abi_action) == 32 && sizeof(abi_result) == 40, "result<action, string>");
#endif

/* The arena. */

static void copy(void *to, const void *from, size_t size) {
    __builtin_memcpy(to, from, size);
}

#ifdef __wasm__

enum { PAGE = 65536 };

extern uint8_t __heap_base;
static uintptr_t used_up_to;

static uintptr_t start(void) {
    return (uintptr_t)&__heap_base;
}

static void *take(size_t align, size_t size) {
    if (used_up_to == 0) used_up_to = start();
    uintptr_t at = (used_up_to + align - 1) & ~(uintptr_t)(align - 1);
    uintptr_t there = __builtin_wasm_memory_size(0) * (uintptr_t)PAGE;
    if (at + size < at) __builtin_trap();
    if (at + size > there) {
        size_t pages = (at + size - there + PAGE - 1) / PAGE;
        if (__builtin_wasm_memory_grow(0, pages) == (size_t)-1) __builtin_trap();
    }
    used_up_to = at + size;
    return (void *)at;
}

static void empty(void) {
    used_up_to = start();
}

#else

#include <stdlib.h>

static struct block {
    struct block *before;
    max_align_t content;
} *blocks;

static void *take(size_t align, size_t size) {
    (void)align;
    struct block *block = malloc(sizeof *block + size);
    if (block == NULL) abort();
    block->before = blocks;
    blocks = block;
    return &block->content;
}

static void empty(void) {
    while (blocks != NULL) {
        struct block *before = blocks->before;
        free(blocks);
        blocks = before;
    }
}

#endif

void *hive_alloc(size_t size) {
    return take(16, size);
}

/* The host allocates the memory of a delivery before it calls. So its first allocation for a delivery marks the
 * end of the previous delivery. */
static bool answered = true;
static struct {
    hive_publication *data;
    size_t size, room;
} published;

void hive_start_over(void) {
    empty();
    published.data = NULL;
    published.size = published.room = 0;
    answered = false;
}

void *hive_abi_realloc(void *old, size_t old_size, size_t align, size_t size) {
    if (answered) hive_start_over();
    void *block = take(align, size);
    if (old != NULL) copy(block, old, old_size < size ? old_size : size);
    return block;
}

const void *hive_abi_handle(const hive_delivery *delivery) {
    static abi_result result;
    hive_answer answer = hive_handle(delivery);
    answered = true;
    result = (abi_result){0};
    switch (answer.what) {
    case HIVE_DONE:
        result.value.action.tag = published.size > 0 ? 1 : 0;
        result.value.action.value.publish.data = published.data;
        result.value.action.value.publish.size = published.size;
        break;
    case HIVE_RETRY:
        result.value.action.tag = 2;
        result.value.action.value.retry = (abi_retry){answer.reason, answer.delay_ms};
        break;
    case HIVE_REJECT:
        result.value.action.tag = 3;
        result.value.action.value.reject = answer.reason;
        break;
    case HIVE_FAIL:
        result.is_error = 1;
        result.value.error = answer.reason;
        break;
    }
    return &result;
}

/* Answers. */

hive_answer hive_done(void) {
    return (hive_answer){.what = HIVE_DONE};
}

hive_answer hive_retry(const char *reason) {
    return (hive_answer){.what = HIVE_RETRY, .reason = hive_text(reason)};
}

hive_answer hive_retry_after(const char *reason, uint64_t delay_ms) {
    return (hive_answer){.what = HIVE_RETRY, .reason = hive_text(reason), .delay_ms = {true, delay_ms}};
}

hive_answer hive_reject(const char *reason) {
    return (hive_answer){.what = HIVE_REJECT, .reason = hive_text(reason)};
}

hive_answer hive_fail_at(const char *file, unsigned line, const char *reason) {
    hive_bytes parts[] = {hive_text(file), hive_text(":"), hive_decimal(line), hive_text(": "), hive_text(reason)};
    return (hive_answer){.what = HIVE_FAIL, .reason = hive_join(parts, sizeof parts / sizeof *parts)};
}

/* Publications. */

hive_publication *hive_publish(hive_bytes exchange, hive_bytes routing_key) {
    if (published.size == published.room) {
        size_t room = published.room == 0 ? 8 : published.room * 2;
        hive_publication *data = hive_alloc(room * sizeof *data);
        if (published.size > 0) copy(data, published.data, published.size * sizeof *data);
        published.data = data;
        published.room = room;
    }
    hive_publication *one = &published.data[published.size++];
    *one = (hive_publication){.exchange = exchange, .routing_key = routing_key, .mandatory = true};
    one->message.properties.persistent = true;
    return one;
}

hive_publication *hive_publish_to_queue(const char *queue) {
    return hive_publish(hive_text(""), hive_text(queue));
}

hive_publication *hive_forward(const hive_delivery *delivery, const char *exchange, const char *routing_key) {
    hive_publication *one = hive_publish(hive_text(exchange), hive_text(routing_key));
    one->message = delivery->message;
    return one;
}

hive_publication *hive_reply(const hive_delivery *delivery) {
    const hive_properties *properties = &delivery->message.properties;
    if (!properties->reply_to.present || properties->reply_to.value.size == 0) return NULL;
    hive_publication *one = hive_publish(hive_text(""), properties->reply_to.value);
    one->mandatory = false;
    one->message.properties.correlation_id = properties->correlation_id;
    return one;
}

/* Requests. */

hive_publication hive_message_to(hive_bytes exchange, hive_bytes routing_key) {
    hive_publication one = {.exchange = exchange, .routing_key = routing_key, .mandatory = true};
    one.message.properties.persistent = true;
    return one;
}

hive_publication hive_message_to_queue(const char *queue) {
    return hive_message_to(hive_text(""), hive_text(queue));
}

#ifdef __wasm__

__attribute__((import_module("hive:consumer/requests@0.1.0"), import_name("request"))) void
abi_call_request(const abi_request *request, abi_response *response);

static hive_response ask(const hive_publication *request, hive_optional_u64 timeout_ms) {
    abi_request arguments = {request->exchange, request->routing_key, request->message, timeout_ms};
    abi_response response;
    abi_call_request(&arguments, &response);
    if (!response.is_error) return (hive_response){.message = response.value.message};
    return (hive_response){.failed = true,
                           .failure = (hive_failure)response.value.error.failure,
                           .text = response.value.error.text};
}

#else

hive_response (*hive_answer_requests)(const hive_publication *request);

static hive_response ask(const hive_publication *request, hive_optional_u64 timeout_ms) {
    (void)timeout_ms;
    if (hive_answer_requests != NULL) return hive_answer_requests(request);
    return (hive_response){.failed = true,
                           .failure = HIVE_UNROUTABLE,
                           .text = hive_text("this test answers no requests: set hive_answer_requests")};
}

#endif

static hive_response ask_at_once(const hive_publication *request, hive_optional_u64 timeout_ms) {
    if (!request->delay_ms.present) return ask(request, timeout_ms);
    return (hive_response){
        .failed = true, .failure = HIVE_REFUSED, .text = hive_text("a request cannot be delayed")};
}

hive_response hive_request(const hive_publication *request) {
    return ask_at_once(request, (hive_optional_u64){0});
}

hive_response hive_request_within(const hive_publication *request, uint64_t timeout_ms) {
    return ask_at_once(request, (hive_optional_u64){true, timeout_ms});
}

size_t hive_published(const hive_publication **first) {
    *first = published.data;
    return published.size;
}

void hive_body(hive_publication *publication, hive_bytes body) {
    publication->message.body = body;
}

void hive_set(hive_optional_text *property, hive_bytes text) {
    *property = (hive_optional_text){true, text};
}

/* Headers. */

const hive_field *hive_header_of(const hive_delivery *delivery, const char *name) {
    hive_headers headers = delivery->message.properties.headers;
    for (size_t i = 0; i < headers.size; i++) {
        if (hive_equal(headers.data[i].name, name)) return &headers.data[i].field;
    }
    return NULL;
}

void hive_add_header(hive_publication *publication, const char *name, hive_field field) {
    hive_headers *headers = &publication->message.properties.headers;
    hive_header *data = hive_alloc((headers->size + 1) * sizeof *data);
    if (headers->size > 0) copy(data, headers->data, headers->size * sizeof *data);
    data[headers->size] = (hive_header){hive_text(name), field};
    headers->data = data;
    headers->size++;
}

hive_field hive_of_text(hive_bytes text) {
    return (hive_field){.kind = HIVE_TEXT, .value.bytes = text};
}

hive_field hive_of_integer(int64_t integer) {
    return (hive_field){.kind = HIVE_INTEGER, .value.integer = integer};
}

hive_field hive_of_double(double number) {
    return (hive_field){.kind = HIVE_DOUBLE, .value.number = number};
}

hive_field hive_of_boolean(bool boolean) {
    return (hive_field){.kind = HIVE_BOOLEAN, .value.boolean = boolean};
}

hive_field hive_of_bytes(hive_bytes bytes) {
    return (hive_field){.kind = HIVE_BYTES, .value.bytes = bytes};
}

hive_field hive_of_timestamp(uint64_t seconds) {
    return (hive_field){.kind = HIVE_TIMESTAMP, .value.timestamp = seconds};
}

hive_field hive_of_nested(hive_bytes json) {
    return (hive_field){.kind = HIVE_NESTED, .value.bytes = json};
}

/* Texts. */

hive_bytes hive_text(const char *text) {
    size_t size = 0;
    while (text[size] != 0) size++;
    return (hive_bytes){(const uint8_t *)text, size};
}

bool hive_equal(hive_bytes one, const char *other) {
    hive_bytes text = hive_text(other);
    if (one.size != text.size) return false;
    for (size_t i = 0; i < one.size; i++) {
        if (one.data[i] != text.data[i]) return false;
    }
    return true;
}

hive_bytes hive_join(const hive_bytes *parts, size_t count) {
    size_t size = 0;
    for (size_t i = 0; i < count; i++) size += parts[i].size;
    uint8_t *joined = hive_alloc(size);
    size_t at = 0;
    for (size_t i = 0; i < count; i++) {
        if (parts[i].size > 0) copy(joined + at, parts[i].data, parts[i].size);
        at += parts[i].size;
    }
    return (hive_bytes){joined, size};
}

hive_bytes hive_decimal(int64_t number) {
    uint8_t *digits = hive_alloc(20);
    size_t at = 20;
    uint64_t rest = number < 0 ? 0 - (uint64_t)number : (uint64_t)number;
    do {
        digits[--at] = (uint8_t)('0' + rest % 10);
        rest /= 10;
    } while (rest > 0);
    if (number < 0) digits[--at] = '-';
    return (hive_bytes){digits + at, 20 - at};
}

#ifdef __wasm__
/* Without a libc, the compiler calls these for copies of unknown size. */
__attribute__((weak, no_builtin)) void *memcpy(void *restrict to, const void *restrict from, size_t size) {
    uint8_t *target = to;
    const uint8_t *source = from;
    for (size_t i = 0; i < size; i++) target[i] = source[i];
    return to;
}

__attribute__((weak, no_builtin)) void *memset(void *to, int value, size_t size) {
    uint8_t *target = to;
    for (size_t i = 0; i < size; i++) target[i] = (uint8_t)value;
    return to;
}
#endif
