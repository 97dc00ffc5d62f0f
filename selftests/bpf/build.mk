# Objects for tests of the loader: the same skeleton rule, another source folder.
$(O)/bpf/%.bpf.o: selftests/bpf/%.bpf.c
	$(call say,BPF,$<)
	@mkdir -p $(@D)
	$(Q)$(CLANG) $(BPF_CFLAGS) -MMD -MP -c $< -o $@

$(patsubst selftests/%.c,$(O)/obj/selftests/%.o,$(wildcard selftests/unit/userspace/loader/test_*.c)): | \
	$(O)/gen/cw_tiny.skel.h $(O)/gen/cw_tiny2.skel.h
-include $(wildcard $(O)/bpf/cw_tiny.bpf.d $(O)/bpf/cw_tiny2.bpf.d)
