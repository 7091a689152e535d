/* Which addresses a stranger's URL may lead to. */
#include "unit/core/support.h"

#include "services/address.h"
#include "services/fetch.h"

#include <arpa/inet.h>
#include <netinet/in.h>
#include <sys/un.h>

static bool is_public(const char *text)
{
    struct sockaddr_in in = {.sin_family = AF_INET};
    struct sockaddr_in6 in6 = {.sin6_family = AF_INET6};

    if (inet_pton(AF_INET, text, &in.sin_addr) == 1)
        return address_is_public((struct sockaddr *)&in);
    assert_int_equal(inet_pton(AF_INET6, text, &in6.sin6_addr), 1);
    return address_is_public((struct sockaddr *)&in6);
}

#define COUNT(array) (sizeof(array) / sizeof((array)[0]))

static void each_is(bool public, const char *const *texts, size_t count)
{
    for (size_t i = 0; i < count; i++) {
        if (is_public(texts[i]) != public)
            fail_msg("%s", texts[i]);
    }
}

static void first_and_last_of_each_special_ipv4_net_are_not_public(void **state)
{
    (void)state;
    static const char *const texts[] = {
        "0.0.0.0",     "0.255.255.255",   "10.0.0.0",     "10.255.255.255",
        "100.64.0.0",  "100.127.255.255", "127.0.0.0",    "127.255.255.255",
        "169.254.0.0", "169.254.169.254", "172.16.0.0",   "172.31.255.255",
        "192.0.0.0",   "192.0.0.255",     "192.0.2.0",    "192.0.2.255",
        "192.88.99.0", "192.88.99.255",   "192.168.0.0",  "192.168.255.255",
        "198.18.0.0",  "198.19.255.255",  "198.51.100.0", "198.51.100.255",
        "203.0.113.0", "203.0.113.255",   "224.0.0.0",    "239.255.255.255",
        "240.0.0.0",   "255.255.255.255", "168.63.129.16"};

    each_is(false, texts, COUNT(texts));
}

static void neighbours_of_each_special_ipv4_net_are_public(void **state)
{
    (void)state;
    static const char *const texts[] = {
        "1.0.0.0",         "9.255.255.255",   "11.0.0.0",       "100.63.255.255",
        "100.128.0.0",     "126.255.255.255", "128.0.0.0",      "169.253.255.255",
        "169.255.0.0",     "172.15.255.255",  "172.32.0.0",     "191.255.255.255",
        "192.0.1.0",       "192.0.3.0",       "192.88.98.255",  "192.88.100.0",
        "192.167.255.255", "192.169.0.0",     "198.17.255.255", "198.20.0.0",
        "198.51.99.255",   "198.51.101.0",    "203.0.112.255",  "203.0.114.0",
        "223.255.255.255", "8.8.8.8",         "168.63.129.15"};

    each_is(true, texts, COUNT(texts));
}

static void ipv6_is_public_in_global_unicast_only(void **state)
{
    (void)state;
    static const char *const no[] = {
        "::",          "::1",           "::7f00:1",      "::8.8.8.8",
        "100::1",      "1fff::1",       "4000::1",       "5f00::1",
        "fc00::1",     "fd00:ec2::254", "fe80::1",       "fec0::1",
        "ff02::1",     "2001::1",       "2001:10::1",    "2001:1ff:ffff::1",
        "2001:db8::1", "2002::1",       "2002:7f00:1::", "2002:808:808::1",
        "3fff::1",     "3fff:fff::1",   "64:ff9b:1::1"};
    static const char *const yes[] = {
        "2001:200::1", "2001:4860:4860::8888", "2606:4700::1111", "2003::1",
        "3ffe::1",     "3fff:1000::1",         "2a00::1"};

    each_is(false, no, COUNT(no));
    each_is(true, yes, COUNT(yes));
}

static void an_ipv4_address_in_an_ipv6_one_is_judged_as_itself(void **state)
{
    (void)state;
    assert_false(is_public("::ffff:127.0.0.1"));
    assert_false(is_public("::ffff:169.254.169.254"));
    assert_false(is_public("64:ff9b::10.0.0.1"));
    assert_true(is_public("::ffff:8.8.8.8"));
    assert_true(is_public("64:ff9b::8.8.8.8"));
}

static void another_family_is_not_public(void **state)
{
    (void)state;
    struct sockaddr_un un = {.sun_family = AF_UNIX};
    struct sockaddr_storage none = {.ss_family = AF_UNSPEC};

    assert_false(address_is_public((struct sockaddr *)&un));
    assert_false(address_is_public((struct sockaddr *)&none));
}

