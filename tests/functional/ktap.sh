# SPDX-License-Identifier: GPL-2.0-or-later
# shellcheck shell=bash
#
# What test scripts share: results in KTAP, where the program and the guests are, and waiting.
#
# Sourced from the top of the tree. A test's name is passed to wanted(); if that says so, the test runs and
# ends in exactly one of passed, failed and skipped.

LKVM=${LKVM:-./lkvm}
if [[ ! ${GUESTS-} ]]; then
	for GUESTS in build/guests build/*/guests; do
		[[ -e $GUESTS/long64.elf ]] && break
	done
fi
TIMEOUT=${TIMEOUT:-15}

nr_tests=0
nr_passed=0
nr_failed=0
nr_skipped=0
filters=()
work=

# ktap_begin ARGUMENT... - understand the command line, announce KTAP, make a directory for files
ktap_begin()
{
	while (($#)); do
		case $1 in
		-h | --help)
			sed -n '3,/^$/s/^# \{0,1\}//p' "$0"
			exit 0
			;;
		-t)
			TIMEOUT=$2
			shift
			;;
		-*)
			echo "$0: no such option: $1" >&2
			exit 2
			;;
		*) filters+=("$1") ;;
		esac
		shift
	done
	work=$(mktemp -d "${TMPDIR:-/tmp}/lkvm-test.XXXXXX") || exit 2
	trap 'rm -rf "$work"' EXIT
	ulimit -c 0
	echo "KTAP version 1"
}

# wanted NAME - does it match a filter? All do if there is none.
wanted()
{
	local filter

	((${#filters[@]})) || return 0
	for filter in "${filters[@]}"; do
		# shellcheck disable=SC2053 # it is a pattern
		[[ $1 == $filter ]] && return 0
	done
	return 1
}

passed()
{
	nr_passed=$((nr_passed + 1))
	echo "ok $((nr_tests += 1)) $1"
}

# failed NAME WHY [FILE...] - the files are shown as diagnostics
failed()
{
	local name=$1 why=$2 file

	shift 2
	nr_failed=$((nr_failed + 1))
	echo "not ok $((nr_tests += 1)) $name"
	echo "# $name: $why"
	for file in "$@"; do
		[[ -s $file ]] && tail -n 40 "$file" | tr -d '\r\0' | sed "s|^|#   ${file##*/}: |"
	done
	return 0
}

# skipped NAME WHY
skipped()
{
	nr_skipped=$((nr_skipped + 1))
	echo "ok $((nr_tests += 1)) $1 # SKIP $2"
}

# ktap_end - the sum; the script's status is 1 if anything failed, or nothing was there to do
ktap_end()
{
	echo "1..$nr_tests"
	echo "# $nr_passed passed, $nr_failed failed, $nr_skipped skipped"
	((nr_failed == 0 && nr_tests > 0))
}

# why_no_kvm - print why no guest can run here; nothing if some can
why_no_kvm()
{
	local report

	if [[ ! -e /dev/kvm ]]; then
		echo "there is no /dev/kvm"
	elif ! : 2>/dev/null <>/dev/kvm; then
		echo "/dev/kvm cannot be opened"
	elif [[ $(uname -m) != x86_64 ]]; then
		echo "the guests are for x86, this host is $(uname -m)"
	else
		report=$("$LKVM" doctor --json 2>/dev/null)
		[[ $report != *'"host": "none"'* ]] ||
			sed -n 's/^ *"error": "\(.*\)",*$/\/dev\/kvm: \1/p' <<<"$report"
	fi
}

# need_program - end at once, and not quietly, if there is nothing to test
need_program()
{
	if [[ ! -x $LKVM ]]; then
		echo "Bail out! there is no program $LKVM: build it, or set LKVM"
		exit 2
	fi
}

# need_guests - the same for guests
need_guests()
{
	if [[ ! -e $GUESTS/long64.elf ]]; then
		echo "Bail out! there are no guests in $GUESTS: run make guests, or set GUESTS"
		exit 2
	fi
}

# pattern_file FILE SIZE - what guests expect as initrd or module (module_byte() in their guest.h)
pattern_file()
{
	local row=abcdefghijklmnopqrstuvw

	yes "$row" | tr -d '\n' | head -c "$2" >"$1"
}

# wait_for FILE TEXT - until the file has the text; 1 if it does not come
wait_for()
{
	local i

	for ((i = 0; i < TIMEOUT * 50; i++)); do
		grep -qs -- "$2" "$1" && return 0
		sleep 0.02
	done
	return 1
}
