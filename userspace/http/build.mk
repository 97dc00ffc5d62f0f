ROOMS += http
http_DIR := userspace/http
http_PKGS := libwebsockets libcurl openssl libuv libcjson
# The library loads its libuv part at run time and unloads it below its own feet: linked, it stays.
http_LIBS := -Wl,--push-state,--no-as-needed,-lwebsockets-evlib_uv,--pop-state
http_TEST_ROOMS := http base
