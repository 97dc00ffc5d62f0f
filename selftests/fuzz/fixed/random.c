/* SPDX-License-Identifier: Apache-2.0 */
/*
 * random.c - takes the place of getrandom(2) in the fuzzers: hash tables seeded anew in each run would
 * order their contents anew, and the same inputs would not take the same ways.
 */
#include <stdint.h>
#include <sys/random.h>

ssize_t getrandom(void *buf, size_t len, unsigned int flags)
{
	static uint64_t x = 0x9e3779b97f4a7c15ull;
	unsigned char *p = buf;

	(void)flags;
	for (size_t i = 0; i < len; i++) {
		x = x * 6364136223846793005ull + 1442695040888963407ull;
		p[i] = (unsigned char)(x >> 56);
	}
	return (ssize_t)len;
}
