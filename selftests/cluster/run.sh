#!/usr/bin/env bash
# run.sh BUILD [TEST...] - the tests on a real Kubernetes: etcd, API server, controller manager, scheduler and
# two nodes with containerd, kubelet and kube-proxy, all started here from Debian's packages
# (lab/README.md), cellwall on it by its own image and manifests. Everything is taken away again.
#
# Kubernetes itself is built once (about 4 minutes) and kept in KUBE_LAB_CACHE
# (/var/cache/cellwall-kube). A lab that runs already is used and left running; what the tests
# deployed is removed from it. CLUSTER_TIMEOUT: seconds for one test (180).
set -uo pipefail
cd "$(dirname "$0")/../.." || exit 1
here=selftests/cluster
build=$(realpath -m -- "${1:-build}")
[ $# = 0 ] || shift
[ "$(id -u)" = 0 ] || { echo "skip cluster: needs root"; exit 77; }
. /etc/os-release
[ "${ID:-}-${VERSION_ID:-}" = debian-12 ] || { echo "skip cluster: the lab is built from Debian 12's packages, this is ${PRETTY_NAME:-unknown}"; exit 77; }
for tool in jq curl nsenter; do
	command -v $tool >/dev/null || { echo "skip cluster: $tool is not installed (make deps-check)"; exit 77; }
done
log=$build/cluster
mkdir -p "$log"
. $here/lab/lib.sh

make -s --no-print-directory O="$build" images "$build/bin/doc-check" >"$log/images.log" 2>&1 ||
	{ echo "not ok cluster: make images, see $log/images.log"; tail -5 "$log/images.log"; exit 1; }
was_up=
pid_of kube-apiserver >/dev/null && was_up=1
# What could not be had (a package source that does not answer) is no fault of the product: said loudly.
if ! KUBE_LAB_NICE=${KUBE_LAB_NICE:-0} $here/lab/build.sh >"$log/build.log" 2>&1; then
	echo "skip cluster: Kubernetes could not be built, see $log/build.log: $(tail -1 "$log/build.log")"
	exit 77
fi
down() { [ -n "$was_up" ] || $here/lab/down.sh >>"$log/down.log" 2>&1; }
trap down EXIT
trap 'exit 130' INT TERM
$here/lab/up.sh --nodes 2 >"$log/up.log" 2>&1 || { echo "not ok cluster: up.sh, see $log/up.log"; tail -5 "$log/up.log"; exit 1; }
echo "ok cluster: two nodes and their pods are up"
$here/lab/ctl.sh load "$build/image/cellwall.tar" >"$log/load.log" 2>&1 || { echo "not ok cluster: load"; tail -5 "$log/load.log"; exit 1; }
echo "ok cluster: containerd takes the image"

rc=0
tests=("$@")
[ ${#tests[@]} -gt 0 ] || tests=(image manifests crds documents overlays deploy story policies remove)
for t in "${tests[@]}"; do
	timeout -k 10 "${CLUSTER_TIMEOUT:-180}" $here/t_"$t".sh "$build" 2>&1 | tee "$log/$t.log"
	s=${PIPESTATUS[0]}
	[ "$s" = 0 ] || [ "$s" = 77 ] || rc=1
	[ "$s" != 124 ] || echo "not ok $t: took longer than ${CLUSTER_TIMEOUT:-180} s"
done | tee "$log/results" || rc=1
if [ -z "$was_up" ]; then
	down
	was_up=1
	left=$({ ip netns list | awk '$1 ~ /^kl-/ { print $1 }'; ip -o link | awk -F': ' '$2 ~ /^kl/ { print $2 }'
		ip route show type blackhole | grep -F 10.244 || true
		find /sys/fs/cgroup -maxdepth 2 -name "$CG" 2>/dev/null; [ ! -e "$D" ] || echo "$D"; })
	[ -z "$left" ] && echo "ok cluster: nothing is left of it" || { echo "not ok cluster: left: $(paste -sd' ' <<<"$left")"; rc=1; }
fi
p=$((2 + $(grep -c '^ok ' "$log/results"))) f=$(grep -c '^not ok ' "$log/results") s=$(grep -c '^skip ' "$log/results")
echo "$p passed, $f failed, $s skipped"
[ "$f" = 0 ] && exit $rc
exit 1
