/* Objects in buckets and directories, `allow.blobstore` in hive.toml: a part of the C SDK of its own, because a component
 * that includes it imports wasi:blobstore. Build with the world hive:guest/storing-consumer, and with hive_objects.c.
 *
 *     hive_bytes error;
 *     hive_container tracks;
 *     if (!hive_container_open(hive_text("tracks"), &tracks, &error)) return hive_fail_with(error);
 *     if (!hive_object_put(tracks, hive_text("a.txt"), delivery->message.body, &error)) return hive_fail_with(error);
 *
 * Each function returns false where the object store did not do it, and then sets the error, a text. A handler that
 * answers with that has its delivery kept by the host, and no retry is used. */

#ifndef HIVE_OBJECTS_H
#define HIVE_OBJECTS_H

#include "hive.h"

/* The objects under one name of `allow.blobstore`. */
typedef struct {
    uint32_t handle;
} hive_container;

bool hive_container_open(hive_bytes name, hive_container *container, hive_bytes *error);
/* An instance has 64 of them open at once. */
void hive_container_close(hive_container container);

/* Writes an object, and replaces one of the same name. It appears whole or not at all. */
bool hive_object_put(hive_container container, hive_bytes name, hive_bytes content, hive_bytes *error);
/* The content of an object of up to 16 MiB. */
bool hive_object_get(hive_container container, hive_bytes name, hive_bytes *content, hive_bytes *error);
bool hive_object_exists(hive_container container, hive_bytes name, bool *exists, hive_bytes *error);
/* Deletes an object, if it exists. */
bool hive_object_delete(hive_container container, hive_bytes name, hive_bytes *error);

/* The answer for an error of these functions. */
hive_answer hive_fail_with(hive_bytes error);

#endif
