/* One frame in, one position in JSON for each of its records out. */

#include "frames.h"
#include "hive.h"

static hive_bytes in_json(const frame *frame, frame_record record) {
    hive_bytes parts[] = {
        hive_text("{\"device\":"), hive_decimal((int64_t)frame->device),
        hive_text(",\"latitude_e6\":"), hive_decimal(record.latitude),
        hive_text(",\"longitude_e6\":"), hive_decimal(record.longitude),
        hive_text(",\"speed_dkmh\":"), hive_decimal(record.speed),
        hive_text("}"),
    };
    return hive_join(parts, sizeof parts / sizeof *parts);
}

hive_answer hive_handle(const hive_delivery *delivery) {
    hive_bytes body = delivery->message.body;
    frame frame;
    const char *fault = frame_read(body.data, body.size, &frame);
    /* It will be as malformed next time, so a retry would only waste one. */
    if (fault != NULL) return hive_reject(fault);
    HIVE_ENSURE(frame.device <= INT64_MAX);
    hive_bytes key[] = {hive_text("position."), hive_decimal((int64_t)frame.device)};
    hive_bytes routing_key = hive_join(key, 2);
    for (size_t i = 0; i < frame.records; i++) {
        frame_record record = frame_record_of(body.data, i);
        hive_publication *position = hive_publish(hive_text("tracking"), routing_key);
        hive_set(&position->message.properties.content_type, hive_text("application/json"));
        position->message.properties.timestamp = (hive_optional_u64){true, record.seconds};
        hive_add_header(position, "record", hive_of_integer((int64_t)i));
        hive_body(position, in_json(&frame, record));
    }
    return hive_done();
}

HIVE_CONSUMER()
