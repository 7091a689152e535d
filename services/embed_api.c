#include "embed.h"

#include <stdio.h>

static enum api_result ask(struct api_reply *reply, const struct services_api *api,
                           const json_t *body)
{
    char key[SERVICES_KEY_SIZE + 32];
    const char *const headers[] = {api->key != NULL ? key : NULL, NULL};
    const struct api_request request = {
        .api = api, .path = "/v1/embeddings", .headers = headers, .body = body};
    enum api_result result;
    if (api->key != NULL)
        (void)snprintf(key, sizeof key, "authorization: Bearer %s", api->key);
    result = api_post(reply, &request);
    x402_bytes_wipe(key, sizeof key);
    return result;
}

static bool is_vector(const json_t *vector)
{
    size_t i;
    const json_t *number;
    json_array_foreach(vector, i, number)
    {
        if (!json_is_number(number))
            return false;
    }
    return json_array_size(vector) > 0 &&
           json_array_size(vector) <= EMBED_API_DIMENSIONS_MAX;
}

static bool read_reply(struct embed_reply *reply, const json_t *json,
                       const struct services_api *api)
{
    const json_t *first = json_array_get(json_object_get(json, "data"), 0);
    json_t *vector = json_object_get(first, "embedding");
    const char *model = json_string_value(json_object_get(json, "model"));
    if (!is_vector(vector))
        return false;
    reply->vector = json_incref(vector);
    (void)snprintf(reply->model, sizeof reply->model, "%s",
                   model != NULL ? model : api->model);
    return true;
}

enum api_result embed_api(struct embed_reply *reply, const struct services_api *api,
                          struct x402_slice text)
{
    struct api_reply answer = {0};
    enum api_result result;
    json_t *body =
        json_pack("{s:s, s:s%}", "model", api->model, "input", text.data, text.size);
    *reply = (struct embed_reply){0};
    if (body == NULL)
        return API_FAILED;
    result = ask(&answer, api, body);
    json_decref(body);
    reply->retry_after_seconds = answer.retry_after_seconds;
    if (result == API_OK && !read_reply(reply, answer.json, api)) {
        fprintf(stderr, "x402-services: %s: the answer has no vector\n", api->url);
        result = API_FAILED;
    }
    json_decref(answer.json);
    return result;
}
