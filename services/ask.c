/* /api/ask?q=…: a short answer, by Claude. */
#include "claude.h"
#include "http.h"

#include "core/text.h"

#include <stdlib.h>
#include <string.h>

#define QUESTION_MAX 2000 /* bytes */
#define TOKENS_MAX 300

static const char system_prompt[] =
    "You answer one question of a program or a person that cannot ask back. Answer at "
    "once, in the language of the question, in at most four sentences of plain text "
    "without Markdown. Say so when you do not know or cannot know, such as today's "
    "news.";

static bool is_blank(struct x402_slice text)
{
    for (size_t i = 0; i < text.size; i++) {
        if (strchr(" \t\r\n", text.data[i]) == NULL || text.data[i] == '\0')
            return false;
    }
    return true;
}

/* False when the question is none, and then this is answered. */
static bool read_question(struct x402_slice *out, struct service_answer *answer,
                          const struct service_request *request)
{
    if (!service_argument(out, request, "q") || is_blank(*out))
        service_answer_problem(answer, 400, "Give a question: ?q=… or {\"q\": \"…\"}");
    else if (out->size > QUESTION_MAX)
        service_answer_problem(answer, 413, "The question is longer than 2000 bytes");
    else if (!x402_utf8_valid(*out))
        service_answer_problem(answer, 400, "The question is not UTF-8");
    else
        return true;
    return false;
}

static void answer_failure(struct service_answer *answer, enum claude_result result,
                           const struct claude_answer *claude)
{
    bool later = result == CLAUDE_NO_KEY || result == CLAUDE_OVERLOADED;
    service_answer_problem(answer, later ? 503 : 502, claude_result_text(result));
    answer->retry_after_seconds = claude->retry_after_seconds;
}

static void answer_text(struct service_answer *answer,
                        const struct claude_answer *claude)
{
    json_t *json =
        json_pack("{s:s, s:s}", "answer", claude->text, "model", claude->model);
    if (claude->cut)
        json_object_set_new(json, "cut", json_true());
    service_answer_json(answer, 200, json);
}

void service_ask(struct service_answer *answer, const struct service_request *request,
                 const struct services_config *config)
{
    struct claude_question question = {.system = system_prompt,
                                       .tokens_max = TOKENS_MAX};
    struct claude_answer claude;
    enum claude_result result;
    if (!read_question(&question.text, answer, request))
        return;
    result = claude_ask(&claude, &config->claude, &question);
    if (result == CLAUDE_OK)
        answer_text(answer, &claude);
    else
        answer_failure(answer, result, &claude);
    free(claude.text);
}
