#include "unit/core/support.h"

#include "settle/event.h"

#include <jansson.h>

static struct x402_note_event event;
static char text[X402_NOTE_JSON_MAX];

static int begin(void **state)
{
    (void)state;
    memset(&event, 0, sizeof event);
    event.kind = X402_NOTE_SETTLED;
    event.time_milliseconds = 1795370000042;
    return 0;
}

static json_t *encoded(void)
{
    size_t size = x402_note_encode(text, &event);
    json_t *json = json_loads(text, JSON_REJECT_DUPLICATES, NULL);

    assert_int_equal(size, strlen(text));
    assert_null(strchr(text, '\n'));
    assert_non_null(json);
    return json;
}

static const char *string_of(const json_t *json, const char *name)
{
    const char *value = json_string_value(json_object_get(json, name));

    return value != NULL ? value : "none";
}

static void an_event_is_one_object_with_all_that_is_known(void **state)
{
    (void)state;
    event.chain_id = 84532;
    strcpy(event.network, "base-sepolia");
    event.payments_count = 2;
    event.payments[0] = (struct x402_note_payment){7, "aaaaaaaaaaaaaaaaaaaaaa"};
    event.payments[1] = (struct x402_note_payment){8, "bbbbbbbbbbbbbbbbbbbbbb"};
    event.has_value = true;
    event.value = 2000;
    event.has_transaction = true;
    memset(event.transaction32, 0xab, 32);
    event.block = 12;
    strcpy(event.reason, "deadline");
    strcpy(event.message, "settled 2 payments");
    json_decref(encoded());
    assert_string_equal(
        text, "{\"time\":\"2026-11-22T17:53:20.042Z\",\"level\":\"info\",\"event\":"
              "\"settled\","
              "\"chain\":\"eip155:84532\",\"network\":\"base-sepolia\",\"count\":2,"
              "\"payments\":[7,8],\"receipts\":[\"aaaaaaaaaaaaaaaaaaaaaa\","
              "\"bbbbbbbbbbbbbbbbbbbbbb\"],\"value\":\"2000\",\"transaction\":"
              "\"0xabababababababab"
              "abababababababababababababababababababababababab\",\"block\":12,"
              "\"reason\":\"deadline\",\"message\":\"settled 2 payments\"}");
}

static void what_is_not_known_is_left_out(void **state)
{
    (void)state;
    strcpy(event.message, "stopped");
    event.kind = X402_NOTE_STOPPED;
    json_t *json = encoded();
    assert_int_equal(json_object_size(json), 4); /* time, level, event, message */
    assert_string_equal(string_of(json, "event"), "stopped");
    json_decref(json);
}

static void a_node_cannot_break_the_line(void **state)
{
    (void)state;
    strcpy(event.reason, "a\"}\n{\"event\":\"settled\"\x1b[2J\xff\xc3");
    json_t *json = encoded();
    assert_string_equal(string_of(json, "reason"),
                        "a\"}\n{\"event\":\"settled\"\x1b[2J\xef\xbf\xbd\xef\xbf\xbd");
    assert_string_equal(string_of(json, "event"), "settled");
    json_decref(json);
}

/* One escape for each byte, and every number as long as it gets. */
static void the_longest_event_fits(void **state)
{
    (void)state;
    memset(event.message, 1, sizeof event.message - 1);
    memset(event.reason, 1, sizeof event.reason - 1);
    memset(event.network, 1, sizeof event.network - 1);
    event.chain_id = event.value = UINT64_MAX;
    event.block = INT64_MAX; /* jansson reads no more */
    event.has_value = event.has_transaction = true;
    event.payments_count = 100000;
    for (size_t i = 0; i < X402_NOTE_PAYMENTS_MAX; i++) {
        event.payments[i].id = INT64_MAX;
        memset(event.payments[i].receipt, 'a', X402_RECEIPT_ID_SIZE);
    }
    json_t *json = encoded();
    assert_int_equal(json_integer_value(json_object_get(json, "count")), 100000);
    assert_int_equal(json_array_size(json_object_get(json, "payments")),
                     X402_NOTE_PAYMENTS_MAX);
    assert_int_equal(json_array_size(json_object_get(json, "receipts")),
                     X402_NOTE_PAYMENTS_MAX);
    assert_int_equal(strlen(string_of(json, "message")), sizeof event.message - 1);
    json_decref(json);
}

#define FRESH(test) cmocka_unit_test_setup(test, begin)

int main(void)
{
    const struct CMUnitTest tests[] = {
        FRESH(an_event_is_one_object_with_all_that_is_known),
        FRESH(what_is_not_known_is_left_out),
        FRESH(a_node_cannot_break_the_line),
        FRESH(the_longest_event_fits),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
