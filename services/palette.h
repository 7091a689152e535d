/* The colours of a card. Pure; any thread. */
#ifndef X402_SERVICES_PALETTE_H
#define X402_SERVICES_PALETTE_H

#include "card.h"

#include <stdint.h>

struct colour {
    double red, green, blue; /* sRGB, 0 to 1 */
};

#define PALETTE_TILES 5

struct palette {
    struct colour ground, ink, muted;
    struct colour mark, mark_ink;       /* the square with the site's initial */
    struct colour tiles[PALETTE_TILES]; /* of the pattern; any two may touch */
};

/* A number that stands for a text. */
uint64_t palette_seed(struct x402_slice text);

/* The colours of a theme; in light and dark the seed chooses the hue. */
void palette_make(struct palette *out, enum card_theme theme, uint64_t seed);

#endif
