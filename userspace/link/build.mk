ROOMS += link
link_DIR := userspace/link
link_PKGS := libcjson libuv openssl zlib sqlite3
link_TEST_ROOMS := link wire store flow policy identity base
