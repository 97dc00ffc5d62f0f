ROOMS += maps
maps_DIR := userspace/maps
maps_PKGS := libbpf
maps_TEST_ROOMS := maps loader net policy identity base
