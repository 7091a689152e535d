/* That cards can be read: their colours, and that the fonts have the letters. */
#include "unit/core/support.h"

#include "services/palette.h"
#include "services/typeset.h"

#include <fontconfig/fontconfig.h>
#include <math.h>
#include <string.h>

#define THEMES (CARD_CORAL + 1)
#define SEEDS 64 /* more than there are hues */

/* ----------------------------------------------------------------------- contrast */

static double linear(double channel)
{
    return channel <= 0.03928 ? channel / 12.92 : pow((channel + 0.055) / 1.055, 2.4);
}

static double luminance(const struct colour *colour)
{
    return 0.2126 * linear(colour->red) + 0.7152 * linear(colour->green) +
           0.0722 * linear(colour->blue);
}

/* WCAG 2.2, "contrast ratio". */
static double contrast(const struct colour *a, const struct colour *b)
{
    double x = luminance(a), y = luminance(b);
    return (fmax(x, y) + 0.05) / (fmin(x, y) + 0.05);
}

static void is_readable(enum card_theme theme, uint64_t seed)
{
    struct palette palette;
    palette_make(&palette, theme, seed);
    double title = contrast(&palette.ink, &palette.ground);
    double subtitle = contrast(&palette.muted, &palette.ground);
    double initial = contrast(&palette.mark_ink, &palette.mark);
    if (title < 7 || subtitle < 4.5 || initial < 4.5)
        fail_msg("theme %d, seed %d: %.1f %.1f %.1f", (int)theme, (int)seed, title,
                 subtitle, initial);
}

static void text_of_every_theme_and_hue_has_the_contrast_of_wcag(void **state)
{
    (void)state;
    for (int theme = 0; theme < THEMES; theme++) {
        for (uint64_t seed = 0; seed < SEEDS; seed++)
            is_readable((enum card_theme)theme, seed);
    }
}

static void a_theme_is_found_by_its_whole_name(void **state)
{
    enum card_theme theme = CARD_LIGHT;
    (void)state;
    assert_true(card_theme_find(&theme, X402_SLICE("coral")));
    assert_int_equal(theme, CARD_CORAL);
    assert_false(card_theme_find(&theme, X402_SLICE("cora")));
    assert_false(card_theme_find(&theme, X402_SLICE("")));
    assert_int_equal(theme, CARD_CORAL);
}

/* -------------------------------------------------------------------------- fonts */

static PangoFontMap *fonts;

static const struct typeset_size sizes[] = {{60, 2}, {30, 2}, {0, 0}};

static PangoLayout *set(const char *text)
{
    const struct typeset_box box = {.width = 796, .height = 300};
    PangoContext *context = typeset_context(fonts);
    PangoLayout *layout = typeset(context, text, &box, sizes);
    g_object_unref(context);
    return layout;
}

static void the_fonts_have_the_letters_of_many_scripts(void **state)
{
    static const char *const texts[] = {
        "Latin: Žluťoučký kůň, façade, ẞ, Tiếng Việt, œ",
        "Ελληνικά",
        "Кириллица ҐЄ",
        "العربية فارسی اردو",
        "עברית",
        "हिन्दी मराठी",
        "বাংলা",
        "தமிழ்",
        "తెలుగు",
        "ಕನ್ನಡ",
        "മലയാളം",
        "ગુજરાતી",
        "ਪੰਜਾਬੀ",
        "සිංහල",
        "ไทย",
        "ລາວ",
        "ភាសាខ្មែរ",
        "မြန်မာ",
        "ქართული",
        "Հայերեն",
        "አማርኛ",
        "日本語のかな、カナ。",
        "中文简体",
        "繁體中文",
        "한국어",
        "1 € ₿ → ≠ ✓ “…”"};
    (void)state;
    for (size_t i = 0; i < sizeof texts / sizeof texts[0]; i++) {
        PangoLayout *layout = set(texts[i]);
        assert_non_null(layout);
        if (pango_layout_get_unknown_glyphs_count(layout) != 0)
            fail_msg("%s", texts[i]);
        g_object_unref(layout);
    }
}

/* ------------------------------------------------------------------------- setting */

static void is_clean(const char *text, size_t size, const char *expected)
{
    char out[TYPESET_SIZE];
    assert_int_equal(typeset_clean(out, (struct x402_slice){text, size}),
                     expected[0] != '\0');
    assert_string_equal(out, expected);
}

