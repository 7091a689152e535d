/* /api/og?url=… or ?title=…: the image with which a link is shown. */
#include "card.h"
#include "visit.h"

#define TEXT_MAX 2000 /* bytes of an argument; the card shows what it has room for */

/* A text of the card: an argument, or else what the page says. */
static struct x402_slice text_of(const struct service_request *request,
                                 const char *name, const char *of_page)
{
    struct x402_slice text;
    if (service_argument(&text, request, name))
        return text;
    return x402_slice_of(of_page != NULL ? of_page : "");
}

static void answer_card(struct service_answer *answer, const struct card *card)
{
    char *png;
    size_t size;
    switch (card_draw(&png, &size, card)) {
    case CARD_OK:
        service_answer_bytes(answer, "image/png", png, size);
        break;
    case CARD_NO_TITLE:
        service_answer_problem(answer, 400,
                               "The title has no letter that can be drawn");
        break;
    case CARD_FAILED:
        service_answer_problem(answer, 500, "The card cannot be drawn");
        break;
    }
}

/* `page` has NULLs where no page was asked for. */
static void answer_page(struct service_answer *answer,
                        const struct service_request *request, const struct page *page,
                        enum card_theme theme)
{
    struct card card = {.title = text_of(request, "title", page->title),
                        .subtitle = text_of(request, "subtitle", page->description),
                        .site = text_of(request, "site", page->site),
                        .theme = theme};
    if (card.title.size == 0) /* a page without one is its site's */
        card.title = card.site;
    answer_card(answer, &card);
}

static bool is_too_long(const struct service_request *request)
{
    static const char *const names[] = {"title", "subtitle", "site"};
    for (size_t i = 0; i < sizeof names / sizeof names[0]; i++) {
        if (text_of(request, names[i], NULL).size > TEXT_MAX)
            return true;
    }
    return false;
}

/* False when the arguments make no card, and then this is answered. */
static bool check_arguments(enum card_theme *theme, bool *has_url,
                            struct x402_slice *url, struct service_answer *answer,
                            const struct service_request *request)
{
    struct x402_slice name;
    *has_url = service_argument(url, request, "url");
    *theme = CARD_LIGHT;
    if (!*has_url && !service_argument(&name, request, "title"))
        service_answer_problem(answer, 400,
                               "Give a page, ?url=…, or a text, ?title=…&subtitle=…");
    else if (service_argument(&name, request, "theme") && !card_theme_find(theme, name))
        service_answer_problem(answer, 400, "There are these themes: " CARD_THEMES);
    else if (is_too_long(request))
        service_answer_problem(answer, 413, "A text is longer than 2000 bytes");
    else
        return true;
    return false;
}

void service_og(struct service_answer *answer, const struct service_request *request,
                const struct services_config *config)
{
    struct page page = {0};
    struct x402_slice url;
    char found_at[FETCH_URL_MAX];
    enum card_theme theme;
    bool has_url;
    (void)config;
    if (!check_arguments(&theme, &has_url, &url, answer, request))
        return;
    if (!has_url) {
        answer_page(answer, request, &page, theme);
    } else if (visit(&page, found_at, answer, url)) {
        answer_page(answer, request, &page, theme);
        page_free(&page);
    }
}
