/*
 * Any JSON as what the APIs answer that the services ask, Claude's and embeddings': the
 * service answers JSON of its own, with nothing in it but text. The first byte says who
 * is asked.
 */
#include "check.h"
#include "json_mutator.h"

#include "services/api.h"
#include "services/claude.h"
#include "services/embed.h"
#include "services/http.h"
#include "services/visit.h"

#include <x402/bytes.h>

/* The next answer of the API that is asked. */
static struct x402_slice next_answer;

/* Instead of the ones that speak to the network. */
enum api_result api_post(struct api_reply *reply, const struct api_request *request)
{
    check(json_is_object(request->body), "a question");
    *reply = (struct api_reply){
        .json = json_loadb(next_answer.data, next_answer.size, 0, NULL)};
    return json_is_object(reply->json) ? API_OK : API_FAILED;
}

bool visit(struct page *page, char found_at[FETCH_URL_MAX],
           struct service_answer *answer, struct x402_slice url)
{
    static char text[] = "A page. It says something. It says more. And that is all.";

    (void)answer;
    (void)url;
    *page =
        (struct page){strdup("A title"), strdup(""), strdup("a.example"), strdup(text)};
    snprintf(found_at, FETCH_URL_MAX, "https://a.example/");
    return true;
}

bool service_argument(struct x402_slice *out, const struct service_request *request,
                      const char *name)
{
    (void)request;
    (void)name;
    *out = x402_slice_of("https://a.example/");
    return true;
}

void service_answer_problem(struct service_answer *answer, unsigned status,
                            const char *detail)
{
    check(status >= 400 && detail[0] != '\0', "a problem");
    answer->status = status;
}

void service_answer_json(struct service_answer *answer, unsigned status, json_t *value)
{
    char *text = json_dumps(value, JSON_COMPACT);

    check(text != NULL, "an answer that can be written");
    free(text);
    json_decref(value);
    answer->status = status;
}

static void ask_directly(const struct services_api *api)
{
    struct claude_question question = {"system", X402_SLICE("question"), 10};
    struct claude_answer answer;
    struct embed_reply reply;
    enum claude_result result = claude_ask(&answer, api, &question);

    check((result == CLAUDE_OK) == (answer.text != NULL), "a text when there is one");
    check(answer.text == NULL || answer.text[0] != '\0', "that says something");
    check(strlen(answer.model) < sizeof answer.model, "a model");
    free(answer.text);
    if (embed_api(&reply, api, X402_SLICE("text")) == API_OK)
        check(json_array_size(reply.vector) > 0, "a vector");
    json_decref(reply.vector);
}

static void call(service_handler *handle, const struct services_config *config)
{
    struct service_answer answer = {0};

    handle(&answer, NULL, config);
    check(answer.status >= 200, "an answer");
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    static const struct services_config config = {
        .claude = {"http://127.0.0.1:1", "model", "key", true},
        .embeddings = {"http://127.0.0.1:1", "model", NULL, true}};

    if (size == 0)
        return 0;
    next_answer = (struct x402_slice){(const char *)data + 1, size - 1};
    switch (data[0] % 4) {
    case 0:
        ask_directly(&config.claude);
        break;
    case 1:
        call(service_ask, &config);
        break;
    case 2:
        call(service_fetch_summarize, &config);
        break;
    default:
        call(service_embed, &config);
    }
    return 0;
}