#define IS_CLEAN(text, expected) is_clean(text, sizeof(text) - 1, expected)

static void a_text_is_cleaned_of_what_cannot_be_drawn(void **state)
{
    (void)state;
    IS_CLEAN(" a\t\n\0 b ", "a b");
    IS_CLEAN("a\xc2\xa0\xe3\x80\x80z", "a z");
    IS_CLEAN("🚀", "");
    IS_CLEAN("a🚀b❤️", "ab❤");
    IS_CLEAN("\xff\xc3(\xed\xa0\x80", "(");
    IS_CLEAN("\xee\x80\x80x\xc2\xad", "x");
    IS_CLEAN("", "");
}

static void a_text_that_is_too_long_is_cut_between_characters(void **state)
{
    char text[3 * TYPESET_SIZE], out[TYPESET_SIZE];
    (void)state;
    for (size_t i = 0; i < sizeof text; i += 3)
        memcpy(text + i, "漢", 3);
    assert_true(typeset_clean(out, (struct x402_slice){text, sizeof text}));
    assert_true(strlen(out) > TYPESET_SIZE - 8);
    assert_int_equal(strlen(out) % 3, 0);
}

static void the_first_letter_decides_the_direction(void **state)
{
    (void)state;
    assert_true(typeset_is_rtl("402 – שלום abc"));
    assert_true(typeset_is_rtl("«مرحبا» abc"));
    assert_false(typeset_is_rtl("abc שלום"));
    assert_false(typeset_is_rtl("402"));
    assert_false(typeset_is_rtl("日本"));
}

static double size_of(PangoLayout *layout)
{
    return pango_units_to_double(
        pango_font_description_get_size(pango_layout_get_font_description(layout)));
}

static void what_has_no_place_at_the_first_size_is_set_smaller(void **state)
{
    PangoLayout *small = set("A title of so many words that it needs a smaller size to "
                             "be shown as a whole");
    PangoLayout *large = set("Short");
    (void)state;
    assert_int_equal(size_of(large), 60);
    assert_int_equal(size_of(small), 30);
    assert_false(pango_layout_is_ellipsized(small));
    g_object_unref(small);
    g_object_unref(large);
}

static void what_has_no_place_at_the_last_size_ends_with_an_ellipsis(void **state)
{
    char text[1000];
    (void)state;
    memset(text, 'w', sizeof text - 1);
    text[sizeof text - 1] = '\0';
    PangoLayout *layout = set(text);
    assert_true(pango_layout_is_ellipsized(layout));
    assert_int_equal(pango_layout_get_line_count(layout), 2);
    g_object_unref(layout);
}

static int line_width(PangoLayout *layout, int line)
{
    PangoRectangle logical;
    pango_layout_line_get_pixel_extents(pango_layout_get_line_readonly(layout, line),
                                        NULL, &logical);
    return logical.width;
}

static void lines_are_about_equally_long(void **state)
{
    PangoLayout *layout = set("One line has place for this, but not for it");
    (void)state;
    assert_int_equal(pango_layout_get_line_count(layout), 2);
    assert_true(10 * line_width(layout, 1) > 7 * line_width(layout, 0));
    g_object_unref(layout);
}

static int open_fonts(void **state)
{
    (void)state;
    fonts = pango_cairo_font_map_new();
    return 0;
}

static int close_fonts(void **state)
{
    (void)state;
    g_object_unref(fonts);
    FcFini();
    return 0;
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(text_of_every_theme_and_hue_has_the_contrast_of_wcag),
        cmocka_unit_test(a_theme_is_found_by_its_whole_name),
        cmocka_unit_test(the_fonts_have_the_letters_of_many_scripts),
        cmocka_unit_test(a_text_is_cleaned_of_what_cannot_be_drawn),
        cmocka_unit_test(a_text_that_is_too_long_is_cut_between_characters),
        cmocka_unit_test(the_first_letter_decides_the_direction),
        cmocka_unit_test(what_has_no_place_at_the_first_size_is_set_smaller),
        cmocka_unit_test(what_has_no_place_at_the_last_size_ends_with_an_ellipsis),
        cmocka_unit_test(lines_are_about_equally_long),
    };
    return cmocka_run_group_tests(tests, open_fonts, close_fonts);
}
