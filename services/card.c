#include "card.h"

#include "palette.h"
#include "pattern.h"
#include "typeset.h"

#include <fontconfig/fontconfig.h>
#include <math.h>
#include <pthread.h>
#include <stdlib.h>
#include <string.h>

#define MARGIN 80.0     /* between the edge and the text */
#define GUTTER 72.0     /* between the text and the pattern */
#define TOP 78.0        /* where the title's letters begin */
#define TEXT_BOTTOM 474 /* where title and subtitle end */
#define TITLE_ALONE_MAX 370
#define TITLE_WITH_SUBTITLE_MAX 290
#define SUBTITLE_GAP 30.0
#define MARK 52.0 /* the side of the square with the initial */
#define MARK_TOP (CARD_HEIGHT - TOP - MARK + 4)
#define PATTERN_WIDTH (PATTERN_COLUMNS * PATTERN_TILE)
#define TEXT_WIDTH (CARD_WIDTH - PATTERN_WIDTH - MARGIN - GUTTER)

static const struct typeset_size title_sizes[] = {{136, 1}, {120, 2}, {104, 3}, {92, 3},
                                                  {80, 3},  {70, 4},  {60, 4},  {52, 4},
                                                  {48, 4},  {0, 0}};
static const struct typeset_size subtitle_sizes[] = {{32, 2}, {29, 3}, {0, 0}};
static const struct typeset_size site_sizes[] = {{28, 1}, {0, 0}};
static const struct typeset_size initial_sizes[] = {{30, 1}, {0, 0}};

static const char *const theme_names[] = {
    [CARD_LIGHT] = "light",   [CARD_DARK] = "dark",   [CARD_COBALT] = "cobalt",
    [CARD_FOREST] = "forest", [CARD_CORAL] = "coral",
};

bool card_theme_find(enum card_theme *out, struct x402_slice name)
{
    for (size_t i = 0; i < sizeof theme_names / sizeof theme_names[0]; i++) {
        if (x402_slice_equal(name, x402_slice_of(theme_names[i]))) {
            *out = (enum card_theme)i;
            return true;
        }
    }
    return false;
}

/* One being drawn. */
struct drawing {
    cairo_t *cairo;
    PangoContext *pango;
    struct palette palette;
    uint64_t seed;
    bool is_rtl; /* everything stands the other way round */
    char title[TYPESET_SIZE], subtitle[TYPESET_SIZE], site[TYPESET_SIZE];
};

/* -------------------------------------------------------------------------- text */

static void set_colour(cairo_t *cairo, const struct colour *colour)
{
    cairo_set_source_rgb(cairo, colour->red, colour->green, colour->blue);
}

static void show(struct drawing *drawing, PangoLayout *layout, double x, double y,
                 const struct colour *colour)
{
    set_colour(drawing->cairo, colour);
    cairo_move_to(drawing->cairo, x, y);
    pango_cairo_show_layout(drawing->cairo, layout);
}

/* Where a box begins that is `inset` from the text's edge. */
static double box_left(const struct drawing *drawing, double inset, double width)
{
    return drawing->is_rtl ? CARD_WIDTH - MARGIN - inset - width : MARGIN + inset;
}

/* Shows a layout so that its letters begin at `top`; returns where its lines end. */
static double show_block(struct drawing *drawing, PangoLayout *layout, double top,
                         const struct colour *colour)
{
    PangoRectangle ink, logical;
    double width = pango_units_to_double(pango_layout_get_width(layout));
    double lift, y;
    pango_layout_line_get_pixel_extents(pango_layout_get_line_readonly(layout, 0), &ink,
                                        &logical);
    lift = ink.y - logical.y;
    y = top - lift;
    show(drawing, layout, box_left(drawing, 0, width), y, colour);
    pango_layout_get_pixel_extents(layout, NULL, &logical);
    return y + logical.height;
}

