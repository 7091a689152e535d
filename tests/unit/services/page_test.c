/* What pages say, well-formed, sloppy and hostile. */
#include "unit/core/support.h"

#include "services/page.h"

#include <stdlib.h>
#include <time.h>

#define HTML "text/html; charset=utf-8"
#define URL "https://www.example.org:8443/a/b?c#d"
#define SENTENCE "This paragraph is long enough to count as one of an article. "

static struct page page;

static int release(void **state)
{
    (void)state;
    page_free(&page);
    return 0;
}

static void read_as(const char *type, const char *body, size_t size)
{
    page_free(&page);
    assert_true(page_read(&page, body, size, type, URL));
}

static void read_page(const char *body)
{
    read_as(HTML, body, strlen(body));
}

/* ------------------------------------------------------------------------- fields */

static void the_title_is_for_sharing_or_the_pages_or_the_first_heading(void **state)
{
    (void)state;
    read_page("<title>Page</title><meta property=og:title content='For &amp; sharing'>"
              "<h1>Heading</h1>");
    assert_string_equal(page.title, "For & sharing");
    read_page("<title> Page\n  title </title><h1>Heading</h1>");
    assert_string_equal(page.title, "Page title");
    read_page("<body><h1>A <b>heading</b></h1><h1>Another</h1>");
    assert_string_equal(page.title, "A heading");
    read_page("<svg><title>Icon</title></svg><p>Nothing</p>");
    assert_string_equal(page.title, "");
}

static void description_and_site_are_read(void **state)
{
    (void)state;
    read_page("<META NAME=Description CONTENT=\"Plain\"><meta property=og:site_name "
              "content=Site>");
    assert_string_equal(page.description, "Plain");
    assert_string_equal(page.site, "Site");
    read_page("<meta name=description content=Plain><meta property=og:description "
              "content=Shared>");
    assert_string_equal(page.description, "Shared");
}

static void without_a_name_the_site_is_the_host(void **state)
{
    (void)state;
    read_page("<p>x");
    assert_string_equal(page.site, "www.example.org");
    page_free(&page);
    assert_true(page_read(&page, "<p>x", 4, HTML, "http://[2606::1]:8080"));
    assert_string_equal(page.site, "[2606::1]");
}

static void a_long_title_is_cut_between_characters(void **state)
{
    (void)state;
    char body[8192] = "<title>x";

    for (int i = 0; i < 1000; i++)
        strcat(body, "ü");
    read_page(body);
    assert_int_equal(strlen(page.title), 1023);
    assert_memory_equal(page.title + 1021, "ü", 2);
}

static void marks_that_are_not_seen_are_left_out(void **state)
{
    (void)state;
    read_page("<title>a\xe2\x80\xae"
              "b\xc2\xad"
              "c&#8203;d\xc2\xa0\xe3\x80\x80 e\x01</title>");
    assert_string_equal(page.title, "abcd e");
}

/* --------------------------------------------------------------------------- text */

static void the_article_is_taken_and_what_is_around_it_left_out(void **state)
{
    (void)state;
    read_page(
        "<body><nav><p>" SENTENCE "Nav</p></nav><header><p>" SENTENCE
        "Head</p></header><div class='left sidebar-x'><p>" SENTENCE
        "Side</p></div><div id=content><h2>Title of it</h2><p>" SENTENCE
        "First, <i>really</i>.</p><script>var x = '<p>script</p>';</script><p>" SENTENCE
        "Second.</p><style>p { color: red }</style><p hidden>" SENTENCE
        "Hidden</p><form><p>" SENTENCE
        "Form</p></form></div><div role=search><p>" SENTENCE
        "Role</p></div><footer><p>" SENTENCE "Foot</p></footer>");
    assert_string_equal(page.text, SENTENCE "First, really.\n" SENTENCE "Second.\n");
}

