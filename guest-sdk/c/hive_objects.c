#include "hive_objects.h"

/* The interfaces of wasi:blobstore and wasi:io as the component model lays them out. A handle is a number. */

#define BLOBSTORE "wasi:blobstore/blobstore@0.2.0-draft"
#define CONTAINER "wasi:blobstore/container@0.2.0-draft"
#define TYPES "wasi:blobstore/types@0.2.0-draft"
#define STREAMS "wasi:io/streams@0.2.12"
#define ERRORS "wasi:io/error@0.2.12"
#define POLL "wasi:io/poll@0.2.12"
#define IMPORT(module, name) __attribute__((import_module(module), import_name(name))) extern

/* result<T, string>, for every T of at most 8 bytes. */
typedef struct {
    uint8_t is_error;
    union {
        uint32_t handle;
        uint8_t flag;
        hive_bytes bytes;
    } value;
} abi_text_result;

/* result<_, stream-error> */
typedef struct {
    uint8_t is_error;
    struct {
        uint8_t is_closed;
        uint32_t error;
    } value;
} abi_write_result;

/* result<u64, stream-error> */
typedef struct {
    uint8_t is_error;
    union {
        uint64_t room;
        struct {
            uint8_t is_closed;
            uint32_t error;
        } failed;
    } value;
} abi_room_result;

#ifdef __wasm__
_Static_assert(sizeof(abi_text_result) == 12 && sizeof(abi_write_result) == 12, "result<T, string>");
_Static_assert(sizeof(abi_room_result) == 16, "result<u64, stream-error>");

IMPORT(BLOBSTORE, "get-container") void get_container(const uint8_t *, size_t, abi_text_result *);
IMPORT(CONTAINER, "[resource-drop]container") void drop_container(uint32_t);
IMPORT(CONTAINER, "[method]container.write-data")
void write_data(uint32_t, const uint8_t *, size_t, uint32_t, abi_text_result *);
IMPORT(CONTAINER, "[method]container.get-data")
void get_data(uint32_t, const uint8_t *, size_t, uint64_t, uint64_t, abi_text_result *);
IMPORT(CONTAINER, "[method]container.has-object") void has_object(uint32_t, const uint8_t *, size_t, abi_text_result *);
IMPORT(CONTAINER, "[method]container.delete-object")
void delete_object(uint32_t, const uint8_t *, size_t, abi_text_result *);
IMPORT(TYPES, "[static]outgoing-value.new-outgoing-value") uint32_t new_value(void);
IMPORT(TYPES, "[method]outgoing-value.outgoing-value-write-body") void write_body(uint32_t, abi_text_result *);
IMPORT(TYPES, "[static]outgoing-value.finish") void finish(uint32_t, abi_text_result *);
IMPORT(TYPES, "[resource-drop]outgoing-value") void drop_value(uint32_t);
IMPORT(TYPES, "[static]incoming-value.incoming-value-consume-sync") void consume(uint32_t, abi_text_result *);
IMPORT(STREAMS, "[method]output-stream.check-write") void check_write(uint32_t, abi_room_result *);
IMPORT(STREAMS, "[method]output-stream.write") void write(uint32_t, const uint8_t *, size_t, abi_write_result *);
IMPORT(STREAMS, "[method]output-stream.subscribe") uint32_t subscribe(uint32_t);
IMPORT(STREAMS, "[resource-drop]output-stream") void drop_stream(uint32_t);
IMPORT(ERRORS, "[method]error.to-debug-string") void to_debug_string(uint32_t, hive_bytes *);
IMPORT(ERRORS, "[resource-drop]error") void drop_error(uint32_t);
IMPORT(POLL, "[method]pollable.block") void block(uint32_t);
IMPORT(POLL, "[resource-drop]pollable") void drop_pollable(uint32_t);

static bool told(const abi_text_result *result, hive_bytes *error) {
    if (result->is_error) *error = result->value.bytes;
    return !result->is_error;
}

