/* Where sentences end, and which are the best. */
#include "unit/core/support.h"

#include "services/summary.h"

#include <stdlib.h>

/* Splits `text`, and compares with `expected`, its sentences divided by '|'. */
static void assert_split(const char *text, const char *expected)
{
    struct x402_slice sentences[32];
    char joined[4096] = "";
    size_t count = summary_split(sentences, 32, x402_slice_of(text));

    for (size_t i = 0; i < count; i++) {
        size_t size = strlen(joined);
        snprintf(joined + size, sizeof joined - size, "%s%.*s", i > 0 ? "|" : "",
                 (int)sentences[i].size, sentences[i].data);
    }
    assert_string_equal(joined, expected);
}

static void sentences_end_at_their_stops(void **state)
{
    (void)state;
    assert_split("One is here. Two is there! Is three? Four",
                 "One is here.|Two is there!|Is three?|Four");
    assert_split("He said \"Go.\" She went (slowly.) Then...  It ended.",
                 "He said \"Go.\"|She went (slowly.)|Then...|It ended.");
    assert_split("What?! No… Yes.", "What?!|No…|Yes.");
}

static void a_newline_ends_a_sentence(void **state)
{
    (void)state;
    assert_split("A heading\nA sentence. \n\n Another\n",
                 "A heading|A sentence.|Another");
    assert_split("", "");
    assert_split(" \n \n", "");
}

static void decimals_versions_and_hosts_are_not_divided(void **state)
{
    (void)state;
    assert_split("Pi is 3.14 or so. See example.com for v1.2.3 now. Done.",
                 "Pi is 3.14 or so.|See example.com for v1.2.3 now.|Done.");
    assert_split("It was built in 1999. Then it fell.",
                 "It was built in 1999.|Then it fell.");
}

static void abbreviations_and_initials_do_not_end_a_sentence(void **state)
{
    (void)state;
    assert_split("Dr. Smith met J. R. R. Tolkien in the U.S. Senate. They spoke.",
                 "Dr. Smith met J. R. R. Tolkien in the U.S. Senate.|They spoke.");
    assert_split("Fruits, e.g. Apples, cost approx. No. 5 prices (cf. Fig. 2). End.",
                 "Fruits, e.g. Apples, cost approx. No. 5 prices (cf. Fig. 2).|End.");
    assert_split("Das gilt z.B. Montags usw. Immer. Ende.",
                 "Das gilt z.B. Montags usw. Immer.|Ende.");
}

static void what_goes_on_small_is_the_same_sentence(void **state)
{
    (void)state;
    assert_split("The firm Yahoo! is old. он сказал! и ушёл. Всё.",
                 "The firm Yahoo! is old. он сказал! и ушёл.|Всё.");
}

static void the_mark_of_a_list_stays_with_its_item(void **state)
{
    (void)state;
    assert_split("1. Open the door. 2 is more.", "1. Open the door.|2 is more.");
}

static void scripts_with_other_stops_are_divided(void **state)
{
    (void)state;
    assert_split("猫が好きです。「犬もです。」本当？はい！",
                 "猫が好きです。|「犬もです。」|本当？|はい！");
    assert_split("यह एक है। यह दो है।", "यह एक है।|यह दो है।");
    assert_split("هل هذا؟ نعم.", "هل هذا؟|نعم.");
}

static void a_sentence_without_end_is_cut(void **state)
{
    (void)state;
    struct x402_slice sentences[64];
    char *text = malloc(20001);

    for (size_t i = 0; i < 20000; i++)
        text[i] = i % 5 == 4 ? ' ' : 'w';
    size_t count = summary_split(sentences, 64, (struct x402_slice){text, 20000});
    assert_in_range(count, 5, 10);
    memset(text, 'w', 20000);
    count = summary_split(sentences, 64, (struct x402_slice){text, 20000});
    assert_in_range(count, 3, 10);
    free(text);
}

static void no_more_are_split_than_asked_for(void **state)
{
    (void)state;
    struct x402_slice sentences[2];

    assert_int_equal(
        summary_split(sentences, 2, X402_SLICE("One ends. Two ends. Three.")), 2);
    assert_slice(sentences[1], "Two ends.");
}

/* The summary's sentences, divided by '|'; static. */
static const char *summary_of(const char *text)
{
    static char joined[8192];
    struct x402_slice sentences[SUMMARY_SENTENCES];
    size_t count = 99;

    assert_true(summary_make(sentences, &count, x402_slice_of(text)));
    joined[0] = '\0';
    for (size_t i = 0; i < count; i++) {
        size_t size = strlen(joined);
        assert_true(sentences[i].data >= text &&
                    sentences[i].data + sentences[i].size <= text + strlen(text));
        snprintf(joined + size, sizeof joined - size, "%s%.*s", i > 0 ? "|" : "",
                 (int)sentences[i].size, sentences[i].data);
    }
    return joined;
}

