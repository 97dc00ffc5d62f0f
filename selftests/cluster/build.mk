# Tests on a real Kubernetes: the manifests, the image, verdicts between containers.
DOC_CHECK_ROOMS := policy identity base
$(O)/bin/doc-check: $(O)/obj/selftests/cluster/doc_check.o $(DOC_CHECK_ROOMS:%=$(O)/lib/%.a)
	$(call say,LD,$(@F))
	@mkdir -p $(@D)
	$(Q)$(CC) $(LDFLAGS) -o $@ $< $(call room_libs,$(DOC_CHECK_ROOMS))
-include $(wildcard $(O)/obj/selftests/cluster/doc_check.d)

test-cluster: all $(O)/bin/doc-check ## tests on a real Kubernetes, built and started here (as root)
	@selftests/cluster/run.sh $(O)
.PHONY: test-cluster
