ROOMS += store
store_DIR := userspace/store
store_PKGS := sqlite3 libcjson
store_TEST_ROOMS := store flow identity policy base
