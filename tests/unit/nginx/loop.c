#include "loop.h"

#include <assert.h>
#include <poll.h>
#include <pthread.h>
#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/eventfd.h>
#include <time.h>
#include <unistd.h>

#define PATIENCE_SECONDS 60 /* no test takes as long */
#define LOG_LINE_MAX 1024   /* bytes of a line of the log */

/* In the order in which they were posted. */
struct tasks {
    ngx_thread_task_t *first;
    ngx_thread_task_t **last;
};

static struct {
    ngx_cycle_t cycle;
    ngx_log_t log;
    void *main_conf[1];
    ngx_http_conf_ctx_t http;
    void *conf[1];
    ngx_msec_t opened;  /* by the clock */
    ngx_msec_t skipped; /* what the loop's time is ahead of the clock's */
    ngx_msec_t still;   /* what the clock says for ever; 0: it goes */
    size_t under_way;
    bool refusing;
    bool open;
    pthread_t threads[LOOP_THREADS];
    bool running;
    int done_fd; /* readable: something is done */

    pthread_mutex_t mutex; /* of all below */
    pthread_cond_t changed;
    bool held;
    bool stop;
    struct tasks queue;
    struct tasks done;
} loop = {.mutex = PTHREAD_MUTEX_INITIALIZER, .changed = PTHREAD_COND_INITIALIZER};

static atomic_uint logged[NGX_LOG_DEBUG + 1];

volatile ngx_cycle_t *ngx_cycle = &loop.cycle;
volatile ngx_msec_t ngx_current_msec;
ngx_queue_t ngx_posted_events;
ngx_rbtree_t ngx_event_timer_rbtree; /* a sorted list, by ->right */
ngx_uint_t ngx_exiting;
ngx_pid_t ngx_pid;
ngx_module_t ngx_http_module; /* its index is 0 */

/* -------------------------------------------------------------------------- strings */

u_char *ngx_cpystrn(u_char *dst, u_char *src, size_t n)
{
    if (n == 0)
        return dst;
    while (--n > 0 && *src != '\0')
        *dst++ = *src++;
    *dst = '\0';
    return dst;
}

/* One of nginx's conversions, of those that are used; where it ends. */
static const char *put(FILE *out, const char *format, va_list *args)
{
    switch (*format) {
    case 's':
        fputs(va_arg(*args, char *), out);
        break;
    case 'L':
        fprintf(out, "%lld", (long long)va_arg(*args, int64_t));
        break;
    case 'P':
        fprintf(out, "%d", (int)va_arg(*args, ngx_pid_t));
        break;
    case 'Z':
        fputc('\0', out);
        break;
    case 'u':
        assert(format[1] == 'z' || format[1] == 'i');
        fprintf(out, "%zu", va_arg(*args, size_t));
        return format + 2;
    default:
        fprintf(stderr, "loop.c does not know %%%c\n", *format);
        abort();
    }
    return format + 1;
}

static size_t format_into(char *buffer, size_t size, const char *format, va_list *args)
{
    FILE *out = fmemopen(buffer, size, "w");

    assert(out != NULL);
    while (*format != '\0') {
        if (*format == '%')
            format = put(out, format + 1, args);
        else
            fputc(*format++, out);
    }
    long length = ftell(out);
    fclose(out);
    return (size_t)length;
}

u_char *ngx_snprintf(u_char *buffer, size_t max, const char *format, ...)
{
    va_list args;

    va_start(args, format);
    size_t length = format_into((char *)buffer, max, format, &args);
    va_end(args);
    return buffer + length;
}

void ngx_log_error_core(ngx_uint_t level, ngx_log_t *log, ngx_err_t err,
                        const char *format, ...)
{
    char line[LOG_LINE_MAX] = "";
    va_list args;

    (void)log;
    (void)err;
    va_start(args, format);
    (void)format_into(line, sizeof line, format, &args);
    va_end(args);
    atomic_fetch_add(&logged[level], 1);
    fprintf(stderr, "log %u: %s\n", (unsigned)level, line);
}

unsigned loop_logged(ngx_uint_t level)
{
    return atomic_load(&logged[level]);
}

/* --------------------------------------------------------------------------- memory */

void *ngx_alloc(size_t size, ngx_log_t *log)
{
    (void)log;
    return malloc(size);
}

/* Each piece of a pool is malloc's, so that a sanitizer sees where it ends, and when.
 */
