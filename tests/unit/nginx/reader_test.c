/* Pages that a thread reads from the ledger, while another sells. */
#include "scene.h"

#include "nginx/pages.h"

#include <assert.h>

#define VIEWERS 60

static ngx_http_x402_page_t pages[3];
static struct caller callers[300];

/* A request for a page; in its own pool, like nginx's. */
struct viewer {
    ngx_http_request_t *request; /* NULL: it is gone */
    unsigned answers;
    ngx_uint_t status;
};
static struct viewer viewers[VIEWERS];

struct view {
    ngx_http_request_t nginx;
    ngx_connection_t connection;
    ngx_log_t log;
    ngx_http_log_ctx_t log_ctx;
    struct viewer *viewer;
};

static void viewer_leaves(struct viewer *viewer)
{
    ngx_pool_t *pool = viewer->request->pool;

    viewer->request = NULL;
    ngx_destroy_pool(pool);
}

/* The text is shared: whoever shows it has read all of it. */
static void answer(ngx_http_request_t *r, ngx_http_x402_page_t *page)
{
    struct viewer *viewer = ((struct view *)(void *)r)->viewer;
    ngx_http_x402_text_t *text;

    viewer->answers++;
    viewer->status = page->status;
    if (page->text != NULL) {
        text = ngx_http_x402_text_keep(page->text);
        assert(memchr(text->data.data, '\0', text->data.len) == NULL);
        ngx_http_x402_text_drop(text);
    }
    viewer_leaves(viewer);
}

static void viewer_comes(struct viewer *viewer, ngx_http_x402_page_t *page)
{
    ngx_pool_t *pool = ngx_create_pool(0, ngx_cycle->log);
    struct view *view = ngx_pcalloc(pool, sizeof *view);

    memset(viewer, 0, sizeof *viewer);
    viewer->request = &view->nginx;
    view->viewer = viewer;
    view->log.data = &view->log_ctx;
    view->connection.log = &view->log;
    view->nginx.main = &view->nginx;
    view->nginx.connection = &view->connection;
    view->nginx.pool = pool;
    assert_int_equal(ngx_http_x402_page_show(&view->nginx, page, answer), NGX_DONE);
}

static int reader_make(void **state)
{
    static const ngx_http_x402_view_t views[] = {
        NGX_HTTP_X402_VIEW_STATS, NGX_HTTP_X402_VIEW_METRICS, NGX_HTTP_X402_VIEW_READY};

    if (scene_make(state) != 0)
        return -1;
    for (size_t i = 0; i < 3; i++) {
        pages[i] = (ngx_http_x402_page_t){.view = views[i],
                                          .receipts = "",
                                          .settler_seconds_max = 60,
                                          .due_seconds_max = 600};
        ngx_queue_init(&pages[i].waiting);
    }
    worker.serve = deliver;
    worker_start();
    return 0;
}

static int reader_release(void **state)
{
    for (size_t i = 0; i < 3; i++) {
        ngx_http_x402_text_drop(pages[i].text);
        pages[i].text = NULL;
    }
    return scene_release(state);
}

static void who_asks_while_payments_are_admitted_is_answered_once(void **state)
{
    for (unsigned i = 0; i < 300; i++) {
        caller_pays(&callers[i], i);
        if (i % 5 == 0)
            viewer_comes(&viewers[i / 5], &pages[i / 5 % 3]);
        if (i % 3 == 0)
            loop_turn();
        if (i % 50 == 0)
            loop_pass(1000); /* what was read is old by now */
    }
    run_until_told(callers, 300);
    loop_run_dry();
    for (unsigned i = 0; i < VIEWERS; i++) {
        assert_int_equal(viewers[i].answers, 1);
        if (i % 3 != 2) /* sooner or later it is not ready: there is no settler */
            assert_int_equal(viewers[i].status, 200);
    }
    assert_int_equal(loop_logged(NGX_LOG_ERR), 0);
    assert_money(*state, callers, 300, true);
}

static void who_leaves_while_the_page_is_read_takes_nothing_along(void **state)
{
    (void)state;
    loop_hold();
    for (unsigned i = 0; i < VIEWERS; i++)
        viewer_comes(&viewers[i], &pages[0]);
    for (unsigned i = 0; i < VIEWERS; i += 2)
        viewer_leaves(&viewers[i]);
    loop_let_go();
    loop_run_dry();
    for (unsigned i = 0; i < VIEWERS; i++)
        assert_int_equal(viewers[i].answers, i % 2);
}

static void a_worker_may_end_while_a_page_is_read(void **state)
{
    (void)state;
    loop_hold();
    viewer_comes(&viewers[0], &pages[0]);
    assert_int_equal(loop_under_way(), 1);
    worker_stop();
    viewers[0].request->pool->cleanup = NULL; /* the process is gone */
    viewer_leaves(&viewers[0]);
    assert_int_equal(viewers[0].answers, 0);
}

int main(void)
{
#define TEST(name) cmocka_unit_test_setup_teardown(name, reader_make, reader_release)
    const struct CMUnitTest tests[] = {
        TEST(who_asks_while_payments_are_admitted_is_answered_once),
        TEST(who_leaves_while_the_page_is_read_takes_nothing_along),
        TEST(a_worker_may_end_while_a_page_is_read),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
