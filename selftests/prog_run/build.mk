# The data path in the kernel, packet by packet, and its parser on the host. run.sh runs the
# programs in $(O)/prog_run; test_parse is a unit test like the others.
PROG_RUN := $(patsubst selftests/prog_run/%.c,%,$(wildcard selftests/prog_run/test_*.c))
PROG_RUN_ROOMS := maps loader net policy naive identity base
PROG_RUN_OBJS := $(O)/obj/selftests/prog_run/rig.o $(O)/obj/selftests/prog_run/rig_run.o \
	$(O)/obj/selftests/harness/packet.o
$(PROG_RUN_OBJS) $(PROG_RUN:%=$(O)/obj/selftests/prog_run/%.o): \
	ROOM_CFLAGS = $(call pkg_cflags,$(sort $(foreach r,$(PROG_RUN_ROOMS),$($(r)_PKGS))) cmocka)
$(PROG_RUN:%=$(O)/prog_run/%): $(O)/prog_run/%: $(O)/obj/selftests/prog_run/%.o $(PROG_RUN_OBJS) \
		$(PROG_RUN_ROOMS:%=$(O)/lib/%.a)
	$(call say,LD,$(@F))
	@mkdir -p $(@D)
	$(Q)$(CC) $(LDFLAGS) -o $@ $(filter %.o,$^) $(call room_libs,$(PROG_RUN_ROOMS)) $(call pkg_libs,cmocka)
prog-run: $(PROG_RUN:%=$(O)/prog_run/%) $(O)/bpf/cw_tc.bpf.o $(O)/bpf/cw_xdp.bpf.o
.PHONY: prog-run

PARSE_TEST := $(O)/test/bpf/test_parse
$(PARSE_TEST): $(O)/obj/selftests/unit/bpf/test_parse.o $(O)/obj/selftests/harness/packet.o
	$(call say,LD,$(@F))
	@mkdir -p $(@D)
	$(Q)$(CC) $(LDFLAGS) -o $@ $^ $(call pkg_libs,cmocka)
DNS_TEST := $(O)/test/bpf/test_dns_wire
$(DNS_TEST): $(O)/obj/selftests/unit/bpf/test_dns_wire.o
	$(call say,LD,$(@F))
	@mkdir -p $(@D)
	$(Q)$(CC) $(LDFLAGS) -o $@ $^ $(call pkg_libs,cmocka)
TESTS += $(PARSE_TEST) $(DNS_TEST)
unit-bpf: $(PARSE_TEST) $(DNS_TEST)
	$(Q)$(PARSE_TEST) && $(DNS_TEST)
.PHONY: unit-bpf
DEPFILES += $(PROG_RUN_OBJS:.o=.d) $(PROG_RUN:%=$(O)/obj/selftests/prog_run/%.d) \
	$(O)/obj/selftests/unit/bpf/test_parse.d $(O)/obj/selftests/unit/bpf/test_dns_wire.d
