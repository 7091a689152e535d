#include "settle/pulse.h"

#include <pthread.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#define TELL_MILLISECONDS 1000

/* One chain and signer. */
struct voice {
    struct x402_settler_state state;
    int64_t said_milliseconds; /* when its thread did */
    bool hushed;
    struct x402_settler_state told; /* what the ledger was told last; */
    int64_t told_milliseconds;      /* 0: never */
};

struct x402_pulse {
    struct x402_ledger *ledger; /* of the thread */
    pthread_t thread;
    pthread_mutex_t mutex; /* of all below */
    pthread_cond_t stopped;
    bool stop;
    struct voice voices[X402_PULSE_STATES_MAX];
    size_t voices_count;
    bool measured; /* there is something in `measures` */
    struct x402_histogram measures[X402_MEASURE_COUNT];
};

static int64_t steady_milliseconds(void)
{
    struct timespec now;

    clock_gettime(CLOCK_MONOTONIC, &now);
    return (int64_t)now.tv_sec * 1000 + now.tv_nsec / 1000000;
}

/* -------------------------------------------------------------------------- hearing */

/* Found or made; NULL when there is no room. The mutex is held. */
static struct voice *voice_of(struct x402_pulse *pulse, uint64_t chain_id,
                              const uint8_t signer20[20])
{
    for (size_t i = 0; i < pulse->voices_count; i++) {
        struct voice *voice = &pulse->voices[i];
        if (voice->state.chain_id == chain_id &&
            memcmp(voice->state.signer20, signer20, 20) == 0)
            return voice;
    }
    if (pulse->voices_count == X402_PULSE_STATES_MAX)
        return NULL;
    struct voice *voice = &pulse->voices[pulse->voices_count++];
    voice->state.chain_id = chain_id;
    memcpy(voice->state.signer20, signer20, 20);
    return voice;
}

void x402_pulse_say(struct x402_pulse *pulse, const struct x402_settler_state *state)
{
    if (pulse == NULL)
        return;
    pthread_mutex_lock(&pulse->mutex);
    struct voice *voice = voice_of(pulse, state->chain_id, state->signer20);
    if (voice != NULL) {
        voice->state = *state;
        voice->said_milliseconds = steady_milliseconds();
        voice->hushed = false;
    }
    pthread_mutex_unlock(&pulse->mutex);
}

void x402_pulse_hush(struct x402_pulse *pulse, uint64_t chain_id,
                     const uint8_t signer20[20])
{
    if (pulse == NULL)
        return;
    pthread_mutex_lock(&pulse->mutex);
    struct voice *voice = voice_of(pulse, chain_id, signer20);
    if (voice != NULL)
        voice->hushed = true;
    pthread_mutex_unlock(&pulse->mutex);
}

void x402_pulse_measure(struct x402_pulse *pulse, enum x402_measure measure,
                        uint64_t value)
{
    if (pulse == NULL)
        return;
    pthread_mutex_lock(&pulse->mutex);
    x402_histogram_add(&pulse->measures[measure], value);
    pulse->measured = true;
    pthread_mutex_unlock(&pulse->mutex);
}

/* -------------------------------------------------------------------------- telling */

static bool is_to_be_told(const struct voice *voice, int64_t now)
{
    if (voice->hushed || now - voice->said_milliseconds >= X402_PULSE_MILLISECONDS)
        return false;
    return voice->told_milliseconds == 0 ||
           now - voice->told_milliseconds >= X402_PULSE_EVERY_MILLISECONDS ||
           /* Padding that differs has it told once more, and no harm done.
            * NOLINTNEXTLINE(bugprone-suspicious-memory-comparison,cert-*) */
           memcmp(&voice->told, &voice->state, sizeof voice->state) != 0;
}

