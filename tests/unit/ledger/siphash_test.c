#include "fixture.h"

#include "ledger/siphash.h"

/* The reference implementation's vectors: key 00 01 … 0f, input 00 01 … of each size.
 */
static void siphash_is_the_references(void **state)
{
    static const uint64_t expected[] = {
        0x726fdb47dd0e0e31, 0x74f839c593dc67fd, 0x0d6c8009d9a94f5a, 0x85676696d7fb7e2d,
        0xcf2794e0277187b7, 0x18765564cd99a68d, 0xcbc9466e58fee3ce, 0xab0200f58b01d137,
        0x93f5f5799a932462, 0x9e0082df0ba9e4b0, 0x7a5dbbc594ddb9f3, 0xf4b32f46226bada7,
        0x751e8fbc860ee5fb, 0x14ea5627c0843d90, 0xf723ca908e7af2ee, 0xa129ca6149be45e5};
    uint8_t bytes[16];

    (void)state;
    for (size_t i = 0; i < 16; i++) {
        bytes[i] = (uint8_t)i;
    }
    for (size_t i = 0; i < 16; i++) {
        assert_true(x402_siphash(bytes, bytes, i) == expected[i]);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(siphash_is_the_references),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
