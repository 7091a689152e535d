#include "pattern.h"

#include <math.h>
#include <stddef.h>

#define TILE ((double)PATTERN_TILE)
#define QUARTER (acos(-1.0) / 2)

/* splitmix64: small, and good for all bits of the seed. */
static uint64_t next(uint64_t *state)
{
    uint64_t z = *state += UINT64_C(0x9e3779b97f4a7c15);
    z = (z ^ (z >> 30)) * UINT64_C(0xbf58476d1ce4e5b9);
    z = (z ^ (z >> 27)) * UINT64_C(0x94d049bb133111eb);
    return z ^ (z >> 31);
}

static unsigned choose(uint64_t *state, unsigned count)
{
    return (unsigned)(next(state) % count);
}

/* ------------------------------------------------------------------------ shapes */

/* Each draws in the square from (-1, -1) to (1, 1), whose corners are turned about. */

static void quarter(cairo_t *cairo)
{
    cairo_move_to(cairo, -1, -1);
    cairo_arc(cairo, -1, -1, 2, 0, QUARTER);
    cairo_close_path(cairo);
}

static void half(cairo_t *cairo)
{
    cairo_arc(cairo, 0, -1, 1, 0, 2 * QUARTER);
    cairo_close_path(cairo);
}

static void leaf(cairo_t *cairo)
{
    cairo_arc(cairo, -1, 1, 2, -QUARTER, 0);
    cairo_arc(cairo, 1, -1, 2, QUARTER, 2 * QUARTER);
    cairo_close_path(cairo);
}

static void disc(cairo_t *cairo)
{
    cairo_arc(cairo, 0, 0, 0.52, 0, 4 * QUARTER);
}

static void triangle(cairo_t *cairo)
{
    cairo_move_to(cairo, -1, -1);
    cairo_line_to(cairo, 1, -1);
    cairo_line_to(cairo, -1, 1);
    cairo_close_path(cairo);
}

/* A quarter ring: what is left of a quarter when a smaller one is taken out. */
static void ring(cairo_t *cairo)
{
    cairo_arc(cairo, -1, -1, 2, 0, QUARTER);
    cairo_arc_negative(cairo, -1, -1, 1, QUARTER, 0);
    cairo_close_path(cairo);
}

typedef void shape(cairo_t *cairo);

/* The more often, the more likely. */
static shape *const shapes[] = {quarter, quarter, quarter, half,    half,
                                leaf,    ring,    disc,    triangle};

/* ------------------------------------------------------------------------- tiles */

static void set_colour(cairo_t *cairo, const struct colour *colour)
{
    cairo_set_source_rgb(cairo, colour->red, colour->green, colour->blue);
}

static void draw_tile(cairo_t *cairo, double x, double y, const struct palette *palette,
                      uint64_t *state)
{
    unsigned ground = choose(state, PALETTE_TILES);
    unsigned figure = (ground + 1 + choose(state, PALETTE_TILES - 1)) % PALETTE_TILES;
    unsigned which = choose(state, sizeof shapes / sizeof shapes[0]);
    unsigned turns = choose(state, 4);
    cairo_save(cairo);
    cairo_rectangle(cairo, x, y, TILE, TILE);
    set_colour(cairo, &palette->tiles[ground]);
    cairo_fill_preserve(cairo);
    cairo_clip(cairo);
    cairo_translate(cairo, x + TILE / 2, y + TILE / 2);
    cairo_scale(cairo, TILE / 2, TILE / 2);
    cairo_rotate(cairo, turns * QUARTER);
    cairo_new_path(cairo);
    shapes[which](cairo);
    set_colour(cairo, &palette->tiles[figure]);
    cairo_fill(cairo);
    cairo_restore(cairo);
}

void pattern_draw(cairo_t *cairo, double x, const struct palette *palette,
                  uint64_t seed)
{
    for (int column = 0; column < PATTERN_COLUMNS; column++) {
        for (int row = 0; row < PATTERN_ROWS; row++)
            draw_tile(cairo, x + column * TILE, row * TILE, palette, &seed);
    }
}