ngx_pool_t *ngx_create_pool(size_t size, ngx_log_t *log)
{
    ngx_pool_t *pool = calloc(1, sizeof *pool);

    (void)size;
    assert(pool != NULL);
    pool->log = log;
    return pool;
}

void ngx_destroy_pool(ngx_pool_t *pool)
{
    for (ngx_pool_cleanup_t *c = pool->cleanup; c != NULL; c = c->next) {
        if (c->handler != NULL)
            c->handler(c->data);
    }
    for (ngx_pool_large_t *next, *piece = pool->large; piece != NULL; piece = next) {
        next = piece->next;
        free(piece->alloc);
        free(piece);
    }
    free(pool);
}

void *ngx_palloc(ngx_pool_t *pool, size_t size)
{
    ngx_pool_large_t *piece = malloc(sizeof *piece);

    assert(piece != NULL);
    piece->alloc = malloc(size);
    assert(piece->alloc != NULL);
    piece->next = pool->large;
    pool->large = piece;
    return piece->alloc;
}

void *ngx_pcalloc(ngx_pool_t *pool, size_t size)
{
    return memset(ngx_palloc(pool, size), 0, size);
}

/* What a worker has until its process ends: here, until the loop does. */
void *ngx_calloc(size_t size, ngx_log_t *log)
{
    (void)log;
    return ngx_pcalloc(loop.cycle.pool, size);
}

ngx_pool_cleanup_t *ngx_pool_cleanup_add(ngx_pool_t *pool, size_t size)
{
    ngx_pool_cleanup_t *c = ngx_palloc(pool, sizeof *c);

    *c = (ngx_pool_cleanup_t){.data = ngx_palloc(pool, size), .next = pool->cleanup};
    pool->cleanup = c;
    return c;
}

/* ---------------------------------------------------------------------------- locks */

ngx_int_t ngx_thread_mutex_create(ngx_thread_mutex_t *mutex, ngx_log_t *log)
{
    (void)log;
    return pthread_mutex_init(mutex, NULL) == 0 ? NGX_OK : NGX_ERROR;
}

ngx_int_t ngx_thread_mutex_destroy(ngx_thread_mutex_t *mutex, ngx_log_t *log)
{
    (void)log;
    return pthread_mutex_destroy(mutex) == 0 ? NGX_OK : NGX_ERROR;
}

ngx_int_t ngx_thread_mutex_lock(ngx_thread_mutex_t *mutex, ngx_log_t *log)
{
    (void)log;
    return pthread_mutex_lock(mutex) == 0 ? NGX_OK : NGX_ERROR;
}

ngx_int_t ngx_thread_mutex_unlock(ngx_thread_mutex_t *mutex, ngx_log_t *log)
{
    (void)log;
    return pthread_mutex_unlock(mutex) == 0 ? NGX_OK : NGX_ERROR;
}

/* -------------------------------------------------------------------- shared memory */

static pthread_mutex_t shared = PTHREAD_MUTEX_INITIALIZER;

void ngx_shmtx_lock(ngx_shmtx_t *mutex)
{
    (void)mutex;
    pthread_mutex_lock(&shared);
}

void ngx_shmtx_unlock(ngx_shmtx_t *mutex)
{
    (void)mutex;
    pthread_mutex_unlock(&shared);
}

void *ngx_slab_calloc(ngx_slab_pool_t *pool, size_t size)
{
    (void)pool;
    return ngx_pcalloc(loop.cycle.pool, size);
}

ngx_shm_zone_t *ngx_shared_memory_add(ngx_conf_t *cf, ngx_str_t *name, size_t size,
                                      void *tag)
{
    ngx_shm_zone_t *zone = ngx_pcalloc(loop.cycle.pool, sizeof *zone);

    (void)cf;
    zone->shm.addr = ngx_pcalloc(loop.cycle.pool, sizeof(ngx_slab_pool_t));
    zone->shm.name = *name;
    zone->shm.size = size;
    zone->tag = tag;
    return zone;
}

/* --------------------------------------------------------------------------- timers */

void ngx_rbtree_insert(ngx_rbtree_t *tree, ngx_rbtree_node_t *node)
{
    ngx_rbtree_node_t **link = &tree->root;

    while (*link != NULL && (ngx_msec_int_t)((*link)->key - node->key) <= 0)
        link = &(*link)->right;
    node->right = *link;
    *link = node;
}

