ROOMS += daemon
daemon_DIR := userspace/daemon
daemon_EXCLUDE := userspace/daemon/main.c
PROGRAMS += cellwalld
cellwalld_MAIN := userspace/daemon/main.c
cellwalld_ROOMS := daemon agent link fleet wire controller cluster kube config http store flow topology policy identity loader maps \
	event net adapters cniplugin base
