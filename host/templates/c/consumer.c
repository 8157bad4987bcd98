/* Greets: a name comes in, a greeting goes out. */

#include "hive.h"

hive_answer hive_handle(const hive_delivery *delivery) {
    hive_bytes name = delivery->message.body;
    /* It will be as empty next time, so a retry would only waste one. */
    if (name.size == 0) return hive_reject("the message has no name");
    hive_bytes greeting[] = {hive_text("hello "), name};
    hive_body(hive_publish_to_queue("{{name}}.out"), hive_join(greeting, 2));
    return hive_done();
}

HIVE_CONSUMER()
