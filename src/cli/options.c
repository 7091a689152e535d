/* Options of the command line: parsing by table, and the values several commands take.
 */
#include "cli/cli.h"

#include <string.h>

/* ----------------------------------------------------------------------- nearest */

#define WORD_MAX 32

static size_t smallest(size_t a, size_t b, size_t c)
{
    size_t ab = a < b ? a : b;
    return ab < c ? ab : c;
}

/* Levenshtein's distance; words beyond WORD_MAX are as far as can be. */
static size_t distance(const char *a, const char *b)
{
    size_t row[WORD_MAX + 1];
    size_t a_size = strlen(a), b_size = strlen(b);
    if (a_size > WORD_MAX || b_size > WORD_MAX)
        return WORD_MAX;
    for (size_t j = 0; j <= b_size; j++)
        row[j] = j;
    for (size_t i = 1; i <= a_size; i++) {
        size_t diagonal = row[0];
        row[0] = i;
        for (size_t j = 1; j <= b_size; j++) {
            size_t above = row[j];
            size_t swap = diagonal + (a[i - 1] != b[j - 1]);
            row[j] = smallest(swap, above + 1, row[j - 1] + 1);
            diagonal = above;
        }
    }
    return row[b_size];
}

const char *x402_cli_nearest(const char *const *table, const char *word)
{
    const char *nearest = NULL;
    size_t best = strlen(word) / 3 + 2; /* farther is no likeness */
    for (; *table != NULL; table++) {
        size_t d = distance(*table, word);
        if (strncmp(*table, word, strlen(word)) == 0 && word[0] != '\0')
            d = 0; /* the beginning of it */
        if (d < best) {
            best = d;
            nearest = *table;
        }
    }
    return nearest;
}

/* ----------------------------------------------------------------------- parsing */

struct parser {
    struct x402_arguments *arguments;
    int argc, next;
    char **argv;
    uint64_t seen; /* a bit per option of the table */
    bool help;
};

#define OPTIONS_MAX 63

static const struct x402_option *find_long(const struct x402_option *options,
                                           const char *name, size_t name_size)
{
    for (; options->name != NULL; options++) {
        if (strlen(options->name) == name_size &&
            memcmp(options->name, name, name_size) == 0)
            return options;
    }
    return NULL;
}

static const struct x402_option *find_letter(const struct x402_option *options,
                                             char letter)
{
    for (; options->name != NULL; options++) {
        if (options->letter != 0 && options->letter == letter)
            return options;
    }
    return NULL;
}

static bool refuse_unknown(const struct parser *parser, const char *name,
                           size_t name_size)
{
    const char *names[OPTIONS_MAX + 2];
    char typed[WORD_MAX + 1];
    size_t count = 0;
    const struct x402_option *option = parser->arguments->options;
    for (; option->name != NULL && count < OPTIONS_MAX; option++)
        names[count++] = option->name;
    names[count++] = "help";
    names[count] = NULL;
    snprintf(typed, sizeof typed, "%.*s", (int)(name_size & 0xffff), name);
    const char *nearest = x402_cli_nearest(names, typed);
    if (nearest != NULL)
        x402_cli_usage_error(parser->argv[0], "no option --%s: did you mean --%s?",
                             typed, nearest);
    else
        x402_cli_usage_error(parser->argv[0], "no option --%s", typed);
    return false;
}

/* Writes one option's value. `value` is NULL for a flag. */
static bool store(struct parser *parser, const struct x402_option *option,
                  const char *value)
{
    switch (option->kind) {
    case X402_OPTION_FLAG:
        *(bool *)option->value = true;
        return true;
    case X402_OPTION_TEXT: {
        uint64_t bit = UINT64_C(1) << (option - parser->arguments->options);
        if (parser->seen & bit) {
            x402_cli_usage_error(parser->argv[0], "--%s is given twice", option->name);
            return false;
        }
        parser->seen |= bit;
        *(const char **)option->value = value;
        return true;
    }
    case X402_OPTION_LIST: {
        struct x402_option_list *list = option->value;
        if (list->count == X402_OPTION_LIST_MAX) {
            x402_cli_usage_error(parser->argv[0], "--%s is given more than %d times",
                                 option->name, X402_OPTION_LIST_MAX);
            return false;
        }
        list->items[list->count++] = value;
        return true;
    }
    }
    return false;
}

/* An option's value when it is not attached: the next word. */
static bool take_value(struct parser *parser, const struct x402_option *option,
                       const char **value)
{
    if (parser->next >= parser->argc) {
        x402_cli_usage_error(parser->argv[0], "--%s needs a value", option->name);
        return false;
    }
    *value = parser->argv[parser->next++];
    return true;
}

static bool parse_long(struct parser *parser, const char *text)
{
    const char *equals = strchr(text, '=');
    size_t name_size = equals ? (size_t)(equals - text) : strlen(text);
    const struct x402_option *option =
        find_long(parser->arguments->options, text, name_size);
    const char *value = equals ? equals + 1 : NULL;
    if (option == NULL)
        return refuse_unknown(parser, text, name_size);
    if (option->kind == X402_OPTION_FLAG && value != NULL) {
        x402_cli_usage_error(parser->argv[0], "--%s takes no value", option->name);
        return false;
    }
    if (option->kind != X402_OPTION_FLAG && value == NULL &&
        !take_value(parser, option, &value))
        return false;
    return store(parser, option, value);
}

