/* Against libsecp256k1's field, by Horner's rule: whatever the limbs are. */
#include "evm/group.h"
#include "unit/evm/eight.h"

#if X402_GROUP && defined(__x86_64__)

#include "evm/field8.h"

#define LANES 8
#define COLUMNS 10
#define ROUNDS 2000
#define BELOW(bits) ((UINT64_C(1) << (bits)) - 1)

/* As struct field8 lies in memory. */
struct eight {
    _Alignas(64) uint64_t n[FIELD8_LIMBS][LANES];
};

_Static_assert(sizeof(struct eight) == sizeof(struct field8), "as said");

/* The largest limbs that the header allows. */
static const uint64_t carried[FIELD8_LIMBS] = {BELOW(52), BELOW(52), BELOW(52),
                                               BELOW(52), BELOW(49)};
static const uint64_t loose[FIELD8_LIMBS] = {BELOW(62), BELOW(62), BELOW(62), BELOW(62),
                                             BELOW(62)};
static const uint64_t half_loose[FIELD8_LIMBS] = {BELOW(61), BELOW(61), BELOW(61),
                                                  BELOW(61), BELOW(61)};

/* Carried numbers at an edge. */
static const uint64_t edges[][FIELD8_LIMBS] = {
    {0, 0, 0, 0, 0},
    {1, 0, 0, 0, 0},
    {2, 0, 0, 0, 0},
    {0xFFFFEFFFFFC2E, BELOW(52), BELOW(52), BELOW(52), BELOW(48)}, /* p - 1 */
    {0xFFFFEFFFFFC2F, BELOW(52), BELOW(52), BELOW(52), BELOW(48)}, /* p */
    {0xFFFFEFFFFFC30, BELOW(52), BELOW(52), BELOW(52), BELOW(48)}, /* p + 1 */
    {0xFFFFDFFFFF85D, BELOW(52), BELOW(52), BELOW(52), BELOW(49)}, /* 2 p - 1 */
    {0xFFFFDFFFFF85E, BELOW(52), BELOW(52), BELOW(52), BELOW(49)}, /* 2 p */
    {0xFFFFDFFFFF85F, BELOW(52), BELOW(52), BELOW(52), BELOW(49)}, /* 2 p + 1 */
    {BELOW(52), BELOW(52), BELOW(52), BELOW(52), BELOW(48)},       /* 2^256 - 1 */
    {0, 0, 0, 0, BELOW(48) + 1},                                   /* 2^256 */
    {BELOW(52), BELOW(52), BELOW(52), BELOW(52), BELOW(49)}, /* as large as can be */
    {BELOW(52), 0, 0, 0, 0},
    {0, BELOW(52), 0, BELOW(52), 0},
    {BELOW(52), 0, BELOW(52), 0, BELOW(49)},
    {0, 0, 0, 0, BELOW(49)},
};

#define EDGES (sizeof edges / sizeof edges[0])

/* ------------------------------------------------------------------------- the numbers
 */

static secp256k1_fe number_of(uint64_t value)
{
    uint8_t bytes32[32] = {0};
    secp256k1_fe out;

    for (int i = 0; i < 8; i++)
        bytes32[31 - i] = (uint8_t)(value >> (8 * i));
    assert_true(secp256k1_fe_set_b32(&out, bytes32));
    return out;
}

static secp256k1_fe plus(const secp256k1_fe *a, const secp256k1_fe *b)
{
    secp256k1_fe out = *a;

    secp256k1_fe_add(&out, b);
    secp256k1_fe_normalize_var(&out);
    return out;
}

static secp256k1_fe minus(const secp256k1_fe *a, const secp256k1_fe *b)
{
    secp256k1_fe opposite;

    secp256k1_fe_negate(&opposite, b, 1);
    return plus(a, &opposite);
}

static secp256k1_fe times(const secp256k1_fe *a, const secp256k1_fe *b)
{
    secp256k1_fe out;

    secp256k1_fe_mul(&out, a, b);
    secp256k1_fe_normalize_var(&out);
    return out;
}

/* What words of weight 1, 2^52, 2^104 ... come to, normalized. */
static secp256k1_fe horner(const uint64_t words[][LANES], int count, int lane)
{
    const secp256k1_fe weight = number_of(UINT64_C(1) << 52);
    secp256k1_fe out = number_of(0), word;

    for (int i = count - 1; i >= 0; i--) {
        word = number_of(words[i][lane]);
        out = times(&out, &weight);
        out = plus(&out, &word);
    }
    return out;
}

