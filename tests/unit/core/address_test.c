#include "unit/core/support.h"

/* The examples of EIP-55. */
static const char *const checksummed[] = {
    "0x52908400098527886E0F7030069857D2E4169EE7",
    "0x8617E340B3D01FA5F11F306F4090FD50E238070D",
    "0xde709f2102306220921060314715629080e2fb77",
    "0x27b1fdb04752bbc536007a920d24acb045561c26",
    "0x5aAeb6053F3E94C9b9A09f33669435E7Ef1BeAed",
    "0xfB6916095ca1df60bB79Ce92cE3Ea74c37c5d359",
    "0xdbF03B407c01E7cD3CBea99509d93f8DDDC8C6FB",
    "0xD1220A0cf47c7B9Be7A2E6BA89F429762e7b9aDb",
};

#define COUNT (sizeof checksummed / sizeof checksummed[0])

static void eip_55_examples_hold_both_ways(void **state)
{
    (void)state;
    uint8_t address[20];
    char text[X402_ADDRESS_TEXT_SIZE];

    for (size_t i = 0; i < COUNT; i++) {
        assert_int_equal(x402_address_decode(address, x402_slice_of(checksummed[i])),
                         X402_OK);
        x402_address_encode(text, address);
        assert_string_equal(text, checksummed[i]);
    }
}

static void one_case_needs_no_checksum(void **state)
{
    (void)state;
    uint8_t address[20];

    assert_int_equal(
        x402_address_decode(address,
                            X402_SLICE("0x036cbd53842c5426634e7929541ec2318f3dcf7e")),
        X402_OK);
    assert_int_equal(
        x402_address_decode(address,
                            X402_SLICE("0x036CBD53842C5426634E7929541EC2318F3DCF7E")),
        X402_OK);
    assert_hex(address, 20, "036cbd53842c5426634e7929541ec2318f3dcf7e");
}

static void a_letter_of_the_wrong_case_is_refused(void **state)
{
    (void)state;
    uint8_t address[20];
    char text[X402_ADDRESS_TEXT_SIZE];

    for (size_t at = 2; at < 42; at++) {
        memcpy(text, checksummed[4], sizeof text);
        if (text[at] < 'A')
            continue;
        text[at] ^= 0x20;
        assert_int_equal(x402_address_decode(address, x402_slice_of(text)),
                         X402_ERR_ADDRESS);
    }
}

static void other_forms_are_refused(void **state)
{
    (void)state;
    static const char *const texts[] = {
        "",
        "0x",
        "036cbd53842c5426634e7929541ec2318f3dcf7e",
        "0X036cbd53842c5426634e7929541ec2318f3dcf7e",
        "0x036cbd53842c5426634e7929541ec2318f3dcf7",
        "0x036cbd53842c5426634e7929541ec2318f3dcf7e0",
        "0x036cbd53842c5426634e7929541ec2318f3dcf7g",
        " 0x036cbd53842c5426634e7929541ec2318f3dcf7",
    };
    uint8_t address[20] = {0xaa};

    for (size_t i = 0; i < sizeof texts / sizeof texts[0]; i++)
        assert_int_equal(x402_address_decode(address, x402_slice_of(texts[i])),
                         X402_ERR_ADDRESS);
    assert_int_equal(address[0], 0xaa);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(eip_55_examples_hold_both_ways),
        cmocka_unit_test(one_case_needs_no_checksum),
        cmocka_unit_test(a_letter_of_the_wrong_case_is_refused),
        cmocka_unit_test(other_forms_are_refused),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
