#include "core/text.h"

#include <x402/error.h>

#include <assert.h>

struct entry {
    const char *symbol;
    const char *reason;
    const char *reason_v1;
    const char *title;
    int status;
};

static const struct entry entries[X402_ERROR_COUNT] = {
#define ENTRY(symbol, reason, reason_v1, status, title)                                \
    [X402_##symbol] = {"X402_" #symbol, (reason), (reason_v1), (title), (status)},
    X402_ERRORS(ENTRY)
#undef ENTRY
};

static const struct entry *entry_of(enum x402_error error)
{
    assert((unsigned)error < X402_ERROR_COUNT);
    return &entries[error];
}

const char *x402_error_symbol(enum x402_error error)
{
    return entry_of(error)->symbol;
}

const char *x402_error_reason(enum x402_error error)
{
    return entry_of(error)->reason;
}

const char *x402_error_reason_v1(enum x402_error error)
{
    return entry_of(error)->reason_v1;
}

const char *x402_error_title(enum x402_error error)
{
    return entry_of(error)->title;
}

int x402_error_status(enum x402_error error)
{
    return entry_of(error)->status;
}

static void put_member(struct x402_text *text, const char *name, const char *value)
{
    if (value == NULL || value[0] == '\0')
        return;
    x402_text_put_string(text, ",\"");
    x402_text_put_string(text, name);
    x402_text_put_string(text, "\":\"");
    x402_text_put_escaped(text, x402_slice_of(value), X402_INVALID_REPLACED);
    x402_text_put_string(text, "\"");
}

static void put_known_members(struct x402_text *text,
                              const struct x402_problem *problem)
{
    x402_text_put_string(text, "{\"type\":\"about:blank\"");
    put_member(text, "title", x402_error_title(problem->error));
    if (x402_error_status(problem->error) != 0) {
        x402_text_put_string(text, ",\"status\":");
        x402_text_put_decimal(text, (uint64_t)x402_error_status(problem->error));
    }
    put_member(text, "code", x402_error_reason(problem->error));
    put_member(text, "field", problem->field);
    put_member(text, "expected", problem->expected);
}

/* The detail is somebody else's text: what passes the limit is cut. */
static bool put_detail(struct x402_text *text, const char *detail)
{
    static const struct x402_slice opening = X402_SLICE(",\"detail\":\"");
    static const size_t closing_size = sizeof "\"}" - 1;

    if ((size_t)(text->end - text->at) < opening.size + closing_size)
        return false;
    x402_text_put(text, opening);

    struct x402_text inside = *text;
    inside.end -= closing_size;
    x402_text_put_escaped(&inside, x402_slice_of(detail), X402_INVALID_REPLACED);
    text->at = inside.at;
    x402_text_put_string(text, "\"");
    return !inside.overflow;
}

size_t x402_problem_encode(char *out, size_t out_max,
                           const struct x402_problem *problem, const char *detail)
{
    bool limited = out_max < X402_PROBLEM_SIZE_MAX;
    struct x402_text text =
        x402_text_init(out, limited ? out_max : X402_PROBLEM_SIZE_MAX);

    put_known_members(&text, problem);
    if (detail != NULL && detail[0] != '\0' && !text.overflow &&
        !put_detail(&text, detail) && limited)
        return 0;
    x402_text_put_string(&text, "}");
    return text.overflow ? 0 : x402_text_size(&text);
}
