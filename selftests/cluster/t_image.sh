#!/usr/bin/env bash
# t_image.sh BUILD - the image as a file: the same bytes again, what is in it, what is not.
set -uo pipefail
. "$(dirname "$0")/lib.sh"
build=$1 tar=$1/image/cellwall.tar

again() { # built once more, elsewhere and at another time
	local d
	mkdir "$W/elsewhere"
	d=$(TMPDIR=$W/elsewhere "$TOP/manifests/image/build.sh" "$build" "$W/again.tar") || return
	eq "$d" "$(cat "$build/image/digest")" && cmp "$W/again.tar" "$tar"
}
blob() { echo "$W/oci/blobs/sha256/$(jq -r "$2.digest" "$1" | cut -d: -f2)"; }
mkdir "$W/oci" "$W/root"
tar -C "$W/oci" -xf "$tar"
M=$(blob "$W/oci/index.json" '.manifests[0]') L=$(blob "$M" '.layers[0]')
unpack() { eq "$(jq -r .imageLayoutVersion "$W/oci/oci-layout")" 1.0.0 && tar -C "$W/root" -xzpf "$L"; }
digests() { # every blob is named by its content; the manifest's sizes and the layer's own digest hold
	local f config
	for f in "$W"/oci/blobs/sha256/*; do eq "$(sha256sum <"$f" | cut -d' ' -f1)" "${f##*/}" || return; done
	config=$(blob "$M" .config)
	eq "$(jq '.config.size, .layers[0].size' "$M" | paste -sd' ')" "$(stat -c %s "$config" "$L" | paste -sd' ')" &&
		eq "$(jq -r '.rootfs.diff_ids[0]' "$config")" "sha256:$(gunzip -c "$L" | sha256sum | cut -d' ' -f1)"
}
nothing_else() { # no shell, compiler, package manager; no set-id file, no device, nothing others may write
	local l
	l=$(find "$W/root" -type f -perm /111 ! -name '*.so*' -printf '/%P\n' | sort | paste -sd' ')
	case $l in
	"/usr/bin/cellwall /usr/libexec/cellwall/cellwall-cni /usr/sbin/cellwalld") ;;
	*) echo "programs: $l"; return 1 ;;
	esac
	l=$(find "$W/root" \( -perm /6000 -o -type b -o -type c -o -type p -o -perm -2 ! -type l ! -path "$W/root/tmp" \) -printf '%M /%P\n')
	[ -z "$l" ] || { echo "$l"; return 1; }
	eq "$(tar --numeric-owner -tvzf "$L" | awk '{ print $2 }' | sort -u)" 0/0
}
no_paths() { # of the machine that built
	local l
	[ -x "$W/root/usr/sbin/cellwalld" ] || return
	l=$(grep -rlF -e "$TOP" -e "$build/" "$W/root/usr/sbin" "$W/root/usr/bin" "$W/root/etc" || true)
	[ -z "$l" ] || { echo "names this folder: $l"; return 1; }
}
runs() { # in the image's own tree, with the image's own libraries
	eq "$(chroot "$W/root" /usr/sbin/cellwalld --version)" "cellwalld $(cat "$TOP/VERSION")" &&
		chroot "$W/root" /usr/bin/cellwall version | grep -q "^cellwall  *$(cat "$TOP/VERSION")" &&
		printf 'role: all\n' >"$W/root/tmp/c.yaml" && chroot "$W/root" /usr/sbin/cellwalld --config /tmp/c.yaml --check
}
packages() { # each library belongs to a package whose entry and checksum of it are in the image
	local f p n=0
	while read -r f; do
		p=$(grep -lE "  (usr/)?${f#usr/}\$" "$W"/root/var/lib/dpkg/status.d/*.md5sums | head -1)
		[ -n "$p" ] || { echo "$f: of no package"; return 1; }
		grep -q "^$(md5sum <"$W/root/$f" | cut -d' ' -f1)  " "$p" || { echo "$f: another checksum"; return 1; }
		grep -q '^Status: install ok installed' "${p%.md5sums}" && grep -q '^Version: ' "${p%.md5sums}" &&
			[ -s "$W/root/usr/share/doc/$(basename "${p%.md5sums}")/copyright" ] || { echo "${p%.md5sums}: incomplete"; return 1; }
		n=$((n + 1))
	done < <(find "$W/root/usr/lib" -type f -name '*.so*' -printf 'usr/lib/%P\n')
	[ $n -gt 10 ] || { echo "only $n libraries"; return 1; }
}
small() { [ "$(stat -c %s "$tar")" -lt 20000000 ] || { echo "$(stat -c %s "$tar") bytes"; return 1; }; }

check "image: built again it is the same, byte by byte" again
check "image: an OCI layout" unpack
check "image: digests and sizes" digests
check "image: our programs and nothing else to run" nothing_else
check "image: no path of the machine that built it" no_paths
check "image: runs by itself" runs
check "image: every library has its package, checksum and copyright" packages
check "image: under 20 MB" small
exit $rc