static double draw_title(struct drawing *drawing)
{
    bool alone = drawing->subtitle[0] == '\0';
    const struct typeset_box box = {.face = TYPESET_DISPLAY,
                                    .width = TEXT_WIDTH,
                                    .height = alone ? TITLE_ALONE_MAX
                                                    : TITLE_WITH_SUBTITLE_MAX,
                                    .at_right = drawing->is_rtl};
    PangoLayout *layout = typeset(drawing->pango, drawing->title, &box, title_sizes);
    double bottom = TOP;
    if (layout == NULL)
        return bottom;
    bottom = show_block(drawing, layout, TOP, &drawing->palette.ink);
    g_object_unref(layout);
    return bottom;
}

static void draw_subtitle(struct drawing *drawing, double top)
{
    const struct typeset_box box = {.face = TYPESET_TEXT,
                                    .width = TEXT_WIDTH,
                                    .height = TEXT_BOTTOM - top,
                                    .at_right = drawing->is_rtl};
    PangoLayout *layout;
    if (drawing->subtitle[0] == '\0' || box.height <= 0)
        return;
    layout = typeset(drawing->pango, drawing->subtitle, &box, subtitle_sizes);
    if (layout == NULL)
        return;
    (void)show_block(drawing, layout, top, &drawing->palette.muted);
    g_object_unref(layout);
}

/* -------------------------------------------------------------------------- site */

static void round_square(cairo_t *cairo, double x, double y, double side, double radius)
{
    const double quarter = acos(-1.0) / 2;
    cairo_new_path(cairo);
    cairo_arc(cairo, x + side - radius, y + radius, radius, -quarter, 0);
    cairo_arc(cairo, x + side - radius, y + side - radius, radius, 0, quarter);
    cairo_arc(cairo, x + radius, y + side - radius, radius, quarter, 2 * quarter);
    cairo_arc(cairo, x + radius, y + radius, radius, 2 * quarter, 3 * quarter);
    cairo_close_path(cairo);
}

/* The first letter of the site, in capitals. */
static void initial_of(char out[8], const char *text)
{
    gunichar letter = g_unichar_toupper(g_utf8_get_char(text));
    out[g_unichar_to_utf8(letter, out)] = '\0';
}

/* A letter in the middle of the mark, by what is seen of it. */
static void draw_initial(struct drawing *drawing, double x, double y)
{
    const struct typeset_box box = {
        .face = TYPESET_DISPLAY, .width = 4 * MARK, .height = 4 * MARK};
    char text[8];
    PangoRectangle ink;
    PangoLayout *layout;
    initial_of(text, drawing->site);
    layout = typeset(drawing->pango, text, &box, initial_sizes);
    if (layout == NULL)
        return;
    pango_layout_set_width(layout, -1);
    pango_layout_get_extents(layout, &ink, NULL);
    x += (MARK - pango_units_to_double(ink.width)) / 2 - pango_units_to_double(ink.x);
    y += (MARK - pango_units_to_double(ink.height)) / 2 - pango_units_to_double(ink.y);
    show(drawing, layout, x, y, &drawing->palette.mark_ink);
    g_object_unref(layout);
}

/* Without a site to name, a disc. */
static void draw_mark(struct drawing *drawing)
{
    double x = box_left(drawing, 0, MARK);
    round_square(drawing->cairo, x, MARK_TOP, MARK, 14);
    set_colour(drawing->cairo, &drawing->palette.mark);
    cairo_fill(drawing->cairo);
    if (drawing->site[0] != '\0') {
        draw_initial(drawing, x, MARK_TOP);
        return;
    }
    set_colour(drawing->cairo, &drawing->palette.mark_ink);
    cairo_arc(drawing->cairo, x + MARK / 2, MARK_TOP + MARK / 2, MARK / 5, 0, 7);
    cairo_fill(drawing->cairo);
}

static void draw_site(struct drawing *drawing)
{
    const double inset = MARK + 18;
    const struct typeset_box box = {.face = TYPESET_NAME,
                                    .width = TEXT_WIDTH - inset,
                                    .height = MARK,
                                    .at_right = drawing->is_rtl};
    PangoLayout *layout;
    PangoRectangle logical;
    draw_mark(drawing);
    if (drawing->site[0] == '\0')
        return;
    layout = typeset(drawing->pango, drawing->site, &box, site_sizes);
    if (layout == NULL)
        return;
    pango_layout_get_pixel_extents(layout, NULL, &logical);
    show(drawing, layout, box_left(drawing, inset, box.width),
         MARK_TOP + (MARK - logical.height) / 2, &drawing->palette.ink);
    g_object_unref(layout);
}