/* -X POST, -XPOST; flags one by one. */
static bool parse_letter(struct parser *parser, const char *text)
{
    const struct x402_option *option = find_letter(parser->arguments->options, text[0]);
    const char *value = text[1] != '\0' ? text + 1 : NULL;
    if (option == NULL) {
        x402_cli_usage_error(parser->argv[0], "no option -%c", text[0]);
        return false;
    }
    if (option->kind == X402_OPTION_FLAG && value != NULL) {
        x402_cli_usage_error(parser->argv[0], "-%c takes no value", text[0]);
        return false;
    }
    if (option->kind != X402_OPTION_FLAG && value == NULL &&
        !take_value(parser, option, &value))
        return false;
    return store(parser, option, value);
}

static bool take_word(struct parser *parser, const char *word)
{
    struct x402_arguments *arguments = parser->arguments;
    if (arguments->words_count == arguments->words_max) {
        x402_cli_usage_error(parser->argv[0], "'%s' is one word too many", word);
        return false;
    }
    arguments->words[arguments->words_count++] = word;
    return true;
}

static bool parse_words(struct parser *parser)
{
    bool options_end = false;
    while (parser->next < parser->argc && !parser->help) {
        const char *word = parser->argv[parser->next++];
        bool fine;
        if (options_end || word[0] != '-' || word[1] == '\0')
            fine = take_word(parser, word);
        else if (strcmp(word, "--") == 0)
            fine = options_end = true;
        else if (strcmp(word, "--help") == 0 || strcmp(word, "-h") == 0)
            fine = parser->help = true;
        else if (word[1] == '-')
            fine = parse_long(parser, word + 2);
        else
            fine = parse_letter(parser, word + 1);
        if (!fine)
            return false;
    }
    return true;
}

enum x402_parsed x402_cli_parse(struct x402_arguments *arguments, int argc, char **argv)
{
    struct parser parser = {arguments, argc, 1, argv, 0, false};
    arguments->words_count = 0;
    if (!parse_words(&parser))
        return X402_PARSED_WRONG;
    if (parser.help) {
        fputs(arguments->help, stdout);
        return X402_PARSED_HELP;
    }
    if (arguments->words_count < arguments->words_min) {
        x402_cli_usage_error(argv[0], "%s is missing",
                             arguments->words_names[arguments->words_count]);
        return X402_PARSED_WRONG;
    }
    return X402_PARSED_RUN;
}

/* ------------------------------------------------------------------------ values */

bool x402_cli_number(uint64_t *out, const char *text, uint64_t min, uint64_t max)
{
    uint64_t number = 0;
    if (*text == '\0')
        return false;
    for (; *text != '\0'; text++) {
        if (*text < '0' || *text > '9')
            return false;
        uint64_t digit = (uint64_t)(*text - '0');
        if (number > (UINT64_MAX - digit) / 10)
            return false;
        number = number * 10 + digit;
    }
    if (number < min || number > max)
        return false;
    *out = number;
    return true;
}

bool x402_cli_is_http_url(const char *text)
{
    size_t scheme = 0;
    if (strncmp(text, "http://", 7) == 0)
        scheme = 7;
    else if (strncmp(text, "https://", 8) == 0)
        scheme = 8;
    if (scheme == 0 || strchr("/?#:", text[scheme]) != NULL)
        return false;
    for (; *text != '\0'; text++) {
        if ((unsigned char)*text <= ' ' || *text == 0x7f)
            return false;
    }
    return true;
}

/* A chain that is not built in is known by its number alone. */
static bool network_of_name(struct x402_network *out, struct x402_slice name)
{
    uint64_t chain_id;
    if (x402_network_find(out, name) == X402_OK)
        return true;
    if (x402_caip2_decode(&chain_id, name) != X402_OK)
        return false;
    memset(out, 0, sizeof *out);
    out->chain_id = chain_id;
    return true;
}

enum x402_error x402_cli_rpc_decode(struct x402_rpc_option *out, const char **why,
                                    const char *text)
{
    const char *equals = strchr(text, '=');
    struct x402_network network;
    if (equals == NULL) {
        *why = "write NETWORK=URL, like base-sepolia=https://sepolia.base.org";
        return X402_ERR_CONFIG;
    }
    if (!network_of_name(&network,
                         (struct x402_slice){text, (size_t)(equals - text)})) {
        *why = "the network is a name like base-sepolia or an id like eip155:84532";
        return X402_ERR_CONFIG;
    }
    if (!x402_cli_is_http_url(equals + 1)) {
        *why = "the node's URL starts with http:// or https://";
        return X402_ERR_CONFIG;
    }
    out->network = network;
    out->url = equals + 1;
    return X402_OK;
}
