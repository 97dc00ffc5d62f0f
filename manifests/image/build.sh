#!/usr/bin/env bash
# build.sh BUILD OUT.tar [NAME:TAG] - the container image, from what BUILD holds and this machine's
# Debian packages. OUT.tar is an OCI layout that `ctr images import`, `podman load`, `skopeo copy
# oci-archive:` and (by its manifest.json) `docker load` read.
#
# No image tool, no daemon, no network: one layer of the programs, the shared libraries they ask
# for, and what these need to be told apart by a scanner (each package's entry and checksums under
# /var/lib/dpkg/status.d) and by a lawyer (its copyright file). No shell, no compiler, no package
# manager. A library whose bytes are not those its package recorded is refused.
#
# The same inputs give the same bytes: sorted names, numeric owners, one time stamp
# (SOURCE_DATE_EPOCH, else the last commit's), gzip without a name. Prints the image's digest.
set -euo pipefail
export LC_ALL=C PATH=$PATH:/usr/sbin:/sbin
[ $# -ge 2 ] || { sed -n '2,3s/^# //p' "$0" >&2; exit 2; }
top=$(cd "$(dirname "$0")/../.." && pwd)
build=$1 out=$2
version=$(cat "$top/VERSION")
name=${3:-cellwall.io/cellwall:$version}
die() { echo "image: $*" >&2; exit 1; }
for tool in jq objcopy dpkg-query ldd sha256sum gzip tar; do
	command -v $tool >/dev/null || die "$tool is not installed (make deps)"
done
: "${SOURCE_DATE_EPOCH:=$(git -C "$top" log -1 --format=%ct 2>/dev/null || echo 0)}"
created=$(date -u -d "@$SOURCE_DATE_EPOCH" +%FT%TZ)
arch=$(dpkg --print-architecture)

w=$(mktemp -d "${TMPDIR:-/tmp}/cw-image.XXXXXX")
trap 'rm -rf "$w"' EXIT
r=$w/root
umask 022

# --- the tree -------------------------------------------------------------------------------
mkdir -p "$r"/usr/{bin,sbin,lib,lib64,libexec/cellwall,share/doc/cellwall} \
	"$r"/{etc/cellwall,etc/ssl/certs,proc,sys,dev,run/cellwall,root,var/lib/dpkg/status.d,var/lib/cellwall}
mkdir -m 1777 "$r/tmp"
chmod 700 "$r/root" "$r/var/lib/cellwall"
for d in bin sbin lib lib64; do ln -s usr/$d "$r/$d"; done
ln -s /run "$r/var/run"

# Debug information and the build's own id name folders of the machine that built: left out.
program() { # FILE PATH
	[ -x "$1" ] || die "$1 is not built"
	objcopy --strip-all --remove-section=.note.gnu.build-id "$1" "$r/$2"
	chmod 755 "$r/$2"
}
program "$build/bin/cellwalld" usr/sbin/cellwalld
program "$build/bin/cellwall" usr/bin/cellwall
ln -s cellwall "$r/usr/bin/kubectl-cellwall"
program "$build/bin/cellwall-cni" usr/libexec/cellwall/cellwall-cni

# --- shared libraries and the packages they come from ---------------------------------------
packages=(base-files ca-certificates)
# The names that the programs ask for, to the end of the chain; a name is a link to the file.
mapfile -t libs < <(ldd "$r"/usr/sbin/* "$r"/usr/bin/cellwall "$r"/usr/libexec/cellwall/* 2>/dev/null |
	awk '$2 == "=>" && $3 ~ /^\// { print $3 } $1 ~ /^\/.*ld-/ { print $1 }' | sort -u)
[ ${#libs[@]} -gt 3 ] || die "no shared libraries found"
# Packages recorded their files before or after /lib became a link to /usr/lib: asked by both names.
declare -A owner
while IFS=: read -r pkg rest; do
	path=${rest##* }
	owner[${path#/usr}]=$pkg
done < <(for lib in "${libs[@]}"; do f=$(realpath "$lib"); printf '%s\n%s\n' "$f" "${f#/usr}"; done |
	sort -u | xargs dpkg-query -S 2>/dev/null)
recorded() { # PACKAGE FILE: its recorded checksum
	local list
	for list in "/var/lib/dpkg/info/$1:$arch.md5sums" "/var/lib/dpkg/info/$1.md5sums"; do
		[ ! -f "$list" ] || awk -v a="${2#/usr}" '{ p = "/" $2; sub("^/usr/", "/", p) } p == a { print $1; exit }' "$list"
	done | head -1
}
for lib in "${libs[@]}"; do
	file=$(realpath "$lib")
	pkg=${owner[${file#/usr}]:-}
	[ -n "$pkg" ] || die "$file belongs to no package"
	[ "$(md5sum <"$file" | cut -d' ' -f1)" = "$(recorded "$pkg" "$file")" ] ||
		die "$file is not as its package $pkg recorded it"
	dir=$(dirname "$file")
	at=$r/usr${dir#/usr}
	mkdir -p "$at"
	cp --no-preserve=all "$file" "$at/"
	[ "${lib##*/}" = "${file##*/}" ] || ln -sf "${file##*/}" "$at/${lib##*/}"
	case $lib in /lib64/ld-*)
		chmod 755 "$at/${file##*/}"
		ln -sf "../${at#"$r/usr/"}/${file##*/}" "$r/usr/lib64/${lib##*/}" ;;
	esac
	packages+=("$pkg")
done

for pkg in $(printf '%s\n' "${packages[@]}" | sort -u); do
	dpkg-query -s "$pkg:$arch" >"$r/var/lib/dpkg/status.d/$pkg" 2>/dev/null ||
		dpkg-query -s "$pkg" >"$r/var/lib/dpkg/status.d/$pkg"
	for list in "/var/lib/dpkg/info/$pkg:$arch.md5sums" "/var/lib/dpkg/info/$pkg.md5sums"; do
		[ ! -f "$list" ] || cp "$list" "$r/var/lib/dpkg/status.d/$pkg.md5sums"
	done
	mkdir -p "$r/usr/share/doc/$pkg"
	[ ! -e "/usr/share/doc/$pkg/copyright" ] || cp -L "/usr/share/doc/$pkg/copyright" "$r/usr/share/doc/$pkg/copyright"
done
cp "$top/LICENSE" "$r/usr/share/doc/cellwall/copyright"

# --- what the C library and OpenSSL look for ------------------------------------------------
cp -L /etc/os-release /etc/debian_version "$r/etc/"
ca=$(find /usr/share/ca-certificates/mozilla -name '*.crt' | sort)
[ -n "$ca" ] || die "no certificates of ca-certificates"
xargs cat <<<"$ca" >"$r/etc/ssl/certs/ca-certificates.crt"
cat >"$r/etc/passwd" <<-END
	root:x:0:0:root:/root:/sbin/nologin
	nobody:x:65534:65534:nobody:/nonexistent:/sbin/nologin
	cellwall:x:65532:65532:cellwall:/var/lib/cellwall:/sbin/nologin
END
printf 'root:x:0:\nnogroup:x:65534:\ncellwall:x:65532:\n' >"$r/etc/group"
echo 'hosts: files dns' >"$r/etc/nsswitch.conf"

# --- layer, configuration, manifest, index --------------------------------------------------
b=$w/oci/blobs/sha256
mkdir -p "$b"
pack() { # DIR: a tar of it that depends on its content alone
	tar --sort=name --mtime="@$SOURCE_DATE_EPOCH" --owner=0 --group=0 --numeric-owner --format=posix \
		--pax-option=exthdr.name=%d/PaxHeaders/%f,delete=atime,delete=ctime -C "$1" -cf - "${@:2}"
}
pack "$r" . >"$w/layer.tar"
diff=$(sha256sum <"$w/layer.tar" | cut -d' ' -f1)
gzip -6n "$w/layer.tar"
blob() { # FILE: moved in by its digest, which it prints
	local d
	d=$(sha256sum <"$1" | cut -d' ' -f1)
	mv "$1" "$b/$d"
	echo "$d"
}
layer=$(blob "$w/layer.tar.gz")
jq -cnS --arg a "$arch" --arg c "$created" --arg d "sha256:$diff" --arg v "$version" '{
	architecture: $a, os: "linux", created: $c,
	config: { Entrypoint: ["/usr/sbin/cellwalld"], WorkingDir: "/", Env: ["PATH=/usr/sbin:/usr/bin"],
		Labels: { "org.opencontainers.image.title": "cellwall", "org.opencontainers.image.version": $v,
			"org.opencontainers.image.licenses": "Apache-2.0" } },
	rootfs: { type: "layers", diff_ids: [$d] },
	history: [{ created: $c, created_by: "manifests/image/build.sh" }] }' >"$w/config.json"