static secp256k1_fe value_of(const struct eight *eight, int lane)
{
    return horner(eight->n, FIELD8_LIMBS, lane);
}

static void assert_same(const secp256k1_fe *is, const secp256k1_fe *should)
{
    assert_int_equal(secp256k1_fe_cmp_var(is, should), 0);
}

static void assert_at_most(const struct eight *eight, const uint64_t max[FIELD8_LIMBS])
{
    for (int i = 0; i < FIELD8_LIMBS; i++)
        for (int lane = 0; lane < LANES; lane++)
            assert_true(eight->n[i][lane] <= max[i]);
}

/* Any limb up to max, which is 2^n - 1: often at an edge. */
static uint64_t take_limb(uint64_t max)
{
    const uint64_t bit = UINT64_C(1) << eight_random() % 64 & max;

    switch (eight_random() % 10) {
    case 0:
        return 0;
    case 1:
        return 1;
    case 2:
        return max;
    case 3:
        return max - 1;
    case 4:
        return bit;
    case 5:
        return max ^ bit;
    default:
        return eight_random() & max;
    }
}

/* Limbs up to max, in each lane others: some lanes at random, some at edges. */
static struct eight take_eight(const uint64_t max[FIELD8_LIMBS])
{
    struct eight out;

    for (int lane = 0; lane < LANES; lane++) {
        const uint64_t *edge = edges[eight_random() % EDGES];
        const unsigned form = (unsigned)(eight_random() % 8);
        for (int i = 0; i < FIELD8_LIMBS; i++)
            out.n[i][lane] = form == 0   ? edge[i]
                             : form == 1 ? max[i]
                             : form < 4  ? eight_random() & max[i]
                                         : take_limb(max[i]);
    }
    return out;
}

static struct eight all_at(const uint64_t limbs[FIELD8_LIMBS])
{
    struct eight out;

    for (int i = 0; i < FIELD8_LIMBS; i++)
        for (int lane = 0; lane < LANES; lane++)
            out.n[i][lane] = limbs[i];
    return out;
}

/* ---------------------------------------------------------------------- an operation
 */

typedef void operation(struct field8 *out, const struct field8 *a,
                       const struct field8 *b);
typedef secp256k1_fe reference(const secp256k1_fe *a, const secp256k1_fe *b);

/* An operation, what it should give, and limbs up to which it takes and gives. */
struct rule {
    operation *apply;
    reference *should;
    const uint64_t *a_max, *b_max, *out_max;
};

static struct eight apply(operation *operate, const struct eight *a,
                          const struct eight *b)
{
    struct field8 out, first, second;
    struct eight result;

    memcpy(&first, a, sizeof first);
    memcpy(&second, b, sizeof second);
    operate(&out, &first, &second);
    memcpy(&result, &out, sizeof result);
    operate(&first, &first, &second);
    assert_memory_equal(&result, &first, sizeof result);
    memcpy(&first, a, sizeof first);
    operate(&second, &first, &second);
    assert_memory_equal(&result, &second, sizeof result);
    return result;
}

static void assert_applied(const struct rule *rule, const struct eight *a,
                           const struct eight *b)
{
    const struct eight is = apply(rule->apply, a, b);

    assert_at_most(&is, rule->out_max);
    for (int lane = 0; lane < LANES; lane++) {
        const secp256k1_fe first = value_of(a, lane), second = value_of(b, lane);
        const secp256k1_fe got = value_of(&is, lane);
        const secp256k1_fe should = rule->should(&first, &second);
        assert_same(&got, &should);
    }
}

/* Both are one, and so is the result. */
static void assert_applied_to_itself(const struct rule *rule, const struct eight *a)
{
    const struct eight is = apply(rule->apply, a, a);
    struct field8 all;

    assert_applied(rule, a, a);
    memcpy(&all, a, sizeof all);
    rule->apply(&all, &all, &all);
    assert_memory_equal(&is, &all, sizeof is);
}

/* Of what is at random, of all pairs of edges, and of all that is as large as can be.
 */
