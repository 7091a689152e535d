/*
 * nginx's event loop, as far as the module's way to the ledger needs it: timers, posted
 * events, pools, a pool of threads that are real, and a log on stderr. So admission.c
 * and what goes with it run here as they are, under sanitizers that nginx itself was
 * not built with.
 *
 * Time is the loop's own: while no task is under way it jumps to the next timer, and
 * nothing sleeps. The thread of main() is the loop's, but where said otherwise.
 */
#ifndef X402_TESTS_NGINX_LOOP_H
#define X402_TESTS_NGINX_LOOP_H

#include <ngx_config.h>
#include <ngx_core.h>
#include <ngx_event.h>
#include <ngx_http.h>
#include <ngx_thread_pool.h>

#include <stdbool.h>

#define LOOP_THREADS 3

/* Starts the threads. `main_conf` is the http block's, of the module at index 0. */
void loop_open(void *main_conf);

/* The threads do all that was posted, and end; no completion is called any more. */
void loop_join(void);

/* Joins, and frees what the cycle's pool has. */
void loop_close(void);

/* One round: completions, timers, posted events. Aborts a minute after loop_open. */
void loop_turn(void);

/* So much later; the next round sees what is due by then. */
void loop_pass(ngx_msec_t milliseconds);

/* Turns until nothing is left to happen: no timer, no task. */
void loop_run_dry(void);

/* From here on time does not go by itself: for tests in which something is to be too
 * soon. It still jumps to the next timer, and passes. */
void loop_still(void);

/* Whether a worker that is to exit would: nothing but timers that may be cut off. */
bool loop_may_exit(void);

/* While held, threads take no task: what is posted stays with them. */
void loop_hold(void);
void loop_let_go(void);

/* Tasks posted whose completion was not called yet. */
size_t loop_under_way(void);

/* Whether the threads' queue is full: nothing can be posted. */
void loop_refuse_tasks(bool refuse);

/* Lines logged at this level since loop_open. Any thread writes them. */
unsigned loop_logged(ngx_uint_t level);

#endif
