# SPDX-License-Identifier: GPL-2.0-or-later
# shellcheck shell=sh
#
# What a job is written in: words to start lkvm, to talk to its guest, and to state what must be
# true.
#
# A job runs in a directory of its own: the output of the command it started last is in the files
# out and err, its status in the file status. The first statement that does not hold ends the job.
# What should not come back with the results (disk images, FIFOs) goes to $SCRATCH.

# --- how a job ends -------------------------------------------------------------------------

# fail REASON
fail() {
	echo "fail $*" >result
	stop_left_over
	exit 1
}

# skip REASON: what the job needs is not here
skip() {
	echo "skip $*" >result
	stop_left_over
	exit 0
}

# note TEXT: a figure worth seeing in the report although nothing is wrong
note() {
	echo "$*" >>notes
}

stop_left_over() {
	[ -z "${running:-}" ] || kill -KILL "$running" 2>/dev/null || true
}

# --- running commands -----------------------------------------------------------------------

# at_names WORD...: sets the words of a command in which @NAME has become the path of that image
#
# POSIX sh has no arrays: the quoted words are put into $expanded, for eval.
at_names() {
	expanded=
	for word; do
		case $word in
		@*) word=/bed/${word#@} ;;
		-*=@*) word=${word%%=@*}=/bed/${word#*=@} ;;
		esac
		expanded="$expanded '$(printf '%s' "$word" | sed "s/'/'\\\\''/g")'"
	done
}

# run COMMAND...: to its end, without standard input
run() {
	at_names "$@"
	code=0
	eval "$expanded" </dev/null >out 2>err || code=$?
	echo $code >status
}

# start COMMAND...: in the background, fed by send
start() {
	at_names "$@"
	rm -f "$SCRATCH/in"
	mkfifo "$SCRATCH/in"
	: >out
	eval "exec $expanded" <"$SCRATCH/in" >out 2>err &
	running=$!
	# Keeps the FIFO open, so that the command sees no end of file between two sends.
	exec 7>"$SCRATCH/in"
}

# send TEXT: a line typed into what was started
send() {
	printf '%s\n' "$*" >&7
}

# await REGEX [COUNT]: until the output of what was started has COUNT matching lines (1); its end
# without them fails
await() {
	echo "(no line with $1)" >waiting
	until output_has "$1" "${2:-1}"; do
		if ! kill -0 "$running" 2>/dev/null && ! output_has "$1" "${2:-1}"; then
			code=0
			wait "$running" || code=$?
			fail "ended with status $code before its output had ${2:-1} of: $1"
		fi
		sleep 0.3
	done
	rm waiting
}

# output_has REGEX COUNT
output_has() {
	[ "$(grep -c -E -e "$1" out)" -ge "$2" ]
}

# signal NAME: to what was started
signal() {
	kill -s "$1" "$running"
}

# finish: wait for the end of what was started
finish() {
	exec 7>&-
	code=0
	wait "$running" || code=$?
	echo $code >status
	running=
}

# time_until TEXT COMMAND...: run a command; sets seconds, from its start to the first line with
# TEXT
# shellcheck disable=SC2034
time_until() {
	text=$1
	shift
	at_names "$@"
	mark=$SCRATCH/mark
	rm -f "$mark"
	read -r begin _ </proc/uptime
	{
		code=0
		eval "$expanded" </dev/null 2>err || code=$?
		echo $code >status
	} | while IFS= read -r line; do
		printf '%s\n' "$line"
		case $line in
		*"$text"*) [ -f "$mark" ] || cat /proc/uptime >"$mark" ;;
		esac
	done >out
	[ -f "$mark" ] || fail "no line with: $text"
	seconds=$(awk -v begin="$begin" '{ printf "%.2f", $1 - begin }' "$mark")
}

# --- what must be true ----------------------------------------------------------------------

# expect_status NUMBER
expect_status() {
	[ "$(cat status)" -eq "$1" ] || fail "status $(cat status), expected $1"
}

# expect_output TEXT: somewhere on standard output
expect_output() {
	grep -q -F -e "$1" out || fail "not in the output: $1"
}

# expect_line REGEX: a line of standard output that matches as a whole; the guest's carriage returns
# do not count
expect_line() {
	tr -d '\r' <out | grep -q -x -E -e "$1" || fail "no line in the output matches: $1"
}

# expect_no_line REGEX: no line of standard output contains a match
expect_no_line() {
	! grep -q -E -e "$1" out || fail "a line in the output matches: $1"
}

# expect_error TEXT: somewhere on standard error
expect_error() {
	grep -q -F -e "$1" err || fail "not on standard error: $1"
}

# expect_error_line REGEX: a line of standard error contains a match
expect_error_line() {
	grep -q -E -e "$1" err || fail "no line on standard error matches: $1"
}

# fact NAME: what the guest said about itself (see l2/init)
fact() {
	tr -d '\r' <out | sed -n "s/^guest $1: //p" | head -n 1
}

# expect_fact NAME VALUE
expect_fact() {
	[ "$(fact "$1")" = "$2" ] || fail "guest $1 is '$(fact "$1")', expected '$2'"
}

# expect_between NUMBER LOW HIGH: whole numbers
expect_between() {
	if [ "$1" -lt "$2" ] || [ "$1" -gt "$3" ]; then
		fail "'$1' is not from $2 to $3"
	fi
}
