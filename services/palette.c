#include "palette.h"

#include <math.h>
#include <stddef.h>

/*
 * A colour in Oklab's polar form (https://bottosson.github.io/posts/oklab/): colours of
 * one lightness look equally light whatever their hue, so a hue can be exchanged
 * without spoiling a contrast.
 */
struct oklch {
    double lightness, chroma, hue; /* 0 to 1, 0 to 0.4, degrees */
};

/* What a theme is made of; hues of HASHED count from the seed's. */
struct scheme {
    bool hashed;
    struct oklch ground, ink, muted, mark, mark_ink, tiles[PALETTE_TILES];
};

static const struct scheme schemes[] = {
    [CARD_LIGHT] = {.hashed = true,
                    .ground = {0.985, 0.006, 0},
                    .ink = {0.22, 0.03, 0},
                    .muted = {0.48, 0.03, 0},
                    .mark = {0.525, 0.18, 0},
                    .mark_ink = {0.99, 0, 0},
                    .tiles = {{0.525, 0.18, 0},
                              {0.32, 0.10, 0},
                              {0.91, 0.05, 0},
                              {0.82, 0.13, 55},
                              {0.75, 0.12, -25}}},
    [CARD_DARK] = {.hashed = true,
                   .ground = {0.185, 0.013, 0},
                   .ink = {0.975, 0.006, 0},
                   .muted = {0.76, 0.025, 0},
                   .mark = {0.72, 0.16, 0},
                   .mark_ink = {0.18, 0.03, 0},
                   .tiles = {{0.66, 0.17, 0},
                             {0.42, 0.12, 0},
                             {0.28, 0.05, 0},
                             {0.84, 0.13, 55},
                             {0.55, 0.15, -25}}},
    [CARD_COBALT] = {.ground = {0.40, 0.185, 264},
                     .ink = {0.99, 0.005, 264},
                     .muted = {0.88, 0.045, 264},
                     .mark = {0.90, 0.165, 98},
                     .mark_ink = {0.28, 0.12, 264},
                     .tiles = {{0.55, 0.19, 262},
                               {0.30, 0.14, 266},
                               {0.82, 0.09, 240},
                               {0.90, 0.165, 98},
                               {0.68, 0.15, 250}}},
    [CARD_FOREST] = {.ground = {0.31, 0.062, 162},
                     .ink = {0.975, 0.02, 110},
                     .muted = {0.84, 0.04, 130},
                     .mark = {0.87, 0.15, 115},
                     .mark_ink = {0.27, 0.06, 160},
                     .tiles = {{0.48, 0.10, 158},
                               {0.24, 0.045, 165},
                               {0.87, 0.15, 115},
                               {0.72, 0.13, 145},
                               {0.78, 0.14, 70}}},
    [CARD_CORAL] = {.ground = {0.74, 0.155, 35},
                    .ink = {0.20, 0.05, 25},
                    .muted = {0.34, 0.08, 28},
                    .mark = {0.24, 0.06, 20},
                    .mark_ink = {0.95, 0.04, 75},
                    .tiles = {{0.62, 0.20, 28},
                              {0.30, 0.09, 15},
                              {0.95, 0.04, 75},
                              {0.86, 0.10, 60},
                              {0.48, 0.15, 20}}},
};

/* Hues that are good at any lightness; the muddy greens and yellows are left out. */
static const double hues[] = {22, 42, 165, 180, 205, 235, 258, 275, 298, 325, 355};

uint64_t palette_seed(struct x402_slice text)
{
    uint64_t hash = UINT64_C(0xcbf29ce484222325); /* FNV-1a, and a final mix */
    for (size_t i = 0; i < text.size; i++)
        hash = (hash ^ (unsigned char)text.data[i]) * UINT64_C(0x100000001b3);
    hash ^= hash >> 32;
    hash *= UINT64_C(0x9fb21c651e98df25);
    return hash ^ (hash >> 28);
}

/* -------------------------------------------------------------------- conversion */

static void linear_of(double out[3], const struct oklch *colour)
{
    const double radians = colour->hue * acos(-1.0) / 180;
    const double a = colour->chroma * cos(radians);
    const double b = colour->chroma * sin(radians);
    const double l = pow(colour->lightness + 0.3963377774 * a + 0.2158037573 * b, 3);
    const double m = pow(colour->lightness - 0.1055613458 * a - 0.0638541728 * b, 3);
    const double s = pow(colour->lightness - 0.0894841775 * a - 1.2914855480 * b, 3);
    out[0] = 4.0767416621 * l - 3.3077115913 * m + 0.2309699292 * s;
    out[1] = -1.2684380046 * l + 2.6097574011 * m - 0.3413193965 * s;
    out[2] = -0.0041960863 * l - 0.7034186147 * m + 1.7076147010 * s;
}

static bool is_shown(const double linear[3])
{
    for (int i = 0; i < 3; i++) {
        if (linear[i] < -0.0005 || linear[i] > 1.0005)
            return false;
    }
    return true;
}

/* The transfer function of sRGB (IEC 61966-2-1). */
static double encode(double linear)
{
    double x = linear < 0 ? 0 : linear > 1 ? 1 : linear;
    return x <= 0.0031308 ? 12.92 * x : 1.055 * pow(x, 1 / 2.4) - 0.055;
}

/* The nearest that a screen shows: paler, of the same hue and lightness. */
static struct colour colour_of(struct oklch colour, double hue)
{
    double linear[3];
    colour.hue += hue;
    for (linear_of(linear, &colour); !is_shown(linear) && colour.chroma > 0.001;
         linear_of(linear, &colour))
        colour.chroma *= 0.96;
    return (struct colour){encode(linear[0]), encode(linear[1]), encode(linear[2])};
}

void palette_make(struct palette *out, enum card_theme theme, uint64_t seed)
{
    const struct scheme *scheme = &schemes[theme];
    double hue = scheme->hashed ? hues[seed % (sizeof hues / sizeof hues[0])] : 0;
    out->ground = colour_of(scheme->ground, hue);
    out->ink = colour_of(scheme->ink, hue);
    out->muted = colour_of(scheme->muted, hue);
    out->mark = colour_of(scheme->mark, hue);
    out->mark_ink = colour_of(scheme->mark_ink, hue);
    for (size_t i = 0; i < PALETTE_TILES; i++)
        out->tiles[i] = colour_of(scheme->tiles[i], hue);
}
