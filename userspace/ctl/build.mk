ROOMS += ctl
ctl_DIR := userspace/ctl
ctl_PKGS := libcjson libcurl libuv
ctl_EXCLUDE := userspace/ctl/main.c
ctl_TEST_ROOMS := ctl config lab net policy identity http base
PROGRAMS += cellwall
cellwall_MAIN := userspace/ctl/main.c
cellwall_ROOMS := ctl config lab net policy identity http base

.PHONY: man
man: $(O)/bin/cellwall ## write docs/man from the tables of commands, flags and keys
	$(Q)$(O)/bin/cellwall help --man >docs/man/cellwall.1
	$(Q)$(O)/bin/cellwall help --man cellwalld.yaml >docs/man/cellwalld.yaml.5
