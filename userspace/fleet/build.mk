ROOMS += fleet
fleet_DIR := userspace/fleet
fleet_PKGS := libcjson libuv openssl zlib
fleet_TEST_ROOMS := fleet wire policy identity base
