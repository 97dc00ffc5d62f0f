/* SPDX-License-Identifier: Apache-2.0 */
#include <errno.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "base/cleanup.h"
#include "base/htab.h"

static void against_model(void **state)
{
	enum { KEYS = 2000, STEPS = 200000 };
	static uintptr_t model[KEYS];
	struct htab *t = htab_new();
	size_t live = 0, seen = 0, it = 0, len;
	uint32_t rnd = 12345;
	const void *key;
	void *value;

	(void)state;
	for (int i = 0; i < STEPS; i++) {
		uint32_t k, op;

		rnd = rnd * 1664525u + 1013904223u;
		k = (rnd >> 8) % KEYS;
		op = (rnd >> 28) & 3;
		if (op < 2) {
			void *old = (void *)1;

			assert_int_equal(htab_set(t, &k, sizeof(k), (void *)(uintptr_t)(i + 1), &old), 0);
			assert_int_equal((uintptr_t)old, model[k]);
			live += model[k] == 0;
			model[k] = (uintptr_t)i + 1;
		} else if (op == 2) {
			assert_int_equal((uintptr_t)htab_del(t, &k, sizeof(k)), model[k]);
			live -= model[k] != 0;
			model[k] = 0;
		} else {
			assert_int_equal((uintptr_t)htab_get(t, &k, sizeof(k)), model[k]);
			assert_int_equal(htab_has(t, &k, sizeof(k)), model[k] != 0);
		}
		assert_int_equal(htab_count(t), live);
	}
	while (htab_next(t, &it, &key, &len, &value)) {
		uint32_t k;

		assert_int_equal(len, sizeof(k));
		memcpy(&k, key, sizeof(k));
		assert_int_equal((uintptr_t)value, model[k]);
		assert_ptr_equal(htab_del(t, key, len), value); /* of the current key: allowed */
		seen++;
	}
	assert_int_equal(seen, live);
	assert_int_equal(htab_count(t), 0);
	htab_free(t, NULL);
}

static void keys_by_bytes(void **state)
{
	struct htab *t = htab_new();
	size_t it = 0;

	(void)state;
	assert_null(htab_get(t, "a", 1));
	assert_null(htab_del(t, "a", 1));
	assert_false(htab_next(t, &it, NULL, NULL, NULL));
	assert_int_equal(htab_set(t, "", 0, strdup("empty"), NULL), 0);
	assert_int_equal(htab_set(t, "a\0b", 3, strdup("nul"), NULL), 0);
	assert_int_equal(htab_set(t, "a", 1, strdup("a"), NULL), 0);
	assert_string_equal(htab_get(t, "", 0), "empty");
	assert_string_equal(htab_get(t, "a\0b", 3), "nul");
	assert_null(htab_get(t, "a\0c", 3));
	htab_free(t, free);
	htab_free(NULL, free);
}

static void u64_keys(void **state)
{
	struct htab *t = htab_new();

	(void)state;
	assert_int_equal(htab_set_u64(t, 1, (void *)10), 0);
	assert_int_equal(htab_set_u64(t, 1ull << 32, (void *)20), 0);
	assert_ptr_equal(htab_get_u64(t, 1ull << 32), (void *)20);
	assert_ptr_equal(htab_del_u64(t, 1), (void *)10);
	assert_null(htab_get_u64(t, 1));
	htab_free(t, NULL);
}

/* Reference values of SipHash-1-3 are keyed by 128 bits; here only what callers rely on. */
static void hashing(void **state)
{
	char buf[64] = "";

	(void)state;
	assert_true(hash_bytes(1, "abc", 3) == hash_bytes(1, "abc", 3));
	assert_true(hash_bytes(1, "abc", 3) != hash_bytes(2, "abc", 3));
	for (size_t n = 0; n < sizeof(buf); n++)
		for (size_t m = 0; m < n; m++)
			assert_true(hash_bytes(7, buf, n) != hash_bytes(7, buf, m));
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(against_model), cmocka_unit_test(keys_by_bytes),
		cmocka_unit_test(u64_keys),	 cmocka_unit_test(hashing),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
