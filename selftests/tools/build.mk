# What the verifier makes of each program; `make verifier-report` runs it.
REPORT_ROOMS := loader net base
$(O)/bin/verifier-report: $(O)/obj/selftests/tools/verifier_report.o $(REPORT_ROOMS:%=$(O)/lib/%.a)
	$(call say,LD,verifier-report)
	@mkdir -p $(@D)
	$(Q)$(CC) $(LDFLAGS) -o $@ $< $(call room_libs,$(REPORT_ROOMS))
-include $(wildcard $(O)/obj/selftests/tools/verifier_report.d)
