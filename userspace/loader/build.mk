ROOMS += loader
loader_DIR := userspace/loader
loader_PKGS := libbpf libelf
loader_TEST_ROOMS := loader maps net base
