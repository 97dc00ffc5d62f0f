ROOMS += wire
wire_DIR := userspace/wire
wire_PKGS := libcjson libuv openssl zlib
wire_TEST_ROOMS := wire policy identity base
