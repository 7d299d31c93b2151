# SPDX-License-Identifier: GPL-2.0-or-later
# shellcheck shell=bash disable=SC2034
#
# What fetch, run and check share: messages, exit statuses, the cache and the list of needed
# programs.

testbed=$(cd "$(dirname "${BASH_SOURCE[0]}")" && pwd)
cache=${XDG_CACHE_HOME:-$HOME/.cache}/lkvm-testbed

# The bed cannot do its work here, for a reason that is not lkvm's (see unavailable()).
readonly EXIT_UNAVAILABLE=77
# The bed itself failed. Different from every status of lkvm.
readonly EXIT_BED=99

PATH=$PATH:/usr/sbin:/sbin

# A command that fails where nobody asks for its status ends the script: say which one it was,
# unless it said so itself.
on_error() {
	case $1 in
	"$EXIT_UNAVAILABLE" | "$EXIT_BED") ;;
	*) say "testbed: $2: failed: $3" ;;
	esac
}
set -E
trap 'on_error $? "${BASH_SOURCE[0]##*/}:$LINENO" "$BASH_COMMAND"' ERR

say() {
	printf '%s\n' "$*" >&2
}

die() {
	say "testbed: $*"
	exit "$EXIT_BED"
}

# unavailable REASON: no network, no QEMU. Callers turn this status into a SKIP, or a failure in CI.
unavailable() {
	say "testbed: $*"
	exit "$EXIT_UNAVAILABLE"
}

# need_programs PROGRAM...
need_programs() {
	local program missing=()

	for program; do
		command -v "$program" >/dev/null || missing+=("$program")
	done
	[ ${#missing[@]} -eq 0 ] ||
		unavailable "not installed: ${missing[*]};" \
			"remedy: apt-get install $(needed_packages)"
}

# needed_packages: the list in the file packages, on one line
needed_packages() {
	sed 's/[[:space:]]*#.*//' "$testbed/packages" | xargs
}

# lkvm_binary: the static lkvm to test
lkvm_binary() {
	local lkvm=${LKVM:-$(realpath "$testbed/../..")/lkvm-static}

	[ -x "$lkvm" ] ||
		die "no lkvm to test at $lkvm; remedy: make lkvm-static, or LKVM=PATH"
	printf '%s\n' "$lkvm"
}

# load_bed NAME: the description of a bed (see beds/x86.sh for what one holds)
load_bed() {
	[ -f "$testbed/beds/$1.sh" ] || die "no bed $1; there is: $(ls "$testbed/beds")"
	# shellcheck source=beds/x86.sh
	. "$testbed/beds/$1.sh"
	bed_jobs=${TESTBED_JOBS:-$testbed/jobs/$1}
}

# need_bed_programs: what starting L1 takes, of the bed that is loaded
need_bed_programs() {
	need_programs cpio modprobe depmod xz "${bed_programs[@]}"
}