static bool failed(bool is_closed, uint32_t handle, hive_bytes *error) {
    if (is_closed) {
        *error = hive_text("the stream is closed");
        return false;
    }
    to_debug_string(handle, error);
    drop_error(handle);
    return false;
}

static bool write_all(uint32_t stream, hive_bytes content, hive_bytes *error) {
    while (content.size > 0) {
        abi_room_result room;
        check_write(stream, &room);
        if (room.is_error) return failed(room.value.failed.is_closed, room.value.failed.error, error);
        if (room.value.room == 0) {
            uint32_t pollable = subscribe(stream);
            block(pollable);
            drop_pollable(pollable);
            continue;
        }
        size_t some = content.size < room.value.room ? content.size : (size_t)room.value.room;
        abi_write_result written;
        write(stream, content.data, some, &written);
        if (written.is_error) return failed(written.value.is_closed, written.value.error, error);
        content.data += some;
        content.size -= some;
    }
    return true;
}

bool hive_container_open(hive_bytes name, hive_container *container, hive_bytes *error) {
    abi_text_result result;
    get_container(name.data, name.size, &result);
    container->handle = result.value.handle;
    return told(&result, error);
}

void hive_container_close(hive_container container) {
    drop_container(container.handle);
}

bool hive_object_put(hive_container container, hive_bytes name, hive_bytes content, hive_bytes *error) {
    abi_text_result result;
    uint32_t value = new_value();
    write_data(container.handle, name.data, name.size, value, &result);
    if (!told(&result, error)) {
        drop_value(value);
        return false;
    }
    write_body(value, &result);
    if (result.is_error) {
        drop_value(value);
        *error = hive_text("too many objects are being written at once");
        return false;
    }
    uint32_t stream = result.value.handle;
    bool is_written = write_all(stream, content, error);
    /* The value must not be finished before its stream is gone. */
    drop_stream(stream);
    if (!is_written) {
        drop_value(value);
        return false;
    }
    finish(value, &result);
    return told(&result, error);
}

bool hive_object_get(hive_container container, hive_bytes name, hive_bytes *content, hive_bytes *error) {
    abi_text_result result;
    get_data(container.handle, name.data, name.size, 0, UINT64_MAX, &result);
    if (!told(&result, error)) return false;
    consume(result.value.handle, &result);
    *content = result.value.bytes;
    return told(&result, error);
}

bool hive_object_exists(hive_container container, hive_bytes name, bool *exists, hive_bytes *error) {
    abi_text_result result;
    has_object(container.handle, name.data, name.size, &result);
    *exists = result.value.flag != 0;
    return told(&result, error);
}

bool hive_object_delete(hive_container container, hive_bytes name, hive_bytes *error) {
    abi_text_result result;
    delete_object(container.handle, name.data, name.size, &result);
    return told(&result, error);
}

#else

/* In a native test there is no object store. */

static bool nowhere(hive_bytes *error) {
    *error = hive_text("there is no object store in a native build");
    return false;
}

bool hive_container_open(hive_bytes name, hive_container *container, hive_bytes *error) {
    (void)name, (void)container;
    return nowhere(error);
}

void hive_container_close(hive_container container) {
    (void)container;
}

bool hive_object_put(hive_container container, hive_bytes name, hive_bytes content, hive_bytes *error) {
    (void)container, (void)name, (void)content;
    return nowhere(error);
}

bool hive_object_get(hive_container container, hive_bytes name, hive_bytes *content, hive_bytes *error) {
    (void)container, (void)name, (void)content;
    return nowhere(error);
}

bool hive_object_exists(hive_container container, hive_bytes name, bool *exists, hive_bytes *error) {
    (void)container, (void)name, (void)exists;
    return nowhere(error);
}

bool hive_object_delete(hive_container container, hive_bytes name, hive_bytes *error) {
    (void)container, (void)name;
    return nowhere(error);
}

#endif

hive_answer hive_fail_with(hive_bytes error) {
    return (hive_answer){.what = HIVE_FAIL, .reason = error};
}
