ROOMS += ctl
ctl_DIR := userspace/ctl
ctl_PKGS := libcjson libcurl libuv
ctl_EXCLUDE := userspace/ctl/main.c
ctl_TEST_ROOMS := ctl config lab net policy identity http base
PROGRAMS += cellwall
cellwall_MAIN := userspace/ctl/main.c
cellwall_ROOMS := ctl config lab net policy identity http base

.PHONY: man
man: $(O)/bin/cellwall ## man pages: the one of the command line is made from its tables
	@mkdir -p $(O)/man
	$(Q)$(O)/bin/cellwall help --man > $(O)/man/cellwall.1
	$(Q)cp man/cellwalld.8 man/cellwalld.yaml.5 $(O)/man/
