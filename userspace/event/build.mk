ROOMS += event
event_DIR := userspace/event
event_PKGS := libbpf libuv
event_TEST_ROOMS := event base
