# SPDX-License-Identifier: GPL-2.0-or-later
# shellcheck shell=bash
#
# Completion of lkvm's command line for bash: source it, or install it as
# PREFIX/share/bash-completion/completions/lkvm.
#
# It knows nothing by itself: "lkvm help --words [COMMAND]" prints a line for each word, with what argument it takes.

# __lkvm_words [COMMAND]: the words themselves
__lkvm_words() {
	"${COMP_WORDS[0]}" help --words "$@" 2>/dev/null | cut -f 1
}

# __lkvm_argument COMMAND OPTION: what argument it takes, nothing if none
__lkvm_argument() {
	"${COMP_WORDS[0]}" help --words "$1" 2>/dev/null |
		while IFS= read -r line; do
			[ "${line%%$'\t'*}" = "$2" ] || continue
			line=${line#*$'\t'}
			printf '%s\n' "${line%%$'\t'*}"
		done
}

# __lkvm_offer WORDS BEGINNING: those of them that fit
__lkvm_offer() {
	mapfile -t COMPREPLY < <(compgen -W "$1" -- "$2")
}

__lkvm_offer_files() {
	compopt -o filenames 2>/dev/null
	mapfile -t COMPREPLY < <(compgen "$1" -- "$2")
}

_lkvm() {
	local command=${COMP_WORDS[1]-} current=${COMP_WORDS[COMP_CWORD]} argument='' before

	COMPREPLY=()
	if [ "$COMP_CWORD" -eq 1 ] || { [ "$command" = help ] && [[ $current != -* ]]; }; then
		__lkvm_offer "$(__lkvm_words) --help --version" "$current"
		return
	fi

	# bash makes a word of its own of "=".
	before=${COMP_WORDS[COMP_CWORD - 1]}
	if [ "$current" = = ]; then
		current=
	elif [ "$before" = = ]; then
		before=${COMP_WORDS[COMP_CWORD - 2]}
	fi

	[[ $before != -* ]] || argument=$(__lkvm_argument "$command" "$before")
	case $argument in
	'')
		if [[ $current = -* ]]; then
			__lkvm_offer "$(__lkvm_words "$command")" "$current"
		else
			__lkvm_offer_files -f "$current"
		fi
		;;
	FILE*)
		__lkvm_offer_files -f "$current"
		;;
	DIR*)
		__lkvm_offer_files -d "$current"
		;;
	[[:lower:]]*) # the words of a choice
		__lkvm_offer "${argument//|/ }" "$current"
		;;
	esac
}

complete -F _lkvm lkvm
