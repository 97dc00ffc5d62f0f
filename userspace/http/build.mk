ROOMS += http
http_DIR := userspace/http
http_PKGS := libwebsockets libcurl openssl libuv libcjson
http_TEST_ROOMS := http base
