/* The pattern of a card: a grid of squares, each with a piece of a circle in it. */
#ifndef X402_SERVICES_PATTERN_H
#define X402_SERVICES_PATTERN_H

#include "palette.h"

#include <cairo.h>

#define PATTERN_TILE 126 /* the side of a square: a fifth of a card's height */
#define PATTERN_COLUMNS 2
#define PATTERN_ROWS 5

/* Draws it from (x, 0) on. One seed, one pattern. */
void pattern_draw(cairo_t *cairo, double x, const struct palette *palette,
                  uint64_t seed);

#endif
