#include "unit/core/support.h"

#include "evm/signature.h"
#include "settle/key.h"

#include <stdio.h>
#include <stdlib.h>
#include <sys/stat.h>
#include <unistd.h>

#define KEY "59c6995e998f97a5a0044966f0945389dc9e86dae88c7a8412f4603b6b78690d"

static char folder[64];
static char path[128];
static char message[X402_KEY_MESSAGE_MAX];

static int make_folder(void **state)
{
    (void)state;
    strcpy(folder, "/tmp/x402-key-XXXXXX");
    if (mkdtemp(folder) == NULL)
        return -1;
    snprintf(path, sizeof path, "%s/key", folder);
    return 0;
}

static int remove_folder(void **state)
{
    (void)state;
    unlink(path);
    return rmdir(folder);
}

static void write_file(const char *text, mode_t mode)
{
    FILE *file = fopen(path, "w");

    assert_non_null(file);
    assert_true(fputs(text, file) >= 0);
    assert_int_equal(fclose(file), 0);
    assert_int_equal(chmod(path, mode), 0);
}

static void assert_loads(const char *text)
{
    uint8_t key32[32], expected32[32];

    assert_true(x402_hex_decode(expected32, 32, x402_slice_of(KEY)));
    write_file(text, 0600);
    assert_int_equal(x402_key_load(key32, path, message), X402_OK);
    assert_memory_equal(key32, expected32, 32);
}

static void assert_refused(const char *says)
{
    static const uint8_t zero32[32];
    uint8_t key32[32];

    memset(key32, 0xaa, sizeof key32);
    memset(message, 0, sizeof message);
    assert_int_equal(x402_key_load(key32, path, message), X402_ERR_KEY);
    assert_memory_equal(key32, zero32, 32);
    if (strstr(message, says) == NULL)
        fail_msg("'%s' does not say '%s'", message, says);
    assert_null(strstr(message, "59c6995e"));
}

static void a_key_is_read_with_and_without_prefix_and_newline(void **state)
{
    (void)state;
    assert_loads(KEY);
    assert_loads(KEY "\n");
    assert_loads("0x" KEY "\n");
    assert_loads("0x" KEY "\r\n");
    assert_loads("0X" KEY " \n\n");
}

static void only_a_mode_for_the_owner_alone_is_taken(void **state)
{
    uint8_t key32[32];

    (void)state;
    for (unsigned mode = 0; mode < 01000; mode++) {
        write_file(KEY, (mode_t)mode);
        if ((mode & 0177) != 0) {
            assert_refused("run chmod 600");
            assert_non_null(strstr(message, path));
        } else if ((mode & 0400) != 0) {
            assert_int_equal(x402_key_load(key32, path, message), X402_OK);
        }
    }
}

static void what_is_no_key_is_refused_without_showing_it(void **state)
{
    static const char *const texts[] = {
        "",
        "\n",
        "0x",
        KEY "00",
        "0x0x" KEY,
        " " KEY,
        KEY " x",
        "59c6995e",
        "zzc6995e998f97a5a0044966f0945389dc9e86dae88c7a8412f4603b6b78690d",
        /* zero, and the order of the curve */
        "0000000000000000000000000000000000000000000000000000000000000000",
        "fffffffffffffffffffffffffffffffebaaedce6af48a03bbfd25e8cd0364141",
    };

    (void)state;
    for (size_t i = 0; i < sizeof texts / sizeof texts[0]; i++) {
        write_file(texts[i], 0600);
        assert_refused("does not hold a private key");
    }
}

static void a_file_too_large_for_a_key_is_refused(void **state)
{
    char text[1024];

    (void)state;
    memset(text, ' ', sizeof text);
    memcpy(text, KEY, 64);
    text[sizeof text - 1] = '\0';
    write_file(text, 0600);
    assert_refused("is too large");
}

static void what_is_no_regular_file_is_refused_without_waiting(void **state)
{
    (void)state;
    assert_int_equal(mkfifo(path, 0600), 0);
    assert_refused("is not a regular file");
    unlink(path);
    assert_int_equal(mkdir(path, 0700), 0);
    assert_refused("is not a regular file");
    assert_int_equal(rmdir(path), 0);
}

static void a_missing_file_is_told(void **state)
{
    (void)state;
    assert_refused("No such file");
}

static void a_file_of_another_user_is_refused(void **state)
{
    (void)state;
    if (geteuid() != 0)
        skip();
    write_file(KEY, 0600);
    assert_int_equal(chown(path, 12345, (gid_t)-1), 0);
    assert_refused("belongs to user 12345");
}

static void a_new_key_is_random_private_and_can_be_read(void **state)
{
    uint8_t address20[20], again20[20], key32[32];
    struct stat status;
    mode_t mask = umask(0);

    (void)state;
    assert_int_equal(x402_key_create(address20, path, message), X402_OK);
    umask(mask);
    assert_int_equal(stat(path, &status), 0);
    assert_int_equal(status.st_mode & 07777, 0600);
    assert_int_equal(status.st_size, 67);
    assert_int_equal(x402_key_load(key32, path, message), X402_OK);
    assert_int_equal(x402_key_address(again20, key32), X402_OK);
    assert_memory_equal(address20, again20, 20);
    unlink(path);
    assert_int_equal(x402_key_create(again20, path, message), X402_OK);
    assert_memory_not_equal(address20, again20, 20);
}

static void a_new_key_never_takes_the_place_of_a_file(void **state)
{
    uint8_t address20[20];

    (void)state;
    assert_loads(KEY);
    assert_int_equal(x402_key_create(address20, path, message), X402_ERR_KEY);
    assert_non_null(strstr(message, "exists already"));
    uint8_t key32[32];
    assert_int_equal(x402_key_load(key32, path, message), X402_OK);
    assert_int_equal(key32[0], 0x59);
}

static void a_key_that_cannot_be_written_is_told(void **state)
{
    uint8_t address20[20];
    char nowhere[160];

    (void)state;
    snprintf(nowhere, sizeof nowhere, "%s/none/key", folder);
    assert_int_equal(x402_key_create(address20, nowhere, message), X402_ERR_KEY);
    assert_non_null(strstr(message, "No such file"));
}

#define IN_FOLDER(test)                                                                \
    cmocka_unit_test_setup_teardown(test, make_folder, remove_folder)

int main(void)
{
    const struct CMUnitTest tests[] = {
        IN_FOLDER(a_key_is_read_with_and_without_prefix_and_newline),
        IN_FOLDER(only_a_mode_for_the_owner_alone_is_taken),
        IN_FOLDER(what_is_no_key_is_refused_without_showing_it),
        IN_FOLDER(a_file_too_large_for_a_key_is_refused),
        IN_FOLDER(what_is_no_regular_file_is_refused_without_waiting),
        IN_FOLDER(a_missing_file_is_told),
        IN_FOLDER(a_file_of_another_user_is_refused),
        IN_FOLDER(a_new_key_is_random_private_and_can_be_read),
        IN_FOLDER(a_new_key_never_takes_the_place_of_a_file),
        IN_FOLDER(a_key_that_cannot_be_written_is_told),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
