/* /api/embed?text=…: a vector for a text. */
#include "embed.h"
#include "http.h"

#include "core/text.h"

#define TEXT_MAX 8192 /* bytes */

static void answer_vector(struct service_answer *answer, const char *model,
                          json_t *vector)
{
    json_t *json = json_pack("{s:s, s:I, s:o}", "model", model, "dimensions",
                             (json_int_t)json_array_size(vector), "embedding", vector);
    service_answer_json(answer, 200, json);
}

static void answer_locally(struct service_answer *answer, struct x402_slice text)
{
    double at[EMBED_LOCAL_DIMENSIONS];
    json_t *vector;
    if (!embed_local(at, text)) {
        service_answer_problem(answer, 400, "The text has no words");
        return;
    }
    vector = json_array();
    for (size_t i = 0; i < EMBED_LOCAL_DIMENSIONS; i++)
        json_array_append_new(vector, json_real(at[i]));
    answer_vector(answer, EMBED_LOCAL_MODEL, vector);
}

static void answer_from_api(struct service_answer *answer, struct x402_slice text,
                            const struct services_api *api)
{
    struct embed_reply reply;
    switch (embed_api(&reply, api, text)) {
    case API_OK:
        answer_vector(answer, reply.model, reply.vector);
        break;
    case API_OVERLOADED:
        service_answer_problem(answer, 503, "The embeddings API has too much to do");
        answer->retry_after_seconds = reply.retry_after_seconds;
        break;
    case API_REFUSED:
        service_answer_problem(
            answer, 502,
            "The embeddings API refuses the text; the log of the service says why");
        break;
    case API_FAILED:
        service_answer_problem(answer, 502, "The embeddings API does not answer");
        break;
    }
}

void service_embed(struct service_answer *answer, const struct service_request *request,
                   const struct services_config *config)
{
    struct x402_slice text;
    if (!service_argument(&text, request, "text") || text.size == 0)
        service_answer_problem(answer, 400,
                               "Give a text: ?text=… or {\"text\": \"…\"}");
    else if (text.size > TEXT_MAX)
        service_answer_problem(answer, 413, "The text is longer than 8192 bytes");
    else if (!x402_utf8_valid(text))
        service_answer_problem(answer, 400, "The text is not UTF-8");
    else if (config->embeddings.url != NULL)
        answer_from_api(answer, text, &config->embeddings);
    else
        answer_locally(answer, text);
}
