/*
 * Cards: the 1200x630 image with which a link is shown (OpenGraph). Set by Pango in
 * Inter, with other scripts in Noto and WenQuanYi; drawn by Cairo. What is said and
 * where it comes from decides the colours and the pattern, so one site has one look.
 */
#ifndef X402_SERVICES_CARD_H
#define X402_SERVICES_CARD_H

#include <x402/bytes.h>

#include <stdbool.h>

#define CARD_WIDTH 1200
#define CARD_HEIGHT 630

enum card_theme { CARD_LIGHT, CARD_DARK, CARD_COBALT, CARD_FOREST, CARD_CORAL };

#define CARD_THEMES "light, dark, cobalt, forest, coral"

/* Text is UTF-8 of any length and script; what has no place ends in an ellipsis. */
struct card {
    struct x402_slice title;
    struct x402_slice subtitle; /* may be empty */
    struct x402_slice site;     /* may be empty */
    enum card_theme theme;
};

enum card_result {
    CARD_OK,
    CARD_NO_TITLE, /* nothing of it can be drawn: it is blank, or emoji alone */
    CARD_FAILED,   /* no memory */
};

/* False, with *out unwritten, when there is no theme of this name. */
bool card_theme_find(enum card_theme *out, struct x402_slice name);

/*
 * Draws a card as a PNG: *png is malloc'ed, the caller's. Any thread; one card is drawn
 * at a time, in some 60 ms.
 */
enum card_result card_draw(char **png, size_t *size, const struct card *card);

/* Frees the fonts, after the last card. */
void card_close(void);

#endif
