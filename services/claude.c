#include "claude.h"

#include "api.h"

#include <assert.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

/* ----------------------------------------------------------------------- question */

static json_t *question_json(const struct services_api *api,
                             const struct claude_question *question)
{
    return json_pack("{s:s, s:i, s:s, s:[{s:s, s:s%}]}", "model", api->model,
                     "max_tokens", (int)question->tokens_max, "system",
                     question->system, "messages", "role", "user", "content",
                     question->text.data, question->text.size);
}

static enum api_result ask(struct api_reply *reply, const struct services_api *api,
                           const json_t *body)
{
    char key[SERVICES_KEY_SIZE + 16];
    const char *const headers[] = {key, "anthropic-version: 2023-06-01", NULL};
    const struct api_request request = {
        .api = api, .path = "/v1/messages", .headers = headers, .body = body};
    enum api_result result;
    (void)snprintf(key, sizeof key, "x-api-key: %s", api->key);
    result = api_post(reply, &request);
    x402_bytes_wipe(key, sizeof key);
    return result;
}

/* ------------------------------------------------------------------------- answer */

/* The text of a content block, or "" of one of another kind. */
static const char *block_text(const json_t *block)
{
    const char *type = json_string_value(json_object_get(block, "type"));
    const char *text = json_string_value(json_object_get(block, "text"));
    return type != NULL && strcmp(type, "text") == 0 && text != NULL ? text : "";
}

/* All text blocks in one; NULL when there is none or no memory. */
static char *content_text(const json_t *content)
{
    size_t size = 0, i;
    const json_t *block;
    char *text;
    json_array_foreach(content, i, block) size += strlen(block_text(block));
    text = size > 0 ? malloc(size + 1) : NULL;
    if (text == NULL)
        return NULL;
    size = 0;
    json_array_foreach(content, i, block)
    {
        size_t more = strlen(block_text(block));
        memcpy(text + size, block_text(block), more);
        size += more;
    }
    text[size] = '\0';
    return text;
}

static bool read_answer(struct claude_answer *answer, const json_t *json,
                        const struct services_api *api)
{
    const char *reason = json_string_value(json_object_get(json, "stop_reason"));
    const char *model = json_string_value(json_object_get(json, "model"));
    answer->text = content_text(json_object_get(json, "content"));
    answer->cut = reason != NULL && strcmp(reason, "max_tokens") == 0;
    (void)snprintf(answer->model, sizeof answer->model, "%s",
                   model != NULL ? model : api->model);
    return answer->text != NULL;
}

enum claude_result claude_ask(struct claude_answer *answer,
                              const struct services_api *api,
                              const struct claude_question *question)
{
    struct api_reply reply;
    enum api_result result;
    json_t *body;
    *answer = (struct claude_answer){0};
    assert(question->system != NULL && question->tokens_max > 0);
    if (api->key == NULL)
        return CLAUDE_NO_KEY;
    body = question_json(api, question);
    if (body == NULL) /* not UTF-8, or no memory */
        return CLAUDE_FAILED;
    result = ask(&reply, api, body);
    json_decref(body);
    answer->retry_after_seconds = reply.retry_after_seconds;
    if (result == API_OK && !read_answer(answer, reply.json, api)) {
        fprintf(stderr, "x402-services: %s: the answer has no text\n", api->url);
        result = API_FAILED;
    }
    json_decref(reply.json);
    switch (result) {
    case API_OK:
        return CLAUDE_OK;
    case API_OVERLOADED:
        return CLAUDE_OVERLOADED;
    case API_REFUSED:
        return CLAUDE_REFUSED;
    case API_FAILED:
        break;
    }
    return CLAUDE_FAILED;
}

const char *claude_result_text(enum claude_result result)
{
    switch (result) {
    case CLAUDE_NO_KEY:
        return "This service has no key for Claude's API; its operator gives it one "
               "with x402-services --claude-key FILE, or with ANTHROPIC_API_KEY";
    case CLAUDE_OVERLOADED:
        return "Claude has too much to do at the moment; ask again later";
    case CLAUDE_REFUSED:
        return "Claude's API refuses the question; the log of the service says why";
    case CLAUDE_FAILED:
        return "Claude does not answer";
    case CLAUDE_OK:
        break;
    }
    return "Claude has answered";
}
