/* Does to a container what the body asks for, as tests/guests/examples/objects.rs does. */

#include "hive_objects.h"

enum { MOST_WORDS = 5 };

static void split(hive_bytes text, hive_bytes *words) {
    size_t count = 0;
    words[0] = (hive_bytes){text.data, 0};
    for (size_t at = 0; at < text.size; at++) {
        if (text.data[at] == ' ' && count + 1 < MOST_WORDS) {
            words[++count] = (hive_bytes){text.data + at + 1, 0};
        } else {
            words[count].size++;
        }
    }
}

static hive_bytes large(hive_bytes digits) {
    size_t size = 0;
    for (size_t at = 0; at < digits.size; at++) size = size * 10 + (digits.data[at] - '0');
    uint8_t *content = hive_alloc(size);
    for (size_t at = 0; at < size; at++) content[at] = 1;
    return (hive_bytes){content, size};
}

static bool carry_out(hive_container box, hive_bytes *words, hive_bytes *answer) {
    hive_bytes verb = words[1], name = words[2];
    bool there;
    *answer = hive_text("done");
    if (hive_equal(verb, "put")) return hive_object_put(box, name, words[3], answer);
    if (hive_equal(verb, "put-large")) return hive_object_put(box, name, large(words[3]), answer);
    if (hive_equal(verb, "delete")) return hive_object_delete(box, name, answer);
    if (!hive_object_exists(box, name, &there, answer)) return false;
    if (hive_equal(verb, "exists")) {
        *answer = hive_text(there ? "true" : "false");
        return true;
    }
    *answer = hive_text(there ? "what?" : "-");
    hive_bytes content;
    if (!there || !hive_object_get(box, name, &content, answer)) return !there;
    *answer = hive_equal(verb, "size") ? hive_decimal((int64_t)content.size) : content;
    return true;
}

hive_answer hive_handle(const hive_delivery *delivery) {
    hive_bytes words[MOST_WORDS] = {0}, *said = words, answer;
    split(delivery->message.body, words);
    bool fails = hive_equal(words[0], "fail");
    if (fails) said++;
    hive_container box;
    bool is_done = hive_container_open(said[0], &box, &answer);
    if (is_done) {
        is_done = carry_out(box, said, &answer);
        hive_container_close(box);
    }
    if (!is_done && fails) return hive_fail_with(answer);
    hive_bytes parts[] = {hive_text("error: "), answer};
    hive_body(hive_publish_to_queue("out"), is_done ? answer : hive_join(parts, 2));
    return hive_done();
}

HIVE_CONSUMER()