static void a_page_that_never_ends_its_head_is_read(void **state)
{
    (void)state;
    read_page(
        "<!doctype html><title>T</title><nav>Home</nav><article><p>" SENTENCE SENTENCE
        "</p></article>");
    assert_string_equal(page.title, "T");
    assert_string_equal(
        page.text,
        SENTENCE "This paragraph is long enough to count as one of an article.\n");
}

static void lists_of_links_are_no_article(void **state)
{
    (void)state;
    read_page("<div><p><a href=a>" SENTENCE "</a></p><p><a href=b>" SENTENCE SENTENCE
              "</a></p></div><div><p>" SENTENCE SENTENCE
              "With <a href=c>a link</a> in it, though.</p></div>");
    assert_string_equal(page.text, SENTENCE SENTENCE "With a link in it, though.\n");
}

static void an_article_in_sections_is_taken_whole(void **state)
{
    (void)state;
    read_page("<article><section><p>" SENTENCE "1</p><p>" SENTENCE
              "2</p></section><section><p>" SENTENCE "3</p><p>" SENTENCE
              "4</p></section><section><p>" SENTENCE "5</p></section></article>");
    assert_non_null(strstr(page.text, "1\n"));
    assert_non_null(strstr(page.text, "5\n"));
}

static void a_page_that_is_all_a_form_is_read_still(void **state)
{
    (void)state;
    read_page("<body class='nav-open'><form id=aspnet><div class=content><p>" SENTENCE
                  SENTENCE "</p></div></form>");
    assert_non_null(strstr(page.text, "This paragraph"));
}

static void text_without_paragraphs_is_divided_at_double_breaks(void **state)
{
    (void)state;
    read_page("<body>" SENTENCE "One<br>line.<br><br>" SENTENCE "Two.");
    assert_string_equal(page.text, SENTENCE "One line.\n" SENTENCE "Two.\n");
}

static void code_is_no_prose_unless_it_is_all_there_is(void **state)
{
    (void)state;
    read_page("<div><p>" SENTENCE SENTENCE SENTENCE SENTENCE
              "</p><pre>int main(void) { return 0; } /* and more */</pre></div>");
    assert_null(strstr(page.text, "main"));
    read_page("<pre>A memo that is all of one preformatted block of text.</pre>");
    assert_non_null(strstr(page.text, "A memo"));
}

static void plain_text_is_taken_by_paragraphs(void **state)
{
    (void)state;
    static const char text[] = "One <b> line\r\nand more.\r\n \r\n\r\nTwo.\n";

    read_as("text/plain", text, sizeof text - 1);
    assert_string_equal(page.text, "One <b> line and more.\nTwo.\n");
    assert_string_equal(page.title, "");
    assert_string_equal(page.site, "www.example.org");
}

static void without_a_type_markup_makes_it_html(void **state)
{
    (void)state;
    read_as("", " \n<title>T</title>", 18);
    assert_string_equal(page.title, "T");
    read_as("", "No <title>T</title>", 19);
    assert_string_equal(page.title, "");
}

static void what_is_neither_html_nor_text_is_refused(void **state)
{
    (void)state;
    static const char *const types[] = {"image/png",  "application/pdf",
                                        "text/css",   "application/json",
                                        "text/htmlx", "video/mp4"};
    char bytes[4096];

    for (size_t i = 0; i < sizeof types / sizeof types[0]; i++) {
        page_free(&page);
        assert_false(page_read(&page, "<p>x", 4, types[i], URL));
    }
    for (size_t i = 0; i < sizeof bytes; i++)
        bytes[i] = (char)(i * 73 + i / 251);
    assert_false(page_read(&page, bytes, sizeof bytes, "text/html", URL));
    assert_false(page_read(&page, bytes, sizeof bytes, "", URL));
}

/* ----------------------------------------------------------------- character sets */

