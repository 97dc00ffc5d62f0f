/* SPDX-License-Identifier: Apache-2.0 */
/*
 * torture.h - lets the n-th allocation of the process fail, and counts what is not freed. Defines
 * malloc and its kin over glibc's own: include it in one file of a test program only.
 * Under a sanitizer, which brings its own allocator, TORTURE is 0.
 */
#pragma once

#include <errno.h>
#include <stdbool.h>
#include <stddef.h>

#if defined(__SANITIZE_ADDRESS__)
#define TORTURE 0
#elif defined(__has_feature)
#if __has_feature(address_sanitizer)
#define TORTURE 0
#endif
#endif
#ifndef TORTURE
#define TORTURE 1
#endif

static long torture_left = -1; /* allocations until one fails; negative: none fails */
static bool torture_hit;
static long torture_live;

#if TORTURE
void *__libc_malloc(size_t n);
void *__libc_calloc(size_t n, size_t size);
void *__libc_realloc(void *p, size_t n);
void __libc_free(void *p);

static bool torture_fails(void)
{
	if (torture_left < 0)
		return false;
	if (torture_left-- > 0)
		return false;
	torture_hit = true;
	errno = ENOMEM;
	return true;
}

__attribute__((visibility("default"))) void *malloc(size_t n)
{
	void *p = torture_fails() ? NULL : __libc_malloc(n);

	torture_live += p != NULL;
	return p;
}

__attribute__((visibility("default"))) void *calloc(size_t n, size_t size)
{
	void *p = torture_fails() ? NULL : __libc_calloc(n, size);

	torture_live += p != NULL;
	return p;
}

__attribute__((visibility("default"))) void *realloc(void *old, size_t n)
{
	void *p;

	if (torture_fails())
		return NULL;
	p = __libc_realloc(old, n);
	torture_live += p && !old;
	return p;
}

__attribute__((visibility("default"))) void free(void *p)
{
	torture_live -= p != NULL;
	__libc_free(p);
}
#endif
