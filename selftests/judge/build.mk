# The judge: questions about policies answered by the product's own code. A program for tests, built with
# the rest, installed by nobody.
ROOMS += judge
judge_DIR := selftests/judge
judge_PKGS := libcjson libbpf
judge_EXCLUDE := selftests/judge/main.c
judge_ORDER := $(O)/gen/cw_tc.skel.h
PROGRAMS += cellwall-judge
cellwall-judge_MAIN := selftests/judge/main.c
cellwall-judge_ROOMS := judge packet loader maps net policy identity base

# the packet builder, shared with the tests of the data path
ROOMS += packet
packet_DIR := selftests/harness

judge: $(O)/bin/cellwall-judge ## question-and-answer corpora through evaluator, programs and sockets (as root)
	@selftests/judge/run.sh $(O)
.PHONY: judge