/* Voices are only ever added: an index stays the voice's. */
static void tell_voice(struct x402_pulse *pulse, size_t index)
{
    struct voice *voice = &pulse->voices[index];
    struct x402_settler_state state;
    int64_t now = steady_milliseconds();

    pthread_mutex_lock(&pulse->mutex);
    bool told = index < pulse->voices_count && is_to_be_told(voice, now);
    state = voice->state;
    pthread_mutex_unlock(&pulse->mutex);
    if (!told || x402_ledger_settler_note(pulse->ledger, &state) != X402_OK)
        return;          /* the next time */
    voice->told = state; /* this thread's alone */
    voice->told_milliseconds = now;
}

/* What is counted meanwhile goes to the empty ones, and what could not be noted too. */
static void tell_measures(struct x402_pulse *pulse)
{
    struct x402_activity activity = {.sales_count = 0};

    pthread_mutex_lock(&pulse->mutex);
    bool measured = pulse->measured;
    memcpy(activity.measures, pulse->measures, sizeof activity.measures);
    memset(pulse->measures, 0, sizeof pulse->measures);
    pulse->measured = false;
    pthread_mutex_unlock(&pulse->mutex);
    if (!measured || x402_ledger_note(pulse->ledger, &activity) == X402_OK)
        return;
    pthread_mutex_lock(&pulse->mutex);
    for (unsigned i = 0; i < X402_MEASURE_COUNT; i++)
        x402_histogram_merge(&pulse->measures[i], &activity.measures[i]);
    pulse->measured = true;
    pthread_mutex_unlock(&pulse->mutex);
}

static void tell(struct x402_pulse *pulse)
{
    for (size_t i = 0; i < X402_PULSE_STATES_MAX; i++)
        tell_voice(pulse, i);
    tell_measures(pulse);
}

/* True when it is time to stop. */
static bool wait_for_stop(struct x402_pulse *pulse)
{
    int64_t until = steady_milliseconds() + TELL_MILLISECONDS;
    struct timespec time = {until / 1000, until % 1000 * 1000000L};
    int code = 0;

    pthread_mutex_lock(&pulse->mutex);
    while (code == 0 && !pulse->stop)
        code = pthread_cond_timedwait(&pulse->stopped, &pulse->mutex, &time);
    bool stop = pulse->stop;
    pthread_mutex_unlock(&pulse->mutex);
    return stop;
}

static void *run(void *data)
{
    struct x402_pulse *pulse = data;

    while (!wait_for_stop(pulse))
        tell(pulse);
    tell(pulse);
    return NULL;
}

/* ------------------------------------------------------------------- open and close */

static void release(struct x402_pulse *pulse)
{
    x402_ledger_close(pulse->ledger);
    pthread_cond_destroy(&pulse->stopped);
    pthread_mutex_destroy(&pulse->mutex);
    free(pulse);
}

enum x402_error x402_pulse_open(struct x402_pulse **out, const char *ledger_path)
{
    char message[X402_LEDGER_MESSAGE_MAX];
    struct x402_pulse *pulse = calloc(1, sizeof *pulse);
    pthread_condattr_t attributes;

    if (pulse == NULL)
        return X402_ERR_SPACE;
    pthread_mutex_init(&pulse->mutex, NULL);
    pthread_condattr_init(&attributes);
    pthread_condattr_setclock(&attributes, CLOCK_MONOTONIC);
    pthread_cond_init(&pulse->stopped, &attributes);
    pthread_condattr_destroy(&attributes);
    enum x402_error error =
        x402_ledger_open(&pulse->ledger, ledger_path, X402_LEDGER_WRITE, message);
    if (error == X402_OK && pthread_create(&pulse->thread, NULL, run, pulse) != 0)
        error = X402_ERR_SPACE;
    if (error != X402_OK) {
        release(pulse);
        return error;
    }
    *out = pulse;
    return X402_OK;
}

void x402_pulse_close(struct x402_pulse *pulse)
{
    if (pulse == NULL)
        return;
    pthread_mutex_lock(&pulse->mutex);
    pulse->stop = true;
    pthread_cond_signal(&pulse->stopped);
    pthread_mutex_unlock(&pulse->mutex);
    pthread_join(pulse->thread, NULL);
    release(pulse);
}