static void the_character_set_of_the_type_is_used(void **state)
{
    (void)state;
    read_as("text/html; charset=ISO-8859-1",
            "<title>Gr\xf6\xdf"
            "e \x80</title>",
            22);
    assert_string_equal(page.title, "Größe €");
    read_as("text/html;charset=\"windows-1251\"", "<title>\xcc\xe8\xf0</title>", 18);
    assert_string_equal(page.title, "Мир");
    read_as("text/html; charset=Shift_JIS", "<title>\x93\xfa\x96{</title>", 19);
    assert_string_equal(page.title, "日本");
}

static void the_character_set_of_a_meta_element_is_used(void **state)
{
    (void)state;
    static const char one[] = "<meta charset=windows-1251><title>\xcc\xe8\xf0</title>";
    static const char two[] = "<META http-equiv=Content-Type content='text/html; "
                              "charset=koi8-r'><title>\xed\xc9\xd2</title>";

    read_as("text/html", one, sizeof one - 1);
    assert_string_equal(page.title, "Мир");
    read_as("text/html", two, sizeof two - 1);
    assert_string_equal(page.title, "Мир");
}

static void a_byte_order_mark_goes_before_all_else(void **state)
{
    (void)state;
    static const char text[] = "\xff\xfe<\0t\0i\0t\0l\0e\0>\0\x42\x04</\0t\0i\0";

    read_as("text/html; charset=utf-8", text, 18);
    assert_string_equal(page.title, "т");
}

static void an_unknown_character_set_is_guessed(void **state)
{
    (void)state;
    read_as("text/html; charset=x-made-up", "<title>\xc3\xbc</title>", 17);
    assert_string_equal(page.title, "ü");
    read_as("text/html; charset=ISO-2022-CN-EXT", "<title>\xfc</title>", 16);
    assert_string_equal(page.title, "ü");
}

static void a_byte_that_cannot_be_read_is_marked(void **state)
{
    (void)state;
    read_as(HTML,
            "<title>a\xff"
            "bcdefghijklmnopqrstuvwxyz</title>",
            42);
    assert_string_equal(page.title, "a\xef\xbf\xbd"
                                    "bcdefghijklmnopqrstuvwxyz");
}

/* ------------------------------------------------------------------------ hostility */

/* Pages of two megabytes that repeat a piece; none takes more than a moment. */
static void huge_repetitions_are_read_in_linear_time(void **state)
{
    (void)state;
    static const char *const pieces[] = {"<div>",
                                         "<b><i>",
                                         "<p>x",
                                         "<br>",
                                         "&amp;",
                                         "<",
                                         "&",
                                         "<a b=\"",
                                         "<!--",
                                         "<script>",
                                         "<table><tr><td>",
                                         "<form><p>",
                                         "<h1>",
                                         "</p>",
                                         "<dl><dd>",
                                         "<a><b></a></b>",
                                         "<svg>",
                                         "<title>",
                                         "<meta name=x>",
                                         "x ",
                                         "\xff\xc3",
                                         "<select>",
                                         "<!",
                                         "</",
                                         "<li>y",
                                         "&#x10ffff;",
                                         "<textarea>"};
    size_t size = 2 * 1024 * 1024;
    char *body = malloc(size);

    for (size_t i = 0; i < sizeof pieces / sizeof pieces[0]; i++) {
        clock_t start = clock();
        for (size_t at = 0; at < size; at++)
            body[at] = pieces[i][at % strlen(pieces[i])];
        page_free(&page);
        (void)page_read(&page, body, size, HTML, URL);
        if (clock() - start > 20 * CLOCKS_PER_SEC)
            fail_msg("%s", pieces[i]);
    }
    free(body);
}

static void what_stands_behind_too_many_tags_is_still_text(void **state)
{
    (void)state;
    char *body = malloc(2 * 1024 * 1024);
    size_t size = (size_t)sprintf(body, "<title>T</title><p>");

    for (int i = 0; i < 100000; i++)
        size += (size_t)sprintf(body + size, "<b>word</b> ");
    size += (size_t)sprintf(body + size, SENTENCE "<script>no prose</script>");
    read_as(HTML, body, size);
    assert_string_equal(page.title, "T");
    assert_non_null(strstr(page.text, "This paragraph"));
    assert_null(strstr(page.text, "no prose"));
    free(body);
}

