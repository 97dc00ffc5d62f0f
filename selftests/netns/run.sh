#!/usr/bin/env bash
# run.sh BUILD [TEST...] - the end-to-end tests, each in network, mount and process namespaces of
# its own with its own /run, /tmp and BPF file system. NETNS_TIMEOUT: seconds for one test (240);
# NETNS_BUILD=0: the tools are built already.
set -uo pipefail
cd "$(dirname "$0")/../.."
BUILD=$(realpath "${1:?usage: run.sh BUILD [TEST...]}") || exit 2
shift
[ "$(id -u)" = 0 ] || { echo "skip netns: needs root"; exit 77; }
unshare -mnpf --kill-child true 2>/dev/null || { echo "skip netns: no namespaces here"; exit 77; }
if [ "${NETNS_BUILD:-1}" != 0 ]; then
	make -s O="${BUILD#"$PWD"/}" netns-tools >"$BUILD/netns.log" 2>&1 || {
		echo "not ok netns: the traffic tools do not build"
		tail -5 "$BUILD/netns.log"
		exit 1
	}
	# The test that needs it says when it is not there.
	make -s -j2 O="${BUILD#"$PWD"/}" netns-layout >>"$BUILD/netns.log" 2>&1
fi
[ -x "$BUILD/bin/cellwalld" ] || { echo "not ok netns: $BUILD/bin/cellwalld is not built"; exit 1; }

tests=("$@")
[ ${#tests[@]} != 0 ] || for f in selftests/netns/t_*.sh; do
	f=${f##*/t_}
	tests+=("${f%.sh}")
done
expedited=$(cat /sys/kernel/rcu_expedited 2>/dev/null)
rc=0
for name in "${tests[@]}"; do
	start=$SECONDS
	# shellcheck disable=SC2016 # expanded by the inner shell
	timeout -k 5 "${NETNS_TIMEOUT:-240}" unshare -mnpf --kill-child --mount-proc --propagation private \
		env BUILD="$BUILD" TEST="$name" bash -c '
			# A clone below /tmp must stay in sight.
			case $PWD in /tmp/*) ;; *) mount -t tmpfs none /tmp ;; esac &&
			mount -t tmpfs -o mode=0755 none /run &&
			mkdir -p /run/bpf /run/netns && mount -t bpf bpf /run/bpf || { echo "not ok $TEST: cannot mount"; exit 1; }
			mount -t sysfs none /sys 2>/dev/null
			. selftests/harness/netns.sh
			. "selftests/netns/t_$TEST.sh"
			finish' </dev/null
	r=$?
	# Of a daemon that was killed while it attached, with the mark by which the next one switches back.
	[ "$expedited" != 0 ] || echo 0 2>/dev/null >/sys/kernel/rcu_expedited || true
	[ $r = 0 ] || rc=1
	case $r in 124 | 137) echo "not ok $name: no end within ${NETNS_TIMEOUT:-240} s" ;; esac
	echo "# $name: $((SECONDS - start)) s"
done
exit $rc