static void assert_obeyed(const struct rule *rule)
{
    struct eight a, b;

    for (int round = 0; round < ROUNDS; round++) {
        a = take_eight(rule->a_max);
        b = take_eight(rule->b_max);
        assert_applied(rule, &a, &b);
        if (rule->a_max == rule->b_max)
            assert_applied_to_itself(rule, &a);
    }
    for (size_t i = 0; i < EDGES; i++)
        for (size_t j = 0; j < EDGES; j++) {
            a = all_at(edges[i]);
            b = all_at(edges[j]);
            assert_applied(rule, &a, &b);
        }
    a = all_at(rule->a_max);
    b = all_at(rule->b_max);
    assert_applied(rule, &a, &b);
}

/* ------------------------------------------------------------------------ the products
 */

static void product_of_carried_ones_is_carried_and_right(void **state)
{
    static const struct rule rule = {field8_mul, times, carried, carried, carried};

    (void)state;
    eight_or_skip();
    assert_obeyed(&rule);
}

FIELD8_CODE static void square_first(struct field8 *out, const struct field8 *a,
                                     const struct field8 *b)
{
    (void)b;
    field8_sqr(out, a);
}

static secp256k1_fe first_squared(const secp256k1_fe *a, const secp256k1_fe *b)
{
    (void)b;
    return times(a, a);
}

static void square_of_a_carried_one_is_carried_and_right(void **state)
{
    static const struct rule rule = {square_first, first_squared, carried, carried,
                                     carried};

    (void)state;
    eight_or_skip();
    assert_obeyed(&rule);
}

struct columns {
    _Alignas(64) uint64_t low[COLUMNS][LANES], high[COLUMNS][LANES];
};

/* Sums up to 2^57 - 1, and up to 2^51 - 1 of the last, shared out in any way. */
static struct columns take_columns(bool all_are_largest)
{
    struct columns out;

    for (int k = 0; k < COLUMNS; k++)
        for (int lane = 0; lane < LANES; lane++) {
            const uint64_t max = k == COLUMNS - 1 ? BELOW(51) : BELOW(57);
            const uint64_t sum = all_are_largest ? max : take_limb(max);
            out.high[k][lane] = eight_random() % (sum + 1);
            out.low[k][lane] = sum - out.high[k][lane];
        }
    return out;
}

FIELD8_CODE static struct eight reduce_columns(const struct columns *columns)
{
    __m512i low[COLUMNS], high[COLUMNS];
    struct field8 out;
    struct eight result;

    memcpy(low, columns->low, sizeof low);
    memcpy(high, columns->high, sizeof high);
    field8_reduce(&out, low, high);
    memcpy(&result, &out, sizeof result);
    return result;
}

static void columns_up_to_their_bounds_are_reduced(void **state)
{
    (void)state;
    eight_or_skip();
    for (int round = 0; round < ROUNDS; round++) {
        const struct columns columns = take_columns(round % 16 == 0);
        const struct eight is = reduce_columns(&columns);
        assert_at_most(&is, carried);
        for (int lane = 0; lane < LANES; lane++) {
            const secp256k1_fe low = horner(columns.low, COLUMNS, lane);
            const secp256k1_fe high = horner(columns.high, COLUMNS, lane);
            const secp256k1_fe should = plus(&low, &high), got = value_of(&is, lane);
            assert_same(&got, &should);
        }
    }
}

/* ---------------------------------------------------------------- what is then carried
 */

FIELD8_CODE static void carry_first(struct field8 *out, const struct field8 *a,
                                    const struct field8 *b)
{
    (void)b;
    field8_carry(out, a);
}

static secp256k1_fe first_of(const secp256k1_fe *a, const secp256k1_fe *b)
{
    (void)b;
    return *a;
}

static void loose_one_is_carried(void **state)
{
    static const struct rule rule = {carry_first, first_of, loose, loose, carried};

    (void)state;
    eight_or_skip();
    assert_obeyed(&rule);
}

static void sum_is_loose_while_its_limbs_are(void **state)
{
    static const struct rule rule = {field8_add, plus, half_loose, half_loose, loose};

    (void)state;
    eight_or_skip();
    assert_obeyed(&rule);
}

/* `count` carried ones added up, in each lane others. */
static struct eight take_sum(unsigned count, bool all_are_largest)
{
    struct eight out = {{{0}}};

