#include "typeset.h"

#include "core/text.h"

#include <string.h>

/*
 * Inter for Latin, Greek and Cyrillic; the others are named so that a script does not
 * get a serif face, or one of another style, by the accident of what is installed.
 */
#define OTHER_SCRIPTS                                                                  \
    "Noto Sans,Noto Sans Arabic,Noto Sans Hebrew,Noto Sans Devanagari,"                \
    "Noto Sans Bengali,Noto Sans Tamil,Noto Sans Telugu,Noto Sans Kannada,"            \
    "Noto Sans Malayalam,Noto Sans Gujarati,Noto Sans Gurmukhi,Noto Sans Sinhala,"     \
    "Noto Sans Thai,Noto Sans Lao,Noto Sans Khmer,Noto Sans Myanmar,"                  \
    "Noto Sans Georgian,Noto Sans Armenian,Noto Sans Ethiopic,WenQuanYi Micro Hei,"    \
    "sans-serif"

struct face {
    const char *families;
    PangoWeight weight;
    double line_heights[3]; /* in sizes of the type, by enum build */
};

/* How much room the letters of a script take above one another. */
enum build { LOW, SQUARE, TALL };

static const struct face faces[] = {
    [TYPESET_DISPLAY] = {"Inter Display,Inter," OTHER_SCRIPTS,
                         PANGO_WEIGHT_BOLD,
                         {1.12, 1.24, 1.44}},
    [TYPESET_TEXT] = {"Inter," OTHER_SCRIPTS, PANGO_WEIGHT_NORMAL, {1.38, 1.5, 1.6}},
    [TYPESET_NAME] = {"Inter," OTHER_SCRIPTS, PANGO_WEIGHT_SEMIBOLD, {1.3, 1.3, 1.6}},
};

/* ------------------------------------------------------------------------- clean */

static bool is_space(gunichar c)
{
    GUnicodeType type = g_unichar_type(c);
    return type == G_UNICODE_CONTROL || type == G_UNICODE_SPACE_SEPARATOR ||
           type == G_UNICODE_LINE_SEPARATOR || type == G_UNICODE_PARAGRAPH_SEPARATOR;
}

static bool is_between(gunichar c, gunichar first, gunichar last)
{
    return c >= first && c <= last;
}

/* Emoji and what selects them, soft hyphens, and what no font is asked for. */
static bool is_left_out(gunichar c)
{
    GUnicodeType type = g_unichar_type(c);
    return type == G_UNICODE_PRIVATE_USE || type == G_UNICODE_UNASSIGNED ||
           is_between(c, 0x1f000, 0x1faff) || is_between(c, 0xfe00, 0xfe0f) ||
           c == 0xad || c == 0xfeff || c == 0xfffd || c >= 0xe0000;
}

bool typeset_clean(char out[TYPESET_SIZE], struct x402_slice text)
{
    size_t at = 0;
    bool space = false;
    while (text.size > 0) {
        size_t size = x402_utf8_sequence_size((const uint8_t *)text.data, text.size);
        gunichar c = size > 0 ? g_utf8_get_char(text.data) : 0xfffd;
        size_t step = size > 0 ? size : 1;
        if (is_space(c)) {
            space = true;
        } else if (!is_left_out(c)) {
            if (at + size + 2 > TYPESET_SIZE)
                break;
            if (space && at > 0)
                out[at++] = ' ';
            memcpy(out + at, text.data, size);
            at += size;
            space = false;
        }
        text.data += step;
        text.size -= step;
    }
    out[at] = '\0';
    return at > 0;
}

/* By the first letter (UAX #9, rule P2); scripts that are read from right to left. */
bool typeset_is_rtl(const char *text)
{
    gunichar c = 0;
    for (; *text != '\0'; text = g_utf8_find_next_char(text, NULL)) {
        c = g_utf8_get_char(text);
        if (g_unichar_isalpha(c))
            break;
    }
    return is_between(c, 0x590, 0x8ff) || is_between(c, 0xfb1d, 0xfdff) ||
           is_between(c, 0xfe70, 0xfeff) || is_between(c, 0x10800, 0x10fff) ||
           is_between(c, 0x1e800, 0x1efff);
}

/* ----------------------------------------------------------------------- setting */

/* By the tallest of its letters. */
static enum build build_of(const char *text)
{
    enum build build = LOW;
    for (; *text != '\0'; text = g_utf8_find_next_char(text, NULL)) {
        gunichar c = g_utf8_get_char(text);
        if (is_between(c, 0x590, 0x109f) || is_between(c, 0x1200, 0x1cff) ||
            is_between(c, 0xfb1d, 0xfdff) || is_between(c, 0xfe70, 0xfeff))
            return TALL; /* Arabic, Indic and other scripts that stack marks */
        if (is_between(c, 0x1100, 0x11ff) || is_between(c, 0x2e80, 0xd7ff) ||
            is_between(c, 0xf900, 0xfaff) || is_between(c, 0x20000, 0x3ffff))
            build = SQUARE; /* Chinese, Japanese, Korean */
    }
    return build;
}