void ngx_rbtree_delete(ngx_rbtree_t *tree, ngx_rbtree_node_t *node)
{
    ngx_rbtree_node_t **link = &tree->root;

    while (*link != node) {
        assert(*link != NULL);
        link = &(*link)->right;
    }
    *link = node->right;
}

static ngx_event_t *timer_of(ngx_rbtree_node_t *node)
{
    return (ngx_event_t *)(void *)((char *)node - offsetof(ngx_event_t, timer));
}

static ngx_msec_t clock_msec(void)
{
    struct timespec now;

    clock_gettime(CLOCK_MONOTONIC, &now);
    return (ngx_msec_t)now.tv_sec * 1000 + (ngx_msec_t)now.tv_nsec / 1000000;
}

static void time_update(void)
{
    const ngx_rbtree_node_t *next = ngx_event_timer_rbtree.root;

    ngx_current_msec = (loop.still != 0 ? loop.still : clock_msec()) + loop.skipped;
    if (loop.under_way == 0 && ngx_queue_empty(&ngx_posted_events) && next != NULL &&
        (ngx_msec_int_t)(next->key - ngx_current_msec) > 0) {
        loop.skipped += next->key - ngx_current_msec;
        ngx_current_msec = next->key;
    }
}

static void timers_expire(void)
{
    ngx_rbtree_node_t *node;

    while ((node = ngx_event_timer_rbtree.root) != NULL &&
           (ngx_msec_int_t)(node->key - ngx_current_msec) <= 0) {
        ngx_event_t *event = timer_of(node);
        ngx_rbtree_delete(&ngx_event_timer_rbtree, node);
        event->timer_set = 0;
        event->timedout = 1;
        event->handler(event);
    }
}

/* -------------------------------------------------------------------------- threads */

static void tasks_clear(struct tasks *tasks)
{
    *tasks = (struct tasks){.last = &tasks->first};
}

static void tasks_add(struct tasks *tasks, ngx_thread_task_t *task)
{
    task->next = NULL;
    *tasks->last = task;
    tasks->last = &task->next;
}

/* Waits for it. NULL: the thread is to end. */
static ngx_thread_task_t *task_take(void)
{
    pthread_mutex_lock(&loop.mutex);
    while (loop.held || (loop.queue.first == NULL && !loop.stop))
        pthread_cond_wait(&loop.changed, &loop.mutex);
    ngx_thread_task_t *task = loop.queue.first;
    if (task != NULL && (loop.queue.first = task->next) == NULL)
        tasks_clear(&loop.queue);
    pthread_mutex_unlock(&loop.mutex);
    return task;
}

static void task_done(ngx_thread_task_t *task)
{
    pthread_mutex_lock(&loop.mutex);
    tasks_add(&loop.done, task);
    pthread_mutex_unlock(&loop.mutex);
    eventfd_write(loop.done_fd, 1);
}

static void *run(void *data)
{
    ngx_thread_task_t *task;

    while ((task = task_take()) != NULL) {
        task->handler(task->ctx, &loop.log);
        task_done(task);
    }
    return data;
}

ngx_thread_pool_t *ngx_thread_pool_get(ngx_cycle_t *cycle, ngx_str_t *name)
{
    (void)cycle;
    (void)name;
    return (ngx_thread_pool_t *)(void *)&loop; /* stands for all of them */
}

ngx_int_t ngx_thread_task_post(ngx_thread_pool_t *pool, ngx_thread_task_t *task)
{
    assert(pool != NULL);
    assert(!task->event.active); /* nginx would refuse a task that is under way */
    if (loop.refusing)
        return NGX_ERROR;
    task->event.active = 1;
    loop.under_way++;
    pthread_mutex_lock(&loop.mutex);
    tasks_add(&loop.queue, task);
    pthread_cond_signal(&loop.changed);
    pthread_mutex_unlock(&loop.mutex);
    return NGX_OK;
}

/* The next round is soon enough for what completions bring. */
static void tasks_complete(void)
{
    eventfd_t count;

    if (eventfd_read(loop.done_fd, &count) != 0)
        return;
    pthread_mutex_lock(&loop.mutex);
    ngx_thread_task_t *task = loop.done.first;
    tasks_clear(&loop.done);
    pthread_mutex_unlock(&loop.mutex);
    while (task != NULL) {
        ngx_event_t *event = &task->event;
        task = task->next;
        loop.under_way--;
        event->complete = 1;
        event->active = 0;
        event->handler(event);
    }
}

