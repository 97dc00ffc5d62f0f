ROOMS += net
net_DIR := userspace/net
net_PKGS := libnl-3.0 libnl-route-3.0 libmnl libuv
net_TEST_ROOMS := net base
