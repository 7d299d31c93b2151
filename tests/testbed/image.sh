# SPDX-License-Identifier: GPL-2.0-or-later
# shellcheck shell=bash disable=SC2154
#
# Build the initramfs of L1 and of L2 from what fetch has, and the command that starts L1.
#
# Everything L1 needs lies in its initramfs, an uncompressed cpio made anew for each start: 200 MB
# of kernels cost it 0.9 s, which is less than any other way to hand them over, and leaves nothing
# that could be stale.

# is_kernel NAME: whether the bed knows this kernel
is_kernel() {
	case " $bed_kernels " in
	*" $1 "*) return 0 ;;
	esac
	return 1
}

# words_at WORD...: the @NAMEs in a command, "@NAME" or "OPTION=@NAME", one to a line
words_at() {
	printf '%s\n' "$@" | sed -n -e 's/^@//p' -e 's/^-[^=]*=@//p'
}

# unique WORD...: each word once, one to a line
unique() {
	printf '%s\n' "$@" | sed '/^$/d' | sort -u
}

# kernels_of NAME...: the kernels that images come from
kernels_of() {
	unique "$@" | sed -e '/^initrd$/d' -e '/^files\//d' -e 's/\.vmlinux$//' | sort -u
}

# check_image NAME: whether NAME is something that can be put into L1
check_image() {
	local known

	case $1 in
	initrd | files/*) return ;;
	esac
	is_kernel "${1%.vmlinux}" && return
	# shellcheck disable=SC2086 # a list
	known=$(printf ' @%s' $bed_kernels)
	die "no image @$1; there is: @initrd$known, the last with .vmlinux too, and @files/NAME"
}

# fetch_dir NAME
fetch_dir() {
	"$testbed/fetch" --arch "$bed_arch" "$1"
}

# stage_busybox DIR
stage_busybox() {
	local from

	from=$(fetch_dir busybox)
	mkdir -p "$1"/{bin,sbin,dev,proc,sys,tmp,etc}
	ln -s "$from/busybox" "$1/bin/busybox"
	ln -s "$from/busybox" "$1/bin/sh"
}

# stage_modules KERNEL-DIR DIR NAME...: modules with all they depend on, unpacked and ready for
# busybox's modprobe
stage_modules() {
	local from=$1 to=$2 release name path
	shift 2

	read -r release <"$from/release"
	mkdir -p "$to/lib/modules/$release"
	cp "$from/lib/modules/$release"/modules.{builtin,builtin.modinfo,order} \
		"$to/lib/modules/$release/"
	for name; do
		modprobe -d "$from" -S "$release" --show-depends "$name" 2>/dev/null || true
	done | awk '$1 == "insmod" { print $2 }' | sort -u | while read -r path; do
		case $path in
		*.xz) xz -dc "$path" >"$to/lib/modules/$release/$(basename "$path" .xz)" ;;
		*) cp "$path" "$to/lib/modules/$release/" ;;
		esac
	done
	depmod -b "$to" "$release"
}

# pack DIR: the directory as an initramfs on stdout, owned by root, symbolic links followed
pack() {
	(cd "$1" && find -L . | cpio -o -L -H newc -R 0:0 --quiet)
}

# build_l2_initrd WORK KERNEL...: WORK/l2.cpio with the modules of these kernels
build_l2_initrd() {
	local work=$1 kernel from
	shift

	rm -rf "$work/l2"
	stage_busybox "$work/l2"
	ln -s "$testbed/l2/init" "$work/l2/init"
	ln -s "$testbed/l2/jobs" "$work/l2/jobs"
	for kernel; do
		from=$(fetch_dir "$kernel")
		# shellcheck disable=SC2086 # a list
		stage_modules "$from" "$work/l2" $bed_l2_modules
	done
	pack "$work/l2" >"$work/l2.cpio"
}

# stage_images WORK NAME...: what commands call @NAME
stage_images() {
	local work=$1 name from
	shift

	for name; do
		case $name in
		initrd | files/*) continue ;;
		esac
		from=$(fetch_dir "${name%.vmlinux}")
		case $name in
		*.vmlinux) ln -s "$from/vmlinux" "$work/l1/bed/$name" ;;
		*) ln -s "$from/kernel" "$work/l1/bed/$name" ;;
		esac
	done
	# shellcheck disable=SC2046 # a list
	build_l2_initrd "$work" $(kernels_of "$@")
	ln -s "$work/l2.cpio" "$work/l1/bed/initrd"
}

# stage_files WORK FILE...: own files, which commands call @files/NAME
stage_files() {
	local work=$1 file
	shift

	for file; do
		[ -f "$file" ] || die "$file: no such file"
		ln -sf "$(realpath "$file")" "$work/l1/bed/files/"
	done
}

# stage_l1 WORK L1-KERNEL: the part of L1 that is always there
stage_l1() {
	local work=$1 lkvm from
	mkdir -p "$work"
	rm -rf "$work/l1" "$work/l1-kernel"

	lkvm=$(lkvm_binary)
	stage_busybox "$work/l1"
	mkdir -p "$work/l1/bed/files"
	ln -s "$testbed/l1/init" "$work/l1/init"
	ln -s "$testbed"/l1/{run-jobs,run-job,words.sh} "$work/l1/bed/"
	ln -s "$(realpath "$bed_jobs")" "$work/l1/bed/jobs"
	ln -s "$(realpath "$lkvm")" "$work/l1/bin/lkvm"
	echo "load='$bed_l1_load'" >"$work/l1/bed/settings"
	from=$(fetch_dir "$2")
	ln -s "$from/kernel" "$work/l1-kernel"
	# shellcheck disable=SC2086 # lists
	stage_modules "$from" "$work/l1" $bed_l1_load $bed_l1_modules
}

# l1_command WORK PROFILE CPUS MEMORY STATUS: sets qemu, to which the caller adds where L1's console
# goes
#
# STATUS is the file or FIFO that gets what L1 says on the port bed.status.
l1_command() {
	local work=$1 profile=$2 status=$5

	case " $bed_profiles " in
	*" $profile "*) ;;
	*) die "no profile $profile; there is: $bed_profiles" ;;
	esac
	pack "$work/l1" >"$work/l1.cpio"
	bed_profile "$profile" "$work"
	bed_qemu "$work/l1-kernel" "$work/l1.cpio" "quiet $profile_params" "$3" "$4"
	qemu+=(
		"${profile_qemu[@]}"
		-chardev "file,id=status,path=$status"
		-device "virtserialport,chardev=status,name=bed.status"
		-chardev "file,id=artifacts,path=$work/artifacts.tar"
		-device "virtserialport,chardev=artifacts,name=bed.artifacts"
	)
}
