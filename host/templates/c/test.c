/* Native unit tests: `make test`. */

#include <assert.h>
#include <stdio.h>
#include <string.h>

#include "hive.h"

static hive_answer handle(const char *body) {
    static hive_delivery delivery;
    delivery = (hive_delivery){.message.body = hive_text(body), .attempt = 1};
    hive_start_over();
    return hive_handle(&delivery);
}

static void whoever_is_named_is_greeted(void) {
    const hive_publication *greetings;
    assert(handle("Ada").what == HIVE_DONE);
    assert(hive_published(&greetings) == 1);
    assert(hive_equal(greetings[0].routing_key, "{{name}}.out"));
    hive_bytes body = greetings[0].message.body;
    assert(body.size > 3 && memcmp(body.data + body.size - 3, "Ada", 3) == 0);
}

static void a_message_without_a_name_is_rejected(void) {
    assert(handle("").what == HIVE_REJECT);
}

int main(void) {
    whoever_is_named_is_greeted();
    a_message_without_a_name_is_rejected();
    puts("2 passed, 0 failed");
    return 0;
}