/* libxml2 by itself compares each attribute with each other: minutes. */
static void a_tag_of_many_attributes_is_read_in_linear_time(void **state)
{
    (void)state;
    char *body = malloc(2 * 1024 * 1024);
    size_t size = (size_t)sprintf(body, "<title>T</title><p");
    clock_t start = clock();

    for (int i = 0; i < 200000; i++)
        size += (size_t)sprintf(body + size, " a%d=1", i);
    size += (size_t)sprintf(body + size, ">" SENTENCE "</p>");
    read_as(HTML, body, size);
    assert_string_equal(page.title, "T");
    assert_non_null(strstr(page.text, "This paragraph"));
    assert_true(clock() - start < 20 * CLOCKS_PER_SEC);
    free(body);
}

static void markup_in_quotes_comments_and_scripts_stays_there(void **state)
{
    (void)state;
    read_page("<!-- <title>A</title> --><!--><script>'</p><title>B</title>'</SCRIPT >"
              "<a title='<title>C</title>'><title x=\">\">D</title><?php <title>E ?>");
    assert_string_equal(page.title, "D");
    read_page("<script><!-- never ends <title>A</title>");
    assert_string_equal(page.title, "");
}

static void zeros_and_controls_do_not_end_the_page(void **state)
{
    (void)state;
    read_as(HTML, "<title>a\0b</title><p>" SENTENCE, 21 + sizeof SENTENCE - 1);
    assert_string_equal(page.title, "a b");
    assert_non_null(strstr(page.text, "This paragraph"));
}

static void an_empty_page_says_nothing(void **state)
{
    (void)state;
    read_page("");
    assert_string_equal(page.text, "");
    read_page("<!-- -->");
    assert_string_equal(page.title, "");
    assert_string_equal(page.text, "");
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(the_title_is_for_sharing_or_the_pages_or_the_first_heading),
        cmocka_unit_test(description_and_site_are_read),
        cmocka_unit_test(without_a_name_the_site_is_the_host),
        cmocka_unit_test(a_long_title_is_cut_between_characters),
        cmocka_unit_test(marks_that_are_not_seen_are_left_out),
        cmocka_unit_test(the_article_is_taken_and_what_is_around_it_left_out),
        cmocka_unit_test(a_page_that_never_ends_its_head_is_read),
        cmocka_unit_test(lists_of_links_are_no_article),
        cmocka_unit_test(an_article_in_sections_is_taken_whole),
        cmocka_unit_test(a_page_that_is_all_a_form_is_read_still),
        cmocka_unit_test(text_without_paragraphs_is_divided_at_double_breaks),
        cmocka_unit_test(code_is_no_prose_unless_it_is_all_there_is),
        cmocka_unit_test(plain_text_is_taken_by_paragraphs),
        cmocka_unit_test(without_a_type_markup_makes_it_html),
        cmocka_unit_test(what_is_neither_html_nor_text_is_refused),
        cmocka_unit_test(the_character_set_of_the_type_is_used),
        cmocka_unit_test(the_character_set_of_a_meta_element_is_used),
        cmocka_unit_test(a_byte_order_mark_goes_before_all_else),
        cmocka_unit_test(an_unknown_character_set_is_guessed),
        cmocka_unit_test(a_byte_that_cannot_be_read_is_marked),
        cmocka_unit_test(huge_repetitions_are_read_in_linear_time),
        cmocka_unit_test(what_stands_behind_too_many_tags_is_still_text),
        cmocka_unit_test(a_tag_of_many_attributes_is_read_in_linear_time),
        cmocka_unit_test(markup_in_quotes_comments_and_scripts_stays_there),
        cmocka_unit_test(zeros_and_controls_do_not_end_the_page),
        cmocka_unit_test(an_empty_page_says_nothing),
    };

    return cmocka_run_group_tests(tests, NULL, release);
}
