ROOMS += kube
kube_DIR := userspace/kube
kube_PKGS := libcurl libuv libcjson openssl zlib
kube_TEST_ROOMS := kube base