static void what_an_interface_has_is_ours(void **state)
{
    (void)state;
    struct sockaddr_in in = {.sin_family = AF_INET};
    struct sockaddr_in6 mapped = {.sin6_family = AF_INET6};
    struct sockaddr_in6 translated = {.sin6_family = AF_INET6};

    in.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
    inet_pton(AF_INET6, "::ffff:127.0.0.1", &mapped.sin6_addr);
    inet_pton(AF_INET6, "64:ff9b::127.0.0.1", &translated.sin6_addr);
    assert_true(address_is_ours((struct sockaddr *)&in));
    assert_true(address_is_ours((struct sockaddr *)&mapped));
    assert_true(address_is_ours((struct sockaddr *)&translated));
    in.sin_addr.s_addr = htonl(0x08080808);
    assert_false(address_is_ours((struct sockaddr *)&in));
}

/* No test here asks DNS or connects: each is refused before. */
static enum fetch_result fetched(const char *url)
{
    struct fetched out;
    enum fetch_result result = fetch(&out, x402_slice_of(url));

    assert_null(out.body);
    assert_int_equal(out.size, 0);
    return result;
}

static void every_spelling_of_a_private_address_is_forbidden(void **state)
{
    (void)state;
    static const char *const urls[] = {"http://127.0.0.1/",
                                       "http://127.1/",
                                       "http://0x7f.1/",
                                       "http://0x7f000001/",
                                       "http://2130706433/",
                                       "http://0177.0.0.1/",
                                       "http://017700000001/",
                                       "http://0/",
                                       "http://[::1]/",
                                       "http://[::ffff:127.0.0.1]/",
                                       "http://[::ffff:7f00:1]/",
                                       "http://[64:ff9b::a00:1]/",
                                       "http://localhost/",
                                       "http://LOCALHOST:8080/",
                                       "http://169.254.169.254/latest/meta-data/",
                                       "http://10.0.0.1/",
                                       "https://192.168.1.1/",
                                       "http://[fe80::1]/",
                                       "http://[fd00:ec2::254]/",
                                       "http://①②⑦.0.0.1/",
                                       "http://127%2e0%2e0%2e1/",
                                       "HTTP://127.0.0.1:8080/"};

    for (size_t i = 0; i < sizeof urls / sizeof urls[0]; i++) {
        if (fetched(urls[i]) != FETCH_FORBIDDEN)
            fail_msg("%s: %d", urls[i], fetched(urls[i]));
    }
}

static void what_is_no_url_of_a_page_is_bad(void **state)
{
    (void)state;
    static const char *const urls[] = {"",
                                       "example.com",
                                       "//example.com/",
                                       "http://",
                                       "file:///etc/passwd",
                                       "gopher://example.com/",
                                       "ftp://example.com/",
                                       "dict://example.com:2628/",
                                       "javascript:alert(1)",
                                       "http://user@example.com/",
                                       "http://user:secret@example.com/",
                                       "http://example.com:0/",
                                       "http://example.com:22/",
                                       "http://example.com:443/",
                                       "https://example.com:80/",
                                       "http://example.com:65536/",
                                       "http://example.com:http/",
                                       "http://exa mple.com/",
                                       "http://example.com/\r\nHost: other"};

    for (size_t i = 0; i < sizeof urls / sizeof urls[0]; i++) {
        if (fetched(urls[i]) != FETCH_BAD_URL)
            fail_msg("%s: %d", urls[i], fetched(urls[i]));
    }
}

static void a_url_with_a_zero_or_too_long_is_bad(void **state)
{
    (void)state;
    struct fetched out;
    char text[FETCH_URL_MAX + 1];

    assert_int_equal(fetch(&out, X402_SLICE("http://127.0.0.1/\0.example.com")),
                     FETCH_BAD_URL);
    memset(text, 'a', sizeof text);
    memcpy(text, "http://127.0.0.1/", 17);
    assert_int_equal(fetch(&out, (struct x402_slice){text, FETCH_URL_MAX - 1}),
                     FETCH_FORBIDDEN);
    assert_int_equal(fetch(&out, (struct x402_slice){text, FETCH_URL_MAX}),
                     FETCH_BAD_URL);
}

static void every_result_has_a_sentence(void **state)
{
    (void)state;
    for (int result = FETCH_OK; result <= FETCH_FAILED; result++)
        assert_true(strlen(fetch_result_text((enum fetch_result)result)) > 10);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(first_and_last_of_each_special_ipv4_net_are_not_public),
        cmocka_unit_test(neighbours_of_each_special_ipv4_net_are_public),
        cmocka_unit_test(ipv6_is_public_in_global_unicast_only),
        cmocka_unit_test(an_ipv4_address_in_an_ipv6_one_is_judged_as_itself),
        cmocka_unit_test(another_family_is_not_public),
        cmocka_unit_test(what_an_interface_has_is_ours),
        cmocka_unit_test(every_spelling_of_a_private_address_is_forbidden),
        cmocka_unit_test(what_is_no_url_of_a_page_is_bad),
        cmocka_unit_test(a_url_with_a_zero_or_too_long_is_bad),
        cmocka_unit_test(every_result_has_a_sentence),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
