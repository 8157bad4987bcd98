#include "frames.h"

static uint64_t number(const uint8_t *bytes, size_t size) {
    uint64_t number = 0;
    for (size_t i = 0; i < size; i++) number = number << 8 | bytes[i];
    return number;
}

const char *frame_read(const uint8_t *bytes, size_t size, frame *to) {
    if (size < FRAME_HEAD + FRAME_TAIL) return "the frame is shorter than its head";
    if (bytes[0] != 'T' || bytes[1] != 'K') return "the frame does not begin with TK";
    if (bytes[2] != 1) return "the frame is of an unknown version";
    size_t records = bytes[3];
    if (size != FRAME_HEAD + records * FRAME_RECORD + FRAME_TAIL) return "the frame's length does not fit its count";
    uint16_t sum = 0;
    for (size_t i = 0; i < size - FRAME_TAIL; i++) sum = (uint16_t)(sum + bytes[i]);
    if (sum != number(bytes + size - FRAME_TAIL, FRAME_TAIL)) return "the frame's checksum is wrong";
    *to = (frame){.device = number(bytes + 4, 8), .records = records};
    return NULL;
}

frame_record frame_record_of(const uint8_t *bytes, size_t index) {
    const uint8_t *record = bytes + FRAME_HEAD + index * FRAME_RECORD;
    return (frame_record){
        .seconds = (uint32_t)number(record, 4),
        .latitude = (int32_t)(uint32_t)number(record + 4, 4),
        .longitude = (int32_t)(uint32_t)number(record + 8, 4),
        .speed = (uint16_t)number(record + 12, 2),
    };
}
