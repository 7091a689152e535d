/*
 * Setting a text of any script into a box, over Pango. Text is never read as markup,
 * and the fonts that are looked for are always the same. One thread at a time.
 */
#ifndef X402_SERVICES_TYPESET_H
#define X402_SERVICES_TYPESET_H

#include <x402/bytes.h>

#include <pango/pangocairo.h>
#include <stdbool.h>

#define TYPESET_SIZE 1200 /* bytes of a clean text, with the zero */

/*
 * Writes what can be drawn of a text: white space and controls become one space between
 * words; emoji, private characters and what is not UTF-8 are left out, since they would
 * show as boxes; too long a text is cut. False when nothing is left.
 */
bool typeset_clean(char out[TYPESET_SIZE], struct x402_slice text);

/* Whether a clean text is read from right to left. */
bool typeset_is_rtl(const char *text);

enum typeset_face { TYPESET_DISPLAY, TYPESET_TEXT, TYPESET_NAME };

struct typeset_box {
    enum typeset_face face;
    double width;  /* pixels */
    double height; /* what it may take of them */
    bool at_right; /* the edge that lines keep to */
};

/* A size of the type, and how many lines it may take; a list ends with pixels 0. */
struct typeset_size {
    double pixels;
    int lines_max;
};

/*
 * Sets a clean text in the first of `sizes` in which all of it fits without breaking a
 * word; else in the last, ending with an ellipsis. The lines are made about equally
 * long. NULL when not even one line of the last has a place. g_object_unref it.
 */
PangoLayout *typeset(PangoContext *context, const char *text,
                     const struct typeset_box *box, const struct typeset_size *sizes);

/* A context with the settings of a card; g_object_unref it. */
PangoContext *typeset_context(PangoFontMap *fonts);

#endif