config=$(blob "$w/config.json")
size() { stat -c %s "$b/$1"; }
jq -cnS --arg c "$config" --argjson cs "$(size "$config")" --arg l "$layer" --argjson ls "$(size "$layer")" '{
	schemaVersion: 2, mediaType: "application/vnd.oci.image.manifest.v1+json",
	config: { mediaType: "application/vnd.oci.image.config.v1+json", digest: "sha256:\($c)", size: $cs },
	layers: [{ mediaType: "application/vnd.oci.image.layer.v1.tar+gzip", digest: "sha256:\($l)", size: $ls }]
	}' >"$w/manifest.json"
manifest=$(blob "$w/manifest.json")
jq -cnS --arg m "$manifest" --argjson ms "$(size "$manifest")" --arg n "$name" --arg a "$arch" '{
	schemaVersion: 2, mediaType: "application/vnd.oci.image.index.v1+json",
	manifests: [{ mediaType: "application/vnd.oci.image.manifest.v1+json", digest: "sha256:\($m)", size: $ms,
		platform: { architecture: $a, os: "linux" },
		annotations: { "io.containerd.image.name": $n, "org.opencontainers.image.ref.name": $n } }]
	}' >"$w/oci/index.json"
printf '{"imageLayoutVersion":"1.0.0"}' >"$w/oci/oci-layout"
jq -cnS --arg n "$name" --arg c "$config" --arg l "$layer" \
	'[{ Config: "blobs/sha256/\($c)", RepoTags: [$n], Layers: ["blobs/sha256/\($l)"] }]' >"$w/oci/manifest.json"
mkdir -p "$(dirname "$out")"
pack "$w/oci" oci-layout index.json manifest.json blobs >"$out.new"
mv "$out.new" "$out"
echo "sha256:$manifest"
