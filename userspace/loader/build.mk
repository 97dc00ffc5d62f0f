ROOMS += loader
loader_DIR := userspace/loader
loader_PKGS := libbpf libelf libuv
loader_TEST_ROOMS := loader maps net base
loader_ORDER := $(O)/gen/cw_tc.skel.h $(O)/gen/cw_xdp.skel.h
