/* Native unit tests: `make test`. */

#include <assert.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "hive.h"

static hive_answer handle(const uint8_t *body, size_t size) {
    static hive_delivery delivery;
    delivery = (hive_delivery){.message.body = {body, size}, .attempt = 1};
    hive_start_over();
    return hive_handle(&delivery);
}

static hive_answer handle_sample(const char *name) {
    static uint8_t body[4096];
    char path[256];
    snprintf(path, sizeof path, "messages/%s", name);
    FILE *file = fopen(path, "rb");
    assert(file != NULL);
    size_t size = fread(body, 1, sizeof body, file);
    fclose(file);
    return handle(body, size);
}

static bool says(hive_answer answer, const char *part) {
    char text[256] = {0};
    assert(answer.reason.size < sizeof text);
    memcpy(text, answer.reason.data, answer.reason.size);
    return strstr(text, part) != NULL;
}

static void each_record_becomes_a_position(void) {
    const hive_publication *positions;
    assert(handle_sample("published-two-positions.bin").what == HIVE_DONE);
    assert(hive_published(&positions) == 2);
    assert(hive_equal(positions[0].exchange, "tracking"));
    assert(hive_equal(positions[0].routing_key, "position.4711"));
    assert(positions[0].message.properties.timestamp.value == 1772366400);
    assert(hive_equal(positions[0].message.body,
                      "{\"device\":4711,\"latitude_e6\":38722300,\"longitude_e6\":-9139300,\"speed_dkmh\":423}"));
    assert(positions[1].message.properties.headers.data[0].field.value.integer == 1);
}

static void a_frame_without_records_is_done(void) {
    const hive_publication *positions;
    assert(handle_sample("acked-no-position.bin").what == HIVE_DONE);
    assert(hive_published(&positions) == 0);
}

static void what_is_no_frame_is_rejected_with_the_reason(void) {
    hive_answer answer = handle_sample("rejected-checksum.bin");
    assert(answer.what == HIVE_REJECT && says(answer, "checksum"));
    answer = handle_sample("rejected-cut-off.bin");
    assert(answer.what == HIVE_REJECT && says(answer, "length"));
    answer = handle(NULL, 0);
    assert(answer.what == HIVE_REJECT && says(answer, "shorter"));
}

static void no_bytes_at_all_do_harm(void) {
    srand(1);
    for (int round = 0; round < 100000; round++) {
        size_t size = (size_t)(rand() % 64);
        uint8_t *body = malloc(size + 1); /* of its size, so that a sanitizer sees what reads beyond it */
        for (size_t i = 0; i < size; i++) body[i] = (uint8_t)rand();
        if (size > 3) memcpy(body, "TK\1\1", 4);
        handle(body, size);
        free(body);
    }
}

int main(void) {
    each_record_becomes_a_position();
    a_frame_without_records_is_done();
    what_is_no_frame_is_rejected_with_the_reason();
    no_bytes_at_all_do_harm();
    puts("4 passed, 0 failed");
    return 0;
}