    for (unsigned i = 0; i < count; i++) {
        const struct eight one =
            all_are_largest ? all_at(carried) : take_eight(carried);
        for (int j = 0; j < FIELD8_LIMBS; j++)
            for (int lane = 0; lane < LANES; lane++)
                out.n[j][lane] += one.n[j][lane];
    }
    return out;
}

static void difference_is_loose_of_up_to_15_carried_ones_added_up(void **state)
{
    static const struct rule rule = {field8_sub, minus, half_loose, carried, loose};
    static const struct rule of_one = {field8_sub, minus, carried, carried, loose};
    struct eight a, b;

    (void)state;
    eight_or_skip();
    assert_obeyed(&rule);
    assert_obeyed(&of_one);
    for (unsigned round = 0; round < ROUNDS; round++) {
        a = round % 3 == 0 ? all_at(edges[0]) : take_eight(half_loose);
        b = take_sum(round % 16, round % 5 == 0);
        assert_applied(&rule, &a, &b);
    }
}

static unsigned shifted_by;

FIELD8_CODE static void shift_first(struct field8 *out, const struct field8 *a,
                                    const struct field8 *b)
{
    (void)b;
    field8_shift(out, a, shifted_by);
}

static secp256k1_fe first_shifted(const secp256k1_fe *a, const secp256k1_fe *b)
{
    const secp256k1_fe factor = number_of(UINT64_C(1) << shifted_by);

    (void)b;
    return times(a, &factor);
}

static void shift_by_up_to_8_bits_is_loose(void **state)
{
    static const struct rule rule = {shift_first, first_shifted, carried, carried,
                                     loose};

    (void)state;
    eight_or_skip();
    for (shifted_by = 0; shifted_by <= 8; shifted_by++)
        assert_obeyed(&rule);
}

/* ----------------------------------------------------------------------- lane by lane
 */

FIELD8_CODE static struct eight choose(unsigned which, const struct eight *a,
                                       const struct eight *b)
{
    struct field8 out, first, second;
    struct eight result;

    memcpy(&first, a, sizeof first);
    memcpy(&second, b, sizeof second);
    field8_choose(&out, (__mmask8)which, &first, &second);
    memcpy(&result, &out, sizeof result);
    field8_choose(&first, (__mmask8)which, &first, &second);
    assert_memory_equal(&result, &first, sizeof result);
    memcpy(&first, a, sizeof first);
    field8_choose(&second, (__mmask8)which, &first, &second);
    assert_memory_equal(&result, &second, sizeof result);
    return result;
}

static void each_lane_is_chosen_by_its_bit(void **state)
{
    (void)state;
    eight_or_skip();
    for (unsigned which = 0; which < 256; which++) {
        const struct eight a = take_eight(loose), b = take_eight(loose);
        const struct eight is = choose(which, &a, &b);
        for (int i = 0; i < FIELD8_LIMBS; i++)
            for (int lane = 0; lane < LANES; lane++)
                assert_int_equal(is.n[i][lane],
                                 (which >> lane & 1 ? &a : &b)->n[i][lane]);
    }
}

FIELD8_CODE static void store_all(uint64_t out[LANES], uint64_t value)
{
    _mm512_storeu_si512(out, field8_all(value));
}

static void a_value_is_in_all_lanes(void **state)
{
    static const uint64_t values[] = {0,         1,          BELOW(52),
                                      BELOW(62), UINT64_MAX, UINT64_C(1) << 63};
    uint64_t out[LANES];

    (void)state;
    eight_or_skip();
    for (size_t i = 0; i < sizeof values / sizeof values[0]; i++) {
        store_all(out, values[i]);
        for (int lane = 0; lane < LANES; lane++)
            assert_int_equal(out[lane], values[i]);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(product_of_carried_ones_is_carried_and_right),
        cmocka_unit_test(square_of_a_carried_one_is_carried_and_right),
        cmocka_unit_test(columns_up_to_their_bounds_are_reduced),
        cmocka_unit_test(loose_one_is_carried),
        cmocka_unit_test(sum_is_loose_while_its_limbs_are),
        cmocka_unit_test(difference_is_loose_of_up_to_15_carried_ones_added_up),
        cmocka_unit_test(shift_by_up_to_8_bits_is_loose),
        cmocka_unit_test(each_lane_is_chosen_by_its_bit),
        cmocka_unit_test(a_value_is_in_all_lanes),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}

#else

int main(void)
{
    return eight_skip_all();
}

#endif
