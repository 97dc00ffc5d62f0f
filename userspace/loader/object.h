/* SPDX-License-Identifier: Apache-2.0 */
/*
 * object.h - BPF objects in the kernel: size, load, pin, adopt, switch, carry over.
 *
 *   <root>/entry                          the entry program array; never made again
 *   <root>/entry_xdp                      the same for XDP
 *   <root>/links/...                      attachments (hooks.h)
 *   <root>/stubs/...
 *   <root>/v<ABI>-<layout>-<n>/map_<name> one set of maps: same ABI, layout and sizes
 *   <root>/v<ABI>-<layout>-<n>/run-<k>/   one load of programs on it: prog_<name>, and map_<name>
 *                                         of the program arrays that belong to them
 *
 * <layout> is a hash over type, sizes, flags and the type information of keys and values of
 * every map, so that maps of another shape or size are never taken for ours. A set is staged in
 * <root>/new-<pid> and renamed when complete: what has its final name is whole.
 *
 * Nothing here is thread-safe; calls block for milliseconds (loading: some ten).
 */
#pragma once

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/fail.h"
#include "loader/features.h"

struct loader_set;

struct loader_image {
	const char *name;
	const void *elf;
	size_t size;
};
/* The images built into this program. */
struct loader_image loader_image_tc(void);
struct loader_image loader_image_xdp(void);

struct loader_size {
	const char *map;	/* "cw_flow4" */
	uint32_t max_entries;
};
/* A `const volatile` integer of the image's .rodata. */
struct loader_const {
	const char *name;
	uint64_t value;
};

struct loader_config {
	const char *root;	/* pin root on a BPF file system; NULL: CW_PIN_ROOT */
	const char *main_prog;	/* goes into the entry slot; NULL: "cw_main" */
	const struct loader_size *sizes;
	size_t nsizes;
	const struct loader_const *consts;
	size_t nconsts;
	bool fresh;		/* never adopt: load a set of its own */
};

/*
 * Opens the image, sizes its maps and loads it. If the newest set under the root has the same
 * ABI, layout and sizes it is adopted (its maps, with what is in them); otherwise a fresh set is
 * made beside. Programs are always this image's. Nothing judges packets with the new programs
 * before loader_set_activate(). Program arrays other than the entry belong to the programs (the
 * image fills them) and are made anew each time. A map named cw_entry is the entry array.
 *
 * -EPERM; -ENOENT a size or const names nothing in the image; -ERANGE a const does not fit;
 * -EPROTO the entry pin is not a program array; -ENOTSUP no BPF file system at the root; else
 * what the kernel said, with the verifier's last lines in f.
 */
int loader_set_load(const struct loader_image *img, const struct loader_config *cfg,
		    struct fail_list *f, struct loader_set **ret);
/* Closes; pins and what is in force stay. */
void loader_set_free(struct loader_set *s);

/* True when standing maps were taken over: flows, accesses and policy are in them. */
bool loader_set_adopted(const struct loader_set *s);
/*
 * True when the programs in force work on this set's maps. Adopted but not in force: a former
 * process made the set and was killed before it activated it; treat it like a fresh one.
 */
bool loader_set_in_force(const struct loader_set *s);
/* Name of the set's directory under the root, "v1-0123456789abcdef-1". */
const char *loader_set_name(const struct loader_set *s);

/*
 * Puts this set's programs in force: one store into the entry array for all attachments. Then
 * waits until no packet is left in the programs before (about 10 ms) and unpins those. Killed
 * at any point it leaves a working data path, old or new. An attachment was never without a
 * program meanwhile. May be repeated.
 */
int loader_set_activate(struct loader_set *s);
/* Only for uninstall: the standing entry array, for hooks_open(); the caller closes it. -ENOENT: none. */
int loader_entry_open(const char *root, int *ret_fd);
/* Only for uninstall: empties the entry; stubs then answer as they were made to. */
int loader_entry_clear(const char *root);

/* Borrowed descriptors, valid until loader_set_free(). -ENOENT. */
int loader_set_map_fd(const struct loader_set *s, const char *map);
int loader_set_prog_fd(const struct loader_set *s, const char *prog);
int loader_set_entry_fd(const struct loader_set *s);
/*
 * Puts the named XDP program of an added image into the XDP entry whenever the set is activated.
 * *ret_fd is the entry array, borrowed, for hooks_set_xdp_entry(). -ENOENT no such program.
 */
int loader_set_use_xdp(struct loader_set *s, const char *prog, int *ret_fd);
/* The same shape as a callback, for maps_open(). `set` is a struct loader_set. */
int loader_fd_of(void *set, const char *map);

/*
 * A second image that shares the set's maps (XDP): maps of the same name and shape are shared,
 * others are its own. -EPROTO when a shared name has another shape. The set keeps it open.
 */
int loader_set_add(struct loader_set *s, const struct loader_image *img,
		   const struct loader_const *consts, size_t nconsts, struct fail_list *f);

/* Other sets standing under the root (older layouts or sizes, left by an upgrade), newest first. */
int loader_old_list(const struct loader_set *s,
		    int (*fn)(void *arg, const char *name), void *arg);
/* Unpins an old set; the kernel frees it with its last user. -EBUSY for the set itself. */
int loader_old_remove(const struct loader_set *s, const char *name);

/* The maps of an old set, for maps_open(): zero-initialise but for set and name, pass
 * loader_old_fd_of() with it, close afterwards. */
struct loader_old {
	const struct loader_set *set;
	const char *name;
	int fds[64];
	unsigned n;
};
int loader_old_fd_of(void *old, const char *map);
void loader_old_close(struct loader_old *o);
/* Does the program in the entry slot use this set's maps? 1, 0, or a negative errno. */
int loader_old_in_force(const struct loader_set *s, const char *name);

struct loader_carried {
	uint64_t flows;	  /* carried over */
	uint64_t refused; /* had no room, or stood there already */
	uint32_t tables;  /* tables whose layouts could be matched, of 2 */
};
/*
 * Copies the flow entries of an old set into this one, field by field by the names in both
 * sets' type information. A field that is new is zero, one that is gone is dropped; integers
 * may change width when the value fits. Keys must match in full, else that table is skipped.
 * Generations are zeroed: every flow is judged again at its next packet, under its original
 * direction. Existing entries win. Also to be called a second time after loader_set_activate(),
 * for flows opened in between. Milliseconds per 10,000 flows: call it off the loop.
 */
int loader_migrate_flows(struct loader_set *s, const char *old_name, struct loader_carried *ret);

/* Kernel ticks per second, measured (two ticks and 40 ms apart). -ENODATA: not measurable. */
int loader_hz(uint32_t *ret);
/*
 * Removes every pin of ours under the root, attachments first, and the root. For uninstall, after
 * hooks_detach() of what hooks_list() tells: a clsact filter does not go away with its pin.
 */
int loader_uninstall(const char *root);
