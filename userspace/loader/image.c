/* SPDX-License-Identifier: Apache-2.0 */
/* image.c - the images built into the program. The only file that names generated headers. */
#include "loader/object.h"

#include "cw_tc.skel.h"
#include "cw_xdp.skel.h"

struct loader_image loader_image_tc(void)
{
	struct loader_image img = { .name = "cw_tc" };

	img.elf = cw_tc__elf_bytes(&img.size);
	return img;
}

struct loader_image loader_image_xdp(void)
{
	struct loader_image img = { .name = "cw_xdp" };

	img.elf = cw_xdp__elf_bytes(&img.size);
	return img;
}