/* -------------------------------------------------------------------------- card */

static bool begin(struct drawing *drawing, const struct card *card)
{
    struct x402_slice look = card->site.size > 0 ? card->site : card->title;
    (void)typeset_clean(drawing->subtitle, card->subtitle);
    (void)typeset_clean(drawing->site, card->site);
    if (!typeset_clean(drawing->title, card->title))
        return false;
    drawing->is_rtl = typeset_is_rtl(drawing->title);
    palette_make(&drawing->palette, card->theme, palette_seed(look));
    drawing->seed = palette_seed(card->title) + 3 * palette_seed(look);
    return true;
}

static void draw(struct drawing *drawing)
{
    double x = drawing->is_rtl ? 0 : CARD_WIDTH - PATTERN_WIDTH;
    set_colour(drawing->cairo, &drawing->palette.ground);
    cairo_paint(drawing->cairo);
    pattern_draw(drawing->cairo, x, &drawing->palette, drawing->seed);
    draw_subtitle(drawing, draw_title(drawing) + SUBTITLE_GAP);
    draw_site(drawing);
}

struct buffer {
    char *data;
    size_t size, capacity;
};

static cairo_status_t append(void *closure, const unsigned char *data, unsigned size)
{
    struct buffer *buffer = closure;
    if (buffer->size + size > buffer->capacity) {
        size_t capacity = 2 * (buffer->size + size);
        char *larger = realloc(buffer->data, capacity);
        if (larger == NULL)
            return CAIRO_STATUS_NO_MEMORY;
        buffer->data = larger;
        buffer->capacity = capacity;
    }
    memcpy(buffer->data + buffer->size, data, size);
    buffer->size += size;
    return CAIRO_STATUS_SUCCESS;
}

/*
 * The fonts are read once and kept: a font map of each thread's own would look for them
 * anew for every card, since a connection is a thread. Hence the lock.
 */
static pthread_mutex_t fonts_lock = PTHREAD_MUTEX_INITIALIZER;
static PangoFontMap *fonts;

static void draw_with_fonts(struct drawing *drawing)
{
    pthread_mutex_lock(&fonts_lock);
    if (fonts == NULL)
        fonts = pango_cairo_font_map_new();
    drawing->pango = typeset_context(fonts);
    draw(drawing);
    g_object_unref(drawing->pango);
    pthread_mutex_unlock(&fonts_lock);
}

void card_close(void)
{
    if (fonts == NULL)
        return;
    g_object_unref(fonts);
    fonts = NULL;
    FcFini();
}

enum card_result card_draw(char **png, size_t *size, const struct card *card)
{
    struct drawing *drawing = calloc(1, sizeof *drawing);
    struct buffer buffer = {0};
    cairo_surface_t *surface;
    cairo_status_t status;
    if (drawing == NULL || !begin(drawing, card)) {
        bool failed = drawing == NULL;
        free(drawing);
        return failed ? CARD_FAILED : CARD_NO_TITLE;
    }
    surface = cairo_image_surface_create(CAIRO_FORMAT_RGB24, CARD_WIDTH, CARD_HEIGHT);
    drawing->cairo = cairo_create(surface);
    draw_with_fonts(drawing);
    status = cairo_status(drawing->cairo);
    cairo_destroy(drawing->cairo);
    free(drawing);
    if (status == CAIRO_STATUS_SUCCESS)
        status = cairo_surface_write_to_png_stream(surface, append, &buffer);
    cairo_surface_destroy(surface);
    if (status != CAIRO_STATUS_SUCCESS) {
        free(buffer.data);
        return CARD_FAILED;
    }
    *png = buffer.data;
    *size = buffer.size;
    return CARD_OK;
}