static const char article[] =
    "The lighthouse on the northern cape was built by fishermen in 1872. "
    "My aunt bakes excellent plum cake on Sundays. "
    "Fishermen paid for the lighthouse after forty of them drowned off the cape. "
    "Bicycles are parked somewhere else entirely today. "
    "Today the lighthouse of the cape is a museum about those fishermen.";

static void the_best_three_stand_in_the_order_of_the_text(void **state)
{
    (void)state;
    assert_string_equal(
        summary_of(article),
        "The lighthouse on the northern cape was built by fishermen in 1872.|"
        "Fishermen paid for the lighthouse after forty of them drowned off the cape.|"
        "Today the lighthouse of the cape is a museum about those fishermen.");
}

static void the_same_text_has_the_same_summary(void **state)
{
    (void)state;
    char *first = strdup(summary_of(article));

    assert_string_equal(summary_of(article), first);
    free(first);
}

static void a_short_text_is_its_own_summary(void **state)
{
    (void)state;
    assert_string_equal(summary_of("Only this one sentence is here."),
                        "Only this one sentence is here.");
    assert_string_equal(summary_of("Short."), "Short.");
    assert_string_equal(summary_of("This one has enough words in it. Short."),
                        "This one has enough words in it.");
}

static void a_text_without_words_has_none(void **state)
{
    (void)state;
    assert_string_equal(summary_of(""), "");
    assert_string_equal(summary_of("... !!! — \n ???"), "");
}

static void what_is_said_twice_is_summarized_once(void **state)
{
    (void)state;
    assert_string_equal(summary_of("The cat sat on the mat today. "
                                   "The cat sat on the mat today! "
                                   "A dog came along the river later."),
                        "The cat sat on the mat today.|"
                        "A dog came along the river later.");
}

static void a_script_without_spaces_is_ranked_by_its_pairs(void **state)
{
    (void)state;
    assert_string_equal(summary_of("灯台は漁師たちが岬に建てた。昨日は雨でした。"
                                   "岬の灯台は漁師たちの誇りです。私はりんごを食べた。"
                                   "漁師たちは岬の灯台を今も守る。"),
                        "灯台は漁師たちが岬に建てた。|岬の灯台は漁師たちの誇りです。|"
                        "漁師たちは岬の灯台を今も守る。");
}

static void only_the_start_of_a_huge_text_is_ranked(void **state)
{
    (void)state;
    char *text = malloc(200000);
    size_t size = 0;

    for (int i = 0; i < 2 * SUMMARY_RANKED_MAX; i++)
        size += (size_t)sprintf(
            text + size, "Number %d of words is word%d and more%d. ", i, i * 7, i * 13);
    struct x402_slice sentences[SUMMARY_SENTENCES];
    size_t count = 0;
    assert_true(summary_make(sentences, &count, (struct x402_slice){text, size}));
    assert_int_equal(count, 3);
    assert_true(sentences[2].data < text + size / 2);
    free(text);
}

static void bytes_that_are_no_utf8_are_survived(void **state)
{
    (void)state;
    struct x402_slice sentences[SUMMARY_SENTENCES];
    size_t count;
    static const char text[] =
        "\xff\xfe\x80 word \xc3. \xe3\x81 A\xf0\x9f. \xed\xa0\x80";

    assert_true(summary_make(sentences, &count, X402_SLICE(text)));
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(sentences_end_at_their_stops),
        cmocka_unit_test(a_newline_ends_a_sentence),
        cmocka_unit_test(decimals_versions_and_hosts_are_not_divided),
        cmocka_unit_test(abbreviations_and_initials_do_not_end_a_sentence),
        cmocka_unit_test(what_goes_on_small_is_the_same_sentence),
        cmocka_unit_test(the_mark_of_a_list_stays_with_its_item),
        cmocka_unit_test(scripts_with_other_stops_are_divided),
        cmocka_unit_test(a_sentence_without_end_is_cut),
        cmocka_unit_test(no_more_are_split_than_asked_for),
        cmocka_unit_test(the_best_three_stand_in_the_order_of_the_text),
        cmocka_unit_test(the_same_text_has_the_same_summary),
        cmocka_unit_test(a_short_text_is_its_own_summary),
        cmocka_unit_test(a_text_without_words_has_none),
        cmocka_unit_test(what_is_said_twice_is_summarized_once),
        cmocka_unit_test(a_script_without_spaces_is_ranked_by_its_pairs),
        cmocka_unit_test(only_the_start_of_a_huge_text_is_ranked),
        cmocka_unit_test(bytes_that_are_no_utf8_are_survived),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
