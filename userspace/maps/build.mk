ROOMS += maps
maps_DIR := userspace/maps
maps_PKGS := libbpf
maps_TEST_ROOMS := maps policy identity base
