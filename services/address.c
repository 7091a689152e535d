#include "address.h"

#include <arpa/inet.h>
#include <ifaddrs.h>
#include <netinet/in.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

struct net4 {
    uint8_t bytes[4];
    unsigned bits;
};

/* https://www.iana.org/assignments/iana-ipv4-special-registry, and multicast. */
static const struct net4 special4[] = {
    {{0, 0, 0, 0}, 8},     /* "this network", RFC 791 */
    {{10, 0, 0, 0}, 8},    /* private, RFC 1918 */
    {{100, 64, 0, 0}, 10}, /* shared between carriers, RFC 6598; a metadata service */
    {{127, 0, 0, 0}, 8},   /* loopback, RFC 1122 */
    {{168, 63, 129, 16}, 32}, /* Azure's own service, seen from its machines only */
    {{169, 254, 0, 0}, 16},   /* link local, RFC 3927; metadata services */
    {{172, 16, 0, 0}, 12},    /* private, RFC 1918 */
    {{192, 0, 0, 0}, 24},     /* protocol assignments, RFC 6890; a metadata service */
    {{192, 0, 2, 0}, 24},     /* documentation, RFC 5737 */
    {{192, 88, 99, 0}, 24},   /* 6to4 relays, RFC 7526 */
    {{192, 168, 0, 0}, 16},   /* private, RFC 1918 */
    {{198, 18, 0, 0}, 15},    /* benchmarks, RFC 2544 */
    {{198, 51, 100, 0}, 24},  /* documentation, RFC 5737 */
    {{203, 0, 113, 0}, 24},   /* documentation, RFC 5737 */
    {{224, 0, 0, 0}, 4},      /* multicast, RFC 5771 */
    {{240, 0, 0, 0}, 4},      /* reserved, RFC 1112; broadcast */
};

struct net6 {
    uint8_t bytes[16];
    unsigned bits;
};

/* 2000::/3 is all that is global unicast (RFC 4291 section 2.4). */
static const struct net6 global6 = {{0x20}, 3};

/* https://www.iana.org/assignments/iana-ipv6-special-registry, inside of 2000::/3. */
static const struct net6 special6[] = {
    {{0x20, 0x01, 0x00, 0x00}, 23}, /* protocol assignments, RFC 2928; Teredo, ORCHID */
    {{0x20, 0x01, 0x0d, 0xb8}, 32}, /* documentation, RFC 3849 */
    {{0x20, 0x02}, 16},             /* 6to4, RFC 7526: any IPv4 address in disguise */
    {{0x3f, 0xff}, 20},             /* documentation, RFC 9637 */
};

static const struct net6 mapped6 = {{[10] = 0xff, 0xff}, 96};    /* RFC 4291 */
static const struct net6 nat64 = {{0x00, 0x64, 0xff, 0x9b}, 96}; /* RFC 6052 */

static bool is_in(const uint8_t *bytes, const uint8_t *net, unsigned bits)
{
    unsigned rest = 8 - bits % 8;
    if (memcmp(bytes, net, bits / 8) != 0)
        return false;
    return bits % 8 == 0 || bytes[bits / 8] >> rest == net[bits / 8] >> rest;
}

static bool holds_ipv4(const uint8_t *bytes)
{
    return is_in(bytes, mapped6.bytes, mapped6.bits) ||
           is_in(bytes, nat64.bytes, nat64.bits);
}

static bool is_public4(const uint8_t *bytes)
{
    for (size_t i = 0; i < sizeof special4 / sizeof special4[0]; i++) {
        if (is_in(bytes, special4[i].bytes, special4[i].bits))
            return false;
    }
    return true;
}

static bool is_public6(const uint8_t *bytes)
{
    if (holds_ipv4(bytes))
        return is_public4(bytes + 12);
    for (size_t i = 0; i < sizeof special6 / sizeof special6[0]; i++) {
        if (is_in(bytes, special6[i].bytes, special6[i].bits))
            return false;
    }
    return is_in(bytes, global6.bytes, global6.bits);
}

/* The bytes of an address, and how many: 0 for another family. */
static size_t read_bytes(uint8_t out[16], const struct sockaddr *address)
{
    struct sockaddr_in in;
    struct sockaddr_in6 in6;
    if (address->sa_family == AF_INET) {
        memcpy(&in, address, sizeof in);
        memcpy(out, &in.sin_addr, 4);
        return 4;
    }
    if (address->sa_family == AF_INET6) {
        memcpy(&in6, address, sizeof in6);
        memcpy(out, &in6.sin6_addr, 16);
        return 16;
    }
    return 0;
}

bool address_is_public(const struct sockaddr *address)
{
    uint8_t bytes[16];
    size_t size = read_bytes(bytes, address);
    return size == 4 ? is_public4(bytes) : size == 16 && is_public6(bytes);
}

bool address_is_ours(const struct sockaddr *address)
{
    uint8_t bytes[16], ours[16];
    struct ifaddrs *interfaces;
    bool found = false;
    size_t size = read_bytes(bytes, address);
    if (getifaddrs(&interfaces) != 0)
        return true;
    if (size == 16 && holds_ipv4(bytes)) {
        memmove(bytes, bytes + 12, 4);
        size = 4;
    }
    for (const struct ifaddrs *i = interfaces; i != NULL && !found; i = i->ifa_next) {
        found = i->ifa_addr != NULL && read_bytes(ours, i->ifa_addr) == size &&
                memcmp(ours, bytes, size) == 0;
    }
    freeifaddrs(interfaces);
    return found;
}