size_t loop_under_way(void)
{
    return loop.under_way;
}

void loop_refuse_tasks(bool refuse)
{
    loop.refusing = refuse;
}

static void set_held(bool held)
{
    pthread_mutex_lock(&loop.mutex);
    loop.held = held;
    pthread_cond_broadcast(&loop.changed);
    pthread_mutex_unlock(&loop.mutex);
}

void loop_hold(void)
{
    set_held(true);
}

void loop_let_go(void)
{
    set_held(false);
}

/* ---------------------------------------------------------------------------- turns */

static void posted_process(void)
{
    ngx_queue_t *q;

    while (!ngx_queue_empty(&ngx_posted_events)) {
        q = ngx_queue_head(&ngx_posted_events);
        ngx_event_t *event = ngx_queue_data(q, ngx_event_t, queue);
        ngx_delete_posted_event(event);
        event->handler(event);
    }
}

void loop_turn(void)
{
    struct pollfd done = {.fd = loop.done_fd, .events = POLLIN};

    assert(clock_msec() - loop.opened < PATIENCE_SECONDS * 1000);
    if (loop.under_way > 0)
        (void)poll(&done, 1, 1);
    time_update();
    tasks_complete();
    timers_expire();
    posted_process();
}

void loop_pass(ngx_msec_t milliseconds)
{
    loop.skipped += milliseconds;
    ngx_current_msec += milliseconds;
}

void loop_still(void)
{
    loop.still = clock_msec();
    ngx_current_msec = loop.still + loop.skipped;
}

static bool is_dry(void)
{
    return loop.under_way == 0 && ngx_event_timer_rbtree.root == NULL &&
           ngx_queue_empty(&ngx_posted_events);
}

void loop_run_dry(void)
{
    while (!is_dry())
        loop_turn();
}

bool loop_may_exit(void)
{
    ngx_rbtree_node_t *node;

    for (node = ngx_event_timer_rbtree.root; node != NULL; node = node->right) {
        if (!timer_of(node)->cancelable)
            return false;
    }
    return true;
}

/* ------------------------------------------------------------------- open and close */

void loop_open(void *main_conf)
{
    assert(!loop.open);
    loop.open = true;
    loop.log.log_level = NGX_LOG_INFO;
    loop.main_conf[0] = main_conf;
    loop.http.main_conf = loop.main_conf;
    loop.conf[0] = &loop.http;
    loop.cycle.log = &loop.log;
    loop.cycle.pool = ngx_create_pool(NGX_DEFAULT_POOL_SIZE, &loop.log);
    loop.cycle.conf_ctx = (void ****)(void *)loop.conf;
    loop.opened = clock_msec();
    loop.skipped = 0;
    loop.still = 0;
    loop.under_way = 0;
    loop.refusing = false;
    loop.held = false;
    loop.stop = false;
    tasks_clear(&loop.queue);
    tasks_clear(&loop.done);
    for (unsigned i = 0; i <= NGX_LOG_DEBUG; i++)
        atomic_store(&logged[i], 0);
    ngx_exiting = 0;
    ngx_pid = getpid();
    ngx_current_msec = clock_msec();
    ngx_queue_init(&ngx_posted_events);
    ngx_event_timer_rbtree.root = NULL;
    loop.done_fd = eventfd(0, EFD_NONBLOCK | EFD_CLOEXEC);
    assert(loop.done_fd >= 0);
    for (unsigned i = 0; i < LOOP_THREADS; i++) {
        int failed = pthread_create(&loop.threads[i], NULL, run, NULL);
        assert(failed == 0);
    }
    loop.running = true;
}

void loop_join(void)
{
    if (!loop.running)
        return;
    pthread_mutex_lock(&loop.mutex);
    loop.held = false;
    loop.stop = true;
    pthread_cond_broadcast(&loop.changed);
    pthread_mutex_unlock(&loop.mutex);
    for (unsigned i = 0; i < LOOP_THREADS; i++)
        pthread_join(loop.threads[i], NULL);
    loop.running = false;
}

void loop_close(void)
{
    loop_join();
    close(loop.done_fd);
    ngx_destroy_pool(loop.cycle.pool);
    loop.open = false;
}
