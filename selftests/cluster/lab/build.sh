#!/bin/bash
# Build Kubernetes 1.20.2 binaries from Debian bookworm's source package.
#
#   build.sh [kube-apiserver] [kube-controller-manager] [kubectl] [kube-scheduler] [kubelet] [kube-proxy]
#
# (no argument: all six).  Binaries that are already in $KUBE_LAB_CACHE/bin
# are left alone.  Wall times go to $KUBE_LAB_CACHE/build-times.tsv.
#
# Environment:
#   KUBE_LAB_CACHE   cache directory (default /var/cache/cellwall-kube): bin/, source, Go cache
#   KUBE_LAB_NICE    niceness of the build (default 10)
#   KUBE_LAB_KEEP_GOCACHE=1   keep Go's build cache afterwards (about 1 GB)
set -euo pipefail
HERE=$(cd "$(dirname "${BASH_SOURCE[0]}")" && pwd)
. "$HERE/lib.sh"

SRCPKG=kubernetes
SRCVER='1.20.5+really1.20.2-1.1+deb12u1'
KVER=1.20.2
RECIPE=2        # raise it when what follows would build other binaries
C=$KUBE_LAB_CACHE
mkdir -p "$C/bin" "$C/log"

targets=("$@")
[ ${#targets[@]} -gt 0 ] || targets=(kube-apiserver kube-controller-manager kubectl kube-scheduler kubelet kube-proxy)
if [ "$(cat "$C/bin/.recipe" 2>/dev/null)" != $RECIPE ]; then     # built by an older build.sh
	(cd "$C/bin" && rm -f kube-apiserver kube-controller-manager kubectl kube-scheduler kubelet kube-proxy)
	echo $RECIPE >"$C/bin/.recipe"
fi
todo=()
for t in "${targets[@]}"; do [ -x "$C/bin/$t" ] || todo+=("$t"); done
[ ${#todo[@]} -gt 0 ] || { log "all binaries cached in $C/bin: ${targets[*]}"; exit 0; }

timed() { # label command...
	local l=$1 t0 t1; shift
	t0=$(date +%s.%N)
	"$@" >"$C/log/$l.log" 2>&1 || { tail -20 "$C/log/$l.log" >&2; die "$l failed, see $C/log/$l.log"; }
	t1=$(date +%s.%N)
	printf '%s\t%.1f\t%s\n' "$l" "$(echo "$t1 - $t0" | bc)" "$(date -u +%FT%TZ)" >>"$C/build-times.tsv"
	log "$l: $(echo "$t1 - $t0" | bc | cut -d. -f1) s"
}

# --- toolchain ---------------------------------------------------------------
apt_need golang-1.19-go golang-github-modern-go-reflect2-dev dpkg-dev bc xz-utils
GO=/usr/lib/go-1.19/bin/go
[ -x $GO ] || die "no $GO (golang-1.19-go of bookworm)"

# --- source ------------------------------------------------------------------
# The mirror is whatever this machine's own apt uses for bookworm; only the
# type is changed to deb-src, in private apt state, so /etc stays untouched.
get_source() {
	local a=$C/apt
	mkdir -p "$a/lists/partial" "$a/cache/archives/partial"
	apt-get indextargets 'Created-By: Packages' --format '$(REPO_URI) $(RELEASE) $(COMPONENT)' |
	awk -v k=/usr/share/keyrings/debian-archive-keyring.gpg '$2=="bookworm" && $3=="main" {
		print "deb-src [signed-by=" k "]", $1, $2, $3; exit }' >"$a/sources.list"
	[ -s "$a/sources.list" ] || die "no bookworm main in this machine's apt sources"
	local o=(-o Dir::Etc::sourcelist="$a/sources.list" -o Dir::Etc::sourceparts=-
		-o Dir::State::lists="$a/lists" -o Dir::Cache="$a/cache"
		-o APT::Sandbox::User=root -o Acquire::Languages=none)
	apt-get "${o[@]}" -q update
	(cd "$C" && apt-get "${o[@]}" -q source --download-only "$SRCPKG=$SRCVER")
}
unpack_source() {
	rm -rf "$C/src.tmp"
	dpkg-source --no-check -x "$C"/${SRCPKG}_*really$KVER-*.dsc "$C/src.tmp"
	rm -rf "$C/kubernetes-$KVER"
	mv "$C/src.tmp" "$C/kubernetes-$KVER"
}
if [ ! -d "$C/kubernetes-$KVER" ]; then
	ls "$C"/${SRCPKG}_*really$KVER.orig.tar.gz >/dev/null 2>&1 ||
		timed source-download get_source
	timed source-unpack unpack_source
fi

# --- GOPATH mode ---------------------------------------------------------------
export GO111MODULE=off GOPATH=$C/gopath CGO_ENABLED=0 GOFLAGS= GOTOOLCHAIN=local
export GOCACHE=${GOCACHE:-$C/gocache}
mkdir -p "$GOPATH/src/k8s.io"
ln -sfn "$C/kubernetes-$KVER" "$GOPATH/src/k8s.io/kubernetes"
K=$GOPATH/src/k8s.io/kubernetes
cd "$K"
N="nice -n ${KUBE_LAB_NICE:-10}"

# The tarball's reflect2 1.0.1 reaches into Go's runtime by signatures that Go
# 1.18 changed (reflect.mapiterinit).  Built with it, all looks well at first, but
# the API server writes empty JSON maps as null, and server-side apply and POSTs
# of Leases and CRDs end in a nil-pointer panic.  1.0.2 is the fix; Debian has it.
R2=github.com/modern-go/reflect2
if [ ! -e vendor/$R2/.from-debian ]; then
	rm -rf vendor/$R2
	mkdir vendor/$R2
	cp /usr/share/gocode/src/$R2/*.go /usr/share/gocode/src/$R2/*.s vendor/$R2/
	rm -f vendor/$R2/*_test.go
	: >vendor/$R2/.from-debian
fi

# pkg/generated/openapi/zz_generated.openapi.go is not in the tarball (upstream
# generates it at build time); this is Makefile.generated_files' recipe for it.
gen_openapi() {
	local dirs
	$N $GO build -o "$C/openapi-gen" ./vendor/k8s.io/kube-openapi/cmd/openapi-gen
	dirs=$(grep -rl --include='*.go' -E '^// *\+k8s:openapi-gen=' \
			cmd pkg plugin staging/src/k8s.io |
		sed -E 's,^staging/src/,vendor/,' |
		grep -vE '^vendor/k8s.io/(code-generator|sample-apiserver)/|/_examples/' |
		xargs -n1 dirname | LC_ALL=C sort -u | sed 's,^,k8s.io/kubernetes/,' | paste -sd,)
	$N "$C/openapi-gen" --logtostderr -i "$dirs" \
		-p k8s.io/kubernetes/pkg/generated/openapi -O zz_generated.openapi \
		-h vendor/k8s.io/code-generator/hack/boilerplate.go.txt \
		-r "$C/log/openapi-violations.report"
	[ -s pkg/generated/openapi/zz_generated.openapi.go ]
}
[ -s pkg/generated/openapi/zz_generated.openapi.go ] ||
	timed openapi-gen gen_openapi

# --- binaries --------------------------------------------------------------------
# providerless/dockerless leave out the in-tree cloud providers and dockershim
# (upstream's own build tags): far fewer packages, nothing this lab uses.
X=
for p in k8s.io/component-base/version k8s.io/client-go/pkg/version; do
	for kv in gitVersion=v$KVER gitMajor=1 gitMinor=20 gitTreeState=archive \
		buildDate=2021-01-13T13:20:00Z; do
		X="$X -X k8s.io/kubernetes/vendor/$p.$kv"
	done
done
build_one() {
	$N $GO build -tags 'providerless dockerless' -trimpath -ldflags "-s -w$X" \
		-o "$C/bin/.$1.new" "./cmd/$1" || return 1
	mv "$C/bin/.$1.new" "$C/bin/$1"
}
for t in "${todo[@]}"; do timed "build-$t" build_one "$t"; done
if [ -z "${KUBE_LAB_KEEP_GOCACHE:-}" ]; then
	case $GOCACHE in "$C"/*) rm -rf "$GOCACHE" ;; esac
fi
log "built: ${todo[*]} in $C/bin"