static PangoLayout *make_layout(PangoContext *context, const char *text,
                                const struct typeset_box *box)
{
    PangoLayout *layout = pango_layout_new(context);
    bool is_against = typeset_is_rtl(text) != box->at_right;
    pango_layout_set_text(layout, text, -1);
    /* To Pango left is where a paragraph begins. */
    pango_layout_set_alignment(layout,
                               is_against ? PANGO_ALIGN_RIGHT : PANGO_ALIGN_LEFT);
    pango_layout_set_wrap(layout, PANGO_WRAP_WORD);
    pango_layout_set_width(layout, pango_units_from_double(box->width));
    return layout;
}

/* Every line gets the same height, whatever fonts its letters come from. */
static void set_font(PangoLayout *layout, enum typeset_face face, double pixels)
{
    const struct face *chosen = &faces[face];
    double height =
        pixels * chosen->line_heights[build_of(pango_layout_get_text(layout))];
    PangoAttrList *attributes = pango_attr_list_new();
    PangoFontDescription *font = pango_font_description_new();
    pango_font_description_set_family_static(font, chosen->families);
    pango_font_description_set_weight(font, chosen->weight);
    pango_font_description_set_absolute_size(font, pixels * PANGO_SCALE);
    pango_layout_set_font_description(layout, font);
    pango_font_description_free(font);
    pango_attr_list_insert(attributes, pango_attr_line_height_new_absolute(
                                           pango_units_from_double(height)));
    /* Where a word must be broken it is often a URL, to which a hyphen would add. */
    pango_attr_list_insert(attributes, pango_attr_insert_hyphens_new(FALSE));
    pango_layout_set_attributes(layout, attributes);
    pango_attr_list_unref(attributes);
}

static bool fits(PangoLayout *layout, const struct typeset_box *box, int lines_max)
{
    int width, height;
    pango_layout_get_size(layout, &width, &height);
    return width <= pango_units_from_double(box->width) &&
           height <= pango_units_from_double(box->height) &&
           pango_layout_get_line_count(layout) <= lines_max;
}

/* Narrows it as far as it keeps its lines: no last line of one word. */
static void balance(PangoLayout *layout)
{
    int lines = pango_layout_get_line_count(layout);
    int wide = pango_layout_get_width(layout);
    int narrow = wide / 3;
    if (lines < 2)
        return;
    while (wide - narrow > 4 * PANGO_SCALE) {
        int middle = narrow + (wide - narrow) / 2, width;
        pango_layout_set_width(layout, middle);
        pango_layout_get_size(layout, &width, NULL);
        if (pango_layout_get_line_count(layout) > lines || width > middle)
            narrow = middle;
        else
            wide = middle;
    }
    pango_layout_set_width(layout, wide);
}

/* As many lines as have a place, the last ending with an ellipsis. False: none has. */
static bool cut(PangoLayout *layout, const struct typeset_box *box, int lines_max)
{
    pango_layout_set_wrap(layout, PANGO_WRAP_WORD_CHAR);
    pango_layout_set_ellipsize(layout, PANGO_ELLIPSIZE_END);
    for (int lines = lines_max; lines > 0; lines--) {
        pango_layout_set_height(layout, -lines);
        if (fits(layout, box, lines))
            return true;
    }
    return false;
}

PangoLayout *typeset(PangoContext *context, const char *text,
                     const struct typeset_box *box, const struct typeset_size *sizes)
{
    PangoLayout *layout = make_layout(context, text, box);
    for (;; sizes++) {
        set_font(layout, box->face, sizes->pixels);
        if (fits(layout, box, sizes->lines_max)) {
            balance(layout);
            return layout;
        }
        if (sizes[1].pixels <= 0)
            break;
    }
    if (cut(layout, box, sizes->lines_max))
        return layout;
    g_object_unref(layout);
    return NULL;
}

PangoContext *typeset_context(PangoFontMap *fonts)
{
    PangoContext *context = pango_font_map_create_context(fonts);
    cairo_font_options_t *options = cairo_font_options_create();
    cairo_font_options_set_hint_style(options, CAIRO_HINT_STYLE_NONE);
    cairo_font_options_set_hint_metrics(options, CAIRO_HINT_METRICS_OFF);
    cairo_font_options_set_antialias(options, CAIRO_ANTIALIAS_GRAY);
    pango_cairo_context_set_font_options(context, options);
    cairo_font_options_destroy(options);
    pango_context_set_round_glyph_positions(context, FALSE);
    pango_context_set_base_dir(context, PANGO_DIRECTION_LTR);
    pango_context_set_language(context, pango_language_from_string("en"));
    return context;
}
